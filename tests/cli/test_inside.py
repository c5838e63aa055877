"""Commands without --model: the model inside answers, says so to people, and programs get nothing but results."""

import csv
from pathlib import Path

import pytest

from earmark.cli.options import DEFAULT_MODEL
from earmark.model.inside import inside_file
from tests.cli.command import Here
from tests.tinymodel import save_novel_model

INTRODUCED = ["everyday 1 answers, with 5 labels; --model yamnet knows 521"]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put another model in the place of the one inside, and let there be no cache."""
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    path = save_novel_model(tmp_path / "everyday.onnx", name=DEFAULT_MODEL)
    monkeypatch.setattr("earmark.model.hub.inside_file", lambda: path)
    return path


@pytest.mark.parametrize("command", ["classify", "events", "timeline", "listen"])
def test_people_learn_which_model_answers(sounds: Path, stand_in: Path, here: Here, command: str) -> None:
    done = here(command, "noise.wav")
    assert done.status == 0
    first, *rest = done.err.splitlines()
    assert first == f"earmark: {INTRODUCED[0]}"
    assert not rest or command == "listen"


@pytest.mark.parametrize("words", [["--json"], ["--format", "csv"]], ids=" ".join)
def test_programs_get_results_alone(sounds: Path, stand_in: Path, here: Here, words: list[str]) -> None:
    for command in ("classify", "events", "timeline"):
        done = here(command, "noise.wav", *words)
        assert (done.status, done.err) == (0, "")
        assert "--model" not in done.out
    assert here("listen", "noise.wav", "--json").complaints == []


def test_a_model_that_was_named_needs_no_introduction(
    sounds: Path, stand_in: Path, tiny_model: Path, tmp_path: Path, here: Here
) -> None:
    assert here("classify", "noise.wav", "--model", tiny_model).err == ""
    told = here("listen", "noise.wav", "--model", tiny_model).err
    assert told.startswith("earmark: tiny 1 answers, with 5 labels\n")
    written = tmp_path / "tags.txt"
    assert here("classify", "noise.wav", "-o", written).err == ""
    assert written.read_text(encoding="utf-8").startswith("noise.wav  everyday 1  ")


def test_the_number_of_classes_is_true() -> None:
    with inside_file().with_name("yamnet_class_map.csv").open(encoding="utf-8", newline="") as file:
        assert f"yamnet knows {len(list(csv.DictReader(file)))}" in INTRODUCED[0]


def test_models_commands_know_it(stand_in: Path, tmp_path: Path, here: Here) -> None:
    listed = here("models", "list").out.splitlines()
    assert listed[0].startswith("everyday 1  5 labels  ")
    assert listed[0].endswith("  inside earmark")
    assert here("models", "pull", "everyday").out.splitlines() == listed[:2]
    assert ", inside earmark)" in " ".join(here("models", "info", "everyday").out.split())
    (facts,) = here("models", "info", "everyday", "--json").objects
    assert (facts["inside"], facts["path"]) == (True, str(stand_in))
    assert here("verify", "everyday").out.startswith("everyday 1  passes: ")
    assert here("verify").out.startswith("everyday 1  passes: ")
    for words in (["remove", "everyday"], ["import", "everyday"], ["import", stand_in]):
        done = here("models", *words)
        assert (done.status, done.out) == (2, "")
        (complaint,) = done.complaints
        assert complaint.startswith("'everyday' is the model inside earmark")
    assert not (tmp_path / "cache").exists()


def test_a_checkout_without_it(sounds: Path, stand_in: Path, here: Here) -> None:
    stand_in.unlink()
    for words in (["classify", "noise.wav"], ["models", "info", "everyday"], ["models", "pull", "everyday"]):
        done = here(*words)
        assert (done.status, done.out) == (1, "")
        (complaint,) = done.complaints
        assert "`python -m everyday ship` makes it; or take another, as `--model yamnet` does" in complaint
    assert here("models", "list").out.startswith(
        "everyday  cannot be used: 'everyday', the model inside earmark, is not"
    )
    assert "no model is installed" in here("verify").complaints[0]
