"""models list, info, pull, import, verify, remove; and verify."""

import json
from pathlib import Path

import numpy as np
import pytest

from earmark.cli.models import _readable
from earmark.model import hub
from earmark.model.status import ModelStatus
from tests.cli.command import Here, earmark
from tests.model.local_server import serving, whole
from tests.model.tinyhub import SOURCE, changed_weight, tiny_hub


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_model_comes_and_goes(cache: Path, tiny_model: Path, tmp_path: Path, here: Here) -> None:
    done = earmark("models", "import", tiny_model, "--name", "mine", cwd=tmp_path)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("mine 1  5 labels  0.")
    assert (cache / "models" / "mine.onnx").is_file()

    listed = earmark("models", "list", "--json", cwd=tmp_path)
    assert (listed.status, listed.err) == (0, "")
    mine = next(model for model in listed.objects if model["name"] == "mine")
    assert (mine["installed"], mine["label_count"], mine["path"]) == (True, 5, str(cache / "models" / "mine.onnx"))
    assert "yamnet  not installed: earmark models pull yamnet\n" in here("models", "list").out

    verified = earmark("models", "verify", cwd=tmp_path)
    assert (verified.status, verified.err) == (0, "")
    assert "tiny 1  passes: outputs differ by " in verified.out

    removed = earmark("models", "remove", "mine", cwd=tmp_path)
    assert (removed.status, removed.out, removed.err) == (0, "mine is removed\n", "")
    again = here("models", "remove", "mine")
    assert again.status == 1
    assert "model 'mine' is not installed" in again.complaints[0]


def test_info(tiny_model: Path, cache: Path, tmp_path: Path, here: Here) -> None:
    done = earmark("models", "info", tiny_model, cwd=tmp_path)
    assert (done.status, done.err) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert facts["name"] == "tiny 1"
    assert facts["events"] == "on 0.6, off 0.4"
    assert facts["licence"] == "Apache-2.0"
    assert here("models", "info", tiny_model, "--labels").out.splitlines()[1] == "/t/noise\tNoise, hiss"
    (card,) = here("models", "info", tiny_model, "--json").objects
    assert (card["installed"], card["labels"][0]) == (True, {"id": "/t/tone", "name": "Tone"})
    known = here("models", "info", "yamnet")
    assert "no: earmark models pull yamnet" in known.out
    assert "https://" in known.out
    absent = here("models", "info", "yamnet", "--labels")
    assert (absent.status, absent.out) == (1, "")
    assert "run `earmark models pull yamnet`" in absent.complaints[0]
    unknown = here("models", "info", "yamnat")
    assert unknown.status == 2
    assert "nearest: yamnet" in unknown.complaints[0]


def test_info_has_the_thresholds(novel_model: Path, tmp_path: Path, here: Here) -> None:
    done = here("models", "info", novel_model)
    (card,) = here("models", "info", novel_model, "--json").objects
    assert f"none of these  from a novelty of {card['novelty_threshold']:g} on" in done.out
    for count, told in (
        (1, "Tone on 0.7, off 0.2"),
        (11, "11 labels have their own, on 0.7 to 0.7: --json lists them"),
    ):
        card["decision"]["classes"] = {f"/t/{n or 'tone'}": {"on": 0.7, "off": 0.2} for n in range(count)}
        assert _readable(card)["thresholds"] == told


def test_an_import_that_fails_names_the_file_given(cache: Path, tiny_model: Path, tmp_path: Path, here: Here) -> None:
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(changed_weight(tiny_model.read_bytes()))
    done = here("models", "import", changed, "--name", "mine")
    assert done.status == 1
    assert done.complaints[0].startswith("changed.onnx fails its own test")


def test_verify_one_good_and_two_bad(tiny_model: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(changed_weight(tiny_model.read_bytes()))
    done = earmark("verify", tiny_model, changed, "no.onnx", "--json", cwd=tmp_path)
    assert done.status == 1
    good, bad, missing = done.objects
    assert (good["passed"], good["unchanged"]) == (True, True)
    assert (bad["kind"], missing["kind"]) == ("VerificationError", "ModelNotFoundError")
    assert "changed.onnx fails its own test" in done.complaints[0]
    assert done.complaints[2] == "2 of 3 inputs failed"


def test_pull(tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(whole(SOURCE)) as server:
        monkeypatch.setattr(hub, "default_hub", lambda: tiny_hub(tmp_path, server.url))
        done = here("models", "pull", "tiny")
        assert (done.status, done.err) == (0, "")
        assert done.out.startswith("tiny 1-float32  5 labels  0.")
        assert (tmp_path / "cache" / "models" / "tiny.onnx").is_file()
        assert here("models", "pull", "tiny").status == 0
        assert server.requests == 1
        assert here("models", "pull", "tony").status == 2


def test_pull_without_a_network(tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "default_hub", lambda: tiny_hub(tmp_path))
    done = here("models", "pull", "tiny")
    assert (done.status, done.out) == (1, "")
    (complaint,) = done.complaints
    assert "could not download" in complaint
    assert "copy it to" in complaint


def test_what_cannot_be_imported(cache: Path, sounds: Path, tiny_model: Path, here: Here) -> None:
    for words, status, message in (
        (["no.onnx"], 1, "no model file at no.onnx"),
        (["bad.wav"], 1, "bad.wav is not a model"),
        ([tiny_model, "--name", "../up"], 2, "'../up' cannot name a model"),
        ([tiny_model, "--precision", "int4"], 2, "int4"),
    ):
        done = here("models", "import", *words)
        assert (done.status, done.out) == (status, ""), words
        assert message in done.err
    assert not cache.exists()


def test_calibration_clips_are_handed_on(sounds: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    clips: list[np.ndarray] = []

    class Hub:
        def import_model(self, file, *, name, precision, calibration, force):
            clips.extend(calibration)
            return ModelStatus("mine", False, Path(file))

    monkeypatch.setattr(hub, "default_hub", Hub)
    done = here("models", "import", "x.tflite", "--precision", "int8", "--calibrate-with", "forest")
    assert done.status == 0
    assert [len(clip) for clip in clips] == [16_000, 32_000, 24_000]
    assert here("models", "import", "x.tflite", "--calibrate-with", "empty").status == 1


@pytest.mark.shared
def test_yamnet_by_hand(shared: Path, cache: Path, sounds: Path, here: Here) -> None:
    """The published file, put where the message says, is all that `classify` needs."""
    words = ("classify", "noise.wav", "--model", "yamnet", "--json")
    missing = here(*words)
    assert missing.status == 1
    source = shared / "models/yamnet/yamnet_classification_int8.tflite"
    place = Path(missing.complaints[0].rpartition(" copy it to ")[2])
    place.parent.mkdir(parents=True)
    place.write_bytes(source.read_bytes())
    done = here(*words)
    assert (done.status, done.err) == (0, "")
    assert done.objects[0]["model"] == "yamnet"
    assert json.loads(here("verify", "yamnet", "--json").out)["passed"]
