"""Names and paths, the cache, importing by hand, and the registry that comes with earmark."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pooch
import pytest

from earmark.errors import (
    CardError,
    ChecksumError,
    ModelFormatError,
    ModelNotFoundError,
    OptionError,
    UnknownModelError,
    VerificationError,
)
from earmark.model.cache import cache_folder
from earmark.model.card import CARD_KEY
from earmark.model.hub import Hub, default_hub
from earmark.model.importers import IMPORTERS
from earmark.model.modelfile import read_card
from earmark.model.registry import REGISTRY_PATH, check_name, read_registry
from earmark.model.verify import verify
from tests.model.local_server import serving, whole
from tests.model.tinyhub import SOURCE, changed_weight, import_tiny, tiny_hub, write_registry
from tests.tinymodel import LABELS


@pytest.fixture
def hub(tmp_path):
    return tiny_hub(tmp_path)


@pytest.fixture
def tiny_onnx(tmp_path):
    """A model of somebody else's, called `birds`."""
    path = tmp_path / "from-a-friend.onnx"
    path.write_bytes(import_tiny(SOURCE, precision="float32", name="birds"))
    return path


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# resolve


def test_path_of_a_model_file(hub, tiny_onnx, monkeypatch):
    assert hub.resolve(tiny_onnx) == hub.resolve(str(tiny_onnx)) == tiny_onnx
    monkeypatch.chdir(tiny_onnx.parent)
    assert hub.resolve(tiny_onnx.name) == Path(tiny_onnx.name)


def test_name_is_never_taken_for_a_file(hub, tmp_path, monkeypatch):
    put(tmp_path / "tiny", b"a file called like a model")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFoundError, match="known but not on this machine"):
        hub.resolve("tiny")


@pytest.mark.parametrize("model", ["no/such/file.onnx", "file.tflite", "no/such/folder"])
def test_path_that_is_not_there(hub, model):
    with pytest.raises(ModelNotFoundError, match=r"no model file at .*; check the path"):
        hub.resolve(model)


def test_path_of_another_kind(hub, tmp_path):
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    for path in (put(tmp_path / "model.h5", b"x"), folder):
        with pytest.raises(ModelFormatError, match=r"is not a model: give a file that ends in \.onnx or \.tflite"):
            hub.resolve(path)


def test_hugging_face_is_reserved(hub):
    with pytest.raises(ModelNotFoundError, match="'hf:MIT/ast': models from Hugging Face come in a later version"):
        hub.resolve("hf:MIT/ast")


def test_unknown_name_gives_the_nearest(hub):
    with pytest.raises(ModelNotFoundError, match="no model called 'tyni' is known; nearest: tiny"):
        hub.resolve("tyni")
    with pytest.raises(ModelNotFoundError, match=r"nearest: everyday, tiny, tiny-int8\. A file needs its suffix"):
        hub.resolve("qqq")


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_a_file_whose_suffix_was_left_out_is_proposed(hub, tmp_path, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"mine{suffix}").write_bytes(b"")
    with pytest.raises(UnknownModelError, match=rf"no model called 'mine' is known, but there is a file mine{suffix}"):
        hub.resolve("mine")
    with pytest.raises(ModelNotFoundError, match=rf"no model file at .*mine, but there is .*mine{suffix}: give it so"):
        hub.resolve(tmp_path / "mine")


def test_known_but_not_here(hub):
    with pytest.raises(ModelNotFoundError) as caught:
        hub.resolve("tiny")
    message = str(caught.value)
    assert "`earmark models pull tiny`" in message
    assert "http://127.0.0.1:9/model.tflite" in message
    assert f"copy it to {hub.cache.folder / 'sources' / 'model.tflite'}" in message
    assert "\n" not in message
    assert not hub.cache.folder.exists()


