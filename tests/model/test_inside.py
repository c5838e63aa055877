"""The model inside, held with a stand-in: it needs no cache and no network, and nobody takes its place."""

from pathlib import Path

import pytest

from earmark.errors import ModelNotFoundError, OptionError
from earmark.inference.classifier import Classifier
from earmark.model.hub import Hub
from earmark.model.inside import INSIDE, inside_file
from tests.tinymodel import LABELS, save_novel_model


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path / "cache", inside=save_novel_model(tmp_path / "stand-in.onnx", name=INSIDE))


@pytest.fixture
def bare(tmp_path: Path) -> Hub:
    """A hub in a checkout where the model is not made yet."""
    return Hub(tmp_path / "cache", inside=tmp_path / "everyday.onnx")


def test_it_lies_in_the_package() -> None:
    path = inside_file()
    assert path.name == f"{INSIDE}.onnx"
    assert (path.parent / "registry.json").is_file()


def test_it_answers_to_its_name(hub: Hub, tmp_path: Path) -> None:
    assert hub.resolve(INSIDE) == hub.pull(INSIDE) == hub.pull(INSIDE, force=True) == tmp_path / "stand-in.onnx"
    facts = hub.info(INSIDE)
    assert (facts["installed"], facts["inside"], facts["name"]) == (True, True, INSIDE)
    assert not hub.info(tmp_path / "stand-in.onnx")["inside"]
    assert not hub.cache.folder.exists()


def test_it_is_first_in_the_list(hub: Hub) -> None:
    first, second, *_ = hub.list_models()
    assert (first.name, first.installed, first.inside, first.label_count) == (INSIDE, True, True, len(LABELS))
    assert (second.name, second.inside) == ("yamnet", False)


def test_a_file_of_its_name_in_the_cache_is_never_taken_for_it(hub: Hub, tiny_model: Path) -> None:
    in_cache = hub.cache.model_path(INSIDE)
    in_cache.parent.mkdir(parents=True)
    in_cache.write_bytes(tiny_model.read_bytes())
    assert hub.resolve(INSIDE) != in_cache
    assert [status.name for status in hub.list_models()].count(INSIDE) == 1


def test_it_is_neither_imported_nor_removed(hub: Hub, tiny_model: Path) -> None:
    for attempt in (
        lambda: hub.remove(INSIDE),
        lambda: hub.import_model(INSIDE),
        lambda: hub.import_model(hub.resolve(INSIDE)),
        lambda: hub.import_model(tiny_model, name=INSIDE, force=True),
    ):
        with pytest.raises(OptionError, match="'everyday' is the model inside earmark: it is always there"):
            attempt()
    assert hub.import_model(hub.resolve(INSIDE), name="copy").name == "copy"


def test_a_checkout_without_it_says_what_makes_it(bare: Hub, tmp_path: Path) -> None:
    for ask in (bare.resolve, bare.pull, bare.info):
        with pytest.raises(ModelNotFoundError) as caught:
            ask(INSIDE)
        message = str(caught.value)
        assert str(tmp_path / "everyday.onnx") in message
        assert "`python -m everyday ship` makes it" in message
        assert "`--model yamnet`" in message
    status = bare.status(INSIDE)
    assert (status.installed, status.inside, status.problem) == (False, True, message)
    assert not bare.cache.folder.exists()


def test_it_answers_where_none_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earmark.inference.classifier.default_hub", lambda: hub)
    assert Classifier.load().card.name == INSIDE