@pytest.mark.parametrize("place", ["sources", "."])
def test_published_file_put_there_by_hand(hub, place):
    put(hub.cache.folder / place / "model.tflite", SOURCE)
    path = hub.resolve("tiny-int8")
    assert path == hub.cache.folder / "models" / "tiny-int8.onnx"
    assert read_card(path).version == "1-int8"


def test_another_file_put_there_by_hand(hub):
    wrong = put(hub.cache.folder / "model.tflite", b"cut")
    with pytest.raises(ChecksumError) as caught:
        hub.resolve("tiny")
    for part in (str(wrong), hashlib.sha256(b"cut").hexdigest(), hashlib.sha256(SOURCE).hexdigest(), "delete it"):
        assert part in str(caught.value)
    put(hub.cache.folder / "sources" / "model.tflite", SOURCE)
    assert hub.resolve("tiny").is_file()


@pytest.mark.parametrize("name", ["", "..", "a b", "-x", ".hidden", "x" * 101, "tiny\n"])
def test_name_that_cannot_be_a_file_name(hub, name):
    with pytest.raises(OptionError, match="cannot name a model"):
        hub.resolve(name)


def test_resolving_an_installed_model_loads_nothing(hub, tmp_path, tiny_onnx):
    hub.import_model(tiny_onnx)
    script = (
        "import sys; from earmark.model.hub import default_hub; default_hub().resolve('birds');"
        "print({'pooch', 'requests', 'onnx', 'onnxruntime', 'tflite'} & set(sys.modules))"
    )
    environment = {**os.environ, "EARMARK_CACHE": str(hub.cache.folder)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# the cache folder


def test_cache_folder_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    assert default_hub().cache.folder == tmp_path / "mine"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EARMARK_CACHE", "relative")
    assert cache_folder() == tmp_path / "relative"


@pytest.mark.skipif(sys.platform == "win32", reason="pooch adds folders of its own there")
@pytest.mark.parametrize("xdg", ["/somewhere/else", ""])
def test_cache_folder_is_where_pooch_would_put_it(monkeypatch, xdg):
    monkeypatch.setenv("EARMARK_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    assert cache_folder() == pooch.os_cache("earmark")


# import_model


def test_import_of_a_model_file(hub, tiny_onnx):
    status = hub.import_model(tiny_onnx)
    assert (status.name, status.installed, status.version, status.label_count) == (
        "birds",
        True,
        "1-float32",
        len(LABELS),
    )
    assert (status.licence, status.problem) == ("Apache-2.0", "")
    assert hub.resolve("birds").read_bytes() == tiny_onnx.read_bytes()
    assert hub.import_model(tiny_onnx) == status
    assert hub.import_model(tiny_onnx, name="my-birds").name == "my-birds"


@pytest.mark.parametrize(("precision", "name"), [("float32", "tiny"), ("int8", "tiny-int8")])
def test_import_of_a_published_file(hub, tmp_path, precision, name):
    renamed = put(tmp_path / "download (1).tflite", SOURCE)
    assert hub.import_model(renamed, precision=precision).name == name
    assert hub.resolve(name).is_file()


def test_import_of_an_unpublished_tflite(hub, tmp_path):
    assert hub.import_model(put(tmp_path / "ours.tflite", SOURCE + b"2")).name == "ours"
    with pytest.raises(OptionError, match=r"'ours \(1\)' cannot name a model"):
        hub.import_model(put(tmp_path / "ours (1).tflite", SOURCE + b"2"))


def test_import_of_what_is_no_model(hub, tmp_path):
    with pytest.raises(ModelFormatError, match="the tiny importer does not know this file"):
        hub.import_model(put(tmp_path / "other.tflite", b"no"))
    with pytest.raises(ModelFormatError, match=r"damaged\.onnx"):
        hub.import_model(put(tmp_path / "damaged.onnx", b"no"))
    with pytest.raises(ModelNotFoundError, match="no model file at"):
        hub.import_model(tmp_path / "absent.onnx")
    assert not hub.cache.model_names()


def test_import_in_another_precision(hub, tmp_path):
    with pytest.raises(OptionError, match="precision 'float16' is not known; allowed: float32, int8"):
        hub.import_model(put(tmp_path / "ours.tflite", SOURCE), precision="float16")


def test_import_without_a_card(hub, tiny_onnx):
    put(tiny_onnx, tiny_onnx.read_bytes().replace(CARD_KEY.encode(), b"earmurk"))
    with pytest.raises(CardError, match="has no model card"):
        hub.import_model(tiny_onnx)


def test_import_of_a_changed_weight(hub, tiny_onnx):
    put(tiny_onnx, changed_weight(tiny_onnx.read_bytes()))
    with pytest.raises(VerificationError, match=r"^from-a-friend\.onnx fails its own test"):
        hub.import_model(tiny_onnx)
    assert not hub.cache.model_names()


def test_import_refuses_a_taken_name(hub, tmp_path, tiny_onnx):
    hub.import_model(tiny_onnx)
    other = put(tmp_path / "other.onnx", import_tiny(SOURCE, precision="int8", name="birds"))
    with pytest.raises(OptionError, match="the name 'birds' is taken by another installed model"):
        hub.import_model(other)
    assert hub.status("birds").version == "1-float32"
    assert hub.import_model(other, force=True).version == "1-int8"


@pytest.mark.parametrize("name", ["../escape", "/tmp/escape", "a/b", "..", "con\x00", "x.onnx"])
def test_names_cannot_leave_the_cache(hub, tmp_path, name):
    path = put(tmp_path / "evil.onnx", import_tiny(SOURCE, precision="float32", name=name))
    with pytest.raises(OptionError, match="cannot name a model"):
        hub.import_model(path)
    with pytest.raises(OptionError, match="cannot name a model"):
        hub.import_model(path, name=name)
    with pytest.raises(OptionError, match="cannot name a model"):
        hub.remove(name)
    assert not hub.cache.folder.exists()


# list, info, remove


def test_list(hub, tiny_onnx):
    hub.import_model(tiny_onnx)
    put(hub.cache.model_path("broken"), b"no model")
    put(hub.cache.folder / "models" / "._birds.onnx", b"what a Mac leaves on a foreign disk")
    put(hub.cache.folder / "sources" / "model.tflite", SOURCE)
    hub.resolve("tiny")
    inside, tiny, tiny_int8, birds, broken = hub.list_models()
    assert inside.inside
    assert [status.name for status in (tiny, tiny_int8, birds, broken)] == ["tiny", "tiny-int8", "birds", "broken"]
    assert [status.installed for status in (tiny, tiny_int8, birds, broken)] == [True, False, True, True]
    assert (tiny_int8.version, tiny_int8.licence, tiny_int8.description) == (None, "CC0-1.0", "A model for tests.")
    assert birds.size_bytes == tiny_onnx.stat().st_size
    assert "broken.onnx cannot be loaded" in broken.problem


def test_info(hub, tiny_onnx):
    absent = hub.info("tiny")
    assert (absent["installed"], absent["source"]["licence"]) == (False, "CC0-1.0")
    hub.import_model(tiny_onnx)
    present = hub.info("birds")
    assert present == {**hub.info(tiny_onnx), "path": str(hub.resolve("birds"))}
    assert (present["installed"], present["name"], present["labels"][1]["name"]) == (True, "birds", LABELS[1].name)
    assert "test_vectors" not in present
    json.dumps([absent, present])


def test_remove(hub, tiny_onnx):
    hub.import_model(tiny_onnx)
    hub.remove("birds")
    assert tiny_onnx.is_file()
    for name in ("birds", "tiny"):
        with pytest.raises(ModelNotFoundError, match=f"model '{name}' is not installed"):
            hub.remove(name)


def test_remove_keeps_the_source_that_another_needs(hub):
    source = put(hub.cache.folder / "sources" / "model.tflite", SOURCE)
    hub.resolve("tiny")
    hub.resolve("tiny-int8")
    hub.remove("tiny")
    assert source.is_file()
    hub.remove("tiny-int8")
    assert not source.exists()


def test_pull_of_a_name_that_is_not_known(hub, tiny_onnx):
    with pytest.raises(ModelNotFoundError, match="no model called 'birds' is known"):
        hub.pull("birds")
    hub.import_model(tiny_onnx)
    assert hub.pull("birds") == hub.resolve("birds")


# the registry


def test_shipped_registry():
    known = read_registry()
    assert list(known) == ["yamnet", "yamnet-int8"]
    assert {model.importer for model in known.values()} <= set(IMPORTERS)
    assert known["yamnet"].source == known["yamnet-int8"].source
    assert known["yamnet"].source.url.startswith("https://")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "ftp://x"}, "url is 'ftp://x'; allowed: an http or https address"),
        ({"sha256": "ABC"}, "sha256 is 'ABC'; allowed: 64"),
        ({"size_bytes": 0}, "size_bytes is 0; allowed: a positive number"),
        ({"colour": "red"}, "unexpected keyword argument 'colour'"),
    ],
)
def test_registry_refuses(tmp_path, change, message):
    with pytest.raises(ModelFormatError, match=message):
        read_registry(write_registry(tmp_path, **{"url": "https://x", **change}))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data.update(extra=1), "keys is"),
        (lambda data: data.update(format=2), "format is 2; allowed: 1"),
        (
            lambda data: data["models"]["tiny"].update(source="other"),
            "source of tiny is 'other'; allowed: model.tflite",
        ),
        (lambda data: data["models"]["tiny"].update(precision="int4"), "precision is 'int4'; allowed: float32 or int8"),
        (lambda data: data["models"]["tiny"].pop("importer"), "missing 1 required .*'importer'"),
        (lambda data: data["models"].update({"../x": data["models"]["tiny"]}), "'../x' cannot name a model"),
        (lambda data: data.update(sources=[]), "has no attribute 'items'"),
    ],
)
def test_registry_refuses_its_shape(tmp_path, edit, message):
    path = write_registry(tmp_path, "https://x")
    data = json.loads(path.read_text(encoding="utf-8"))
    edit(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ModelFormatError, match=message):
        read_registry(path)


def test_registry_that_is_no_json(tmp_path):
    with pytest.raises(ModelFormatError, match=r"registry\.json is not a registry of models"):
        read_registry(put(tmp_path / "registry.json", b"{"))


def test_good_names_stay_as_they_are():
    for name in ("yamnet", "yamnet-int8", "my_birds.v2", "7"):
        assert check_name(name) == name


# YAMNet itself


@pytest.fixture
def yamnet_tflite(shared):
    return shared / "models" / "yamnet" / "yamnet_classification_int8.tflite"


@pytest.mark.shared
@pytest.mark.parametrize(("precision", "name"), [("float32", "yamnet"), ("int8", "yamnet-int8")])
def test_import_of_yamnet(tmp_path, yamnet_tflite, precision, name):
    hub = Hub(tmp_path)
    status = hub.import_model(yamnet_tflite, precision=precision)
    assert (status.name, status.label_count, status.licence) == (name, 521, "Apache-2.0")
    assert verify(hub.resolve(name)).passed


@pytest.mark.shared
@pytest.mark.parametrize("name", ["yamnet", "yamnet-int8"])
def test_pull_of_yamnet(tmp_path, yamnet_tflite, name, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(whole(yamnet_tflite.read_bytes())) as server:
        registry = REGISTRY_PATH.read_text(encoding="utf-8").replace(read_registry()[name].source.url, server.url)
        path = Hub(tmp_path / "cache", registry=put(tmp_path / "registry.json", registry.encode())).pull(name)
    assert read_card(path).name == name
