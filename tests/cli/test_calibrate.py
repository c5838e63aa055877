"""calibrate: a model file becomes one whose scores are probabilities."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.model.backends import load_backend
from earmark.model.modelfile import read_card
from tests.cli.command import Here
from tests.training.toymodel import toy_model

RATE_HZ = 8000


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand beside a model and a folder of clips that it is right about in two of three cases."""
    model = toy_model(tmp_path / "toy.onnx", seed=1)
    backend = load_backend(model)
    for number in range(36):
        waveform = np.random.default_rng(number).normal(0, 0.2, RATE_HZ // 2).astype(np.float32)
        best = int(backend.run(waveform[None]).clip[0].argmax())
        label = backend.card.labels[(best + (number % 3 == 0)) % 3].id
        (tmp_path / "clips" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "clips" / label / f"{number}.wav", waveform, RATE_HZ, subtype="FLOAT")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_calibrate_for_people(workplace: Path, here: Here) -> None:
    before = (workplace / "toy.onnx").read_bytes()
    done = here("calibrate", "toy.onnx", "clips", "-o", "calibrated.onnx")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "calibrated.onnx  toy, calibrated on 36 clips: temperature"
    assert lines[1].startswith("  before  calibration error 0.")
    assert lines[2].startswith("  after   calibration error 0.")
    assert (workplace / "toy.onnx").read_bytes() == before
    card = read_card("calibrated.onnx")
    assert card.calibrated
    assert card.decision.classes
    assert "calibrated on clips, 36 clips" in card.training_data
    assert here("verify", "calibrated.onnx").status == 0
    answer = here("classify", "clips/cat", "--model", "calibrated.onnx", "--json")
    assert answer.status == 0
    assert all(line["calibrated"] for line in answer.objects)


def test_calibrate_for_programs(workplace: Path, here: Here) -> None:
    (workplace / "clips" / "dog" / "bad.wav").write_bytes(b"no sound")
    done = here("calibrate", "toy.onnx", "clips", "-o", "toy.onnx", "--precision", "0.99", "--json")
    assert done.status == 1
    facts = json.loads(done.out)
    assert facts["calibration"]["method"] == "temperature"
    assert facts["clips"] == 36
    assert facts["after"]["log_loss"] <= facts["before"]["log_loss"] + 0.1
    assert len(facts["failures"]) == 1
    assert "bad.wav" in done.complaints[0]
    assert done.complaints[1].endswith("left out; toy.onnx is written without, and the exit status is 1")
    assert read_card("toy.onnx").metrics["calibration"]["after"] == facts["after"]
    again = here("calibrate", "toy.onnx", "clips", "-o", "twice.onnx")
    assert again.status == 1
    assert len(read_card("twice.onnx").training["recalibration"]) == 2
    assert here("verify", "twice.onnx").status == 0


def test_what_cannot_be_calibrated_is_refused(workplace: Path, here: Here, shared: Path) -> None:
    wrong = here("calibrate", "toy.onnx", "clips", "-o", "out.onnx", "--method", "platt")
    assert wrong.status == 2
    assert "not for single-label models" in wrong.complaints[0]
    both = here("calibrate", "toy.onnx", "clips", "-o", "out.onnx", "--precision", "0.9", "--recall", "0.9")
    assert both.status == 2
    (workplace / "clips" / "cat").rename(workplace / "clips" / "snow")
    other = here("calibrate", "toy.onnx", "clips", "-o", "out.onnx")
    assert other.status == 2
    assert "'snow'" in other.complaints[0]
    assert "--unknown" not in other.complaints[0]
    tflite = shared / "models/yamnet/yamnet_classification_int8.tflite"
    runtime = here("calibrate", tflite, "clips", "-o", "out.onnx")
    assert runtime.status == 1
    assert "only the graph of an .onnx file" in runtime.complaints[0]
    assert not (workplace / "out.onnx").exists()


def test_places_and_order_are_checked_first(workplace: Path, here: Here) -> None:
    for words, status, message in (
        (("toy.onnx", "clips", "-o", "missing/out.onnx"), 1, "there is no folder missing"),
        (("toy.onnx", "clips", "-o", "out.pt"), 1, "out.pt does not end in .onnx"),
        (
            ("clips", "toy.onnx", "-o", "out.onnx"),
            2,
            "look swapped: the model comes first, `earmark calibrate toy",
        ),
    ):
        done = here("calibrate", *words)
        assert done.status == status
        assert message in done.complaints[0]


def test_multi_label_models_need_clips_of_every_label(workplace: Path, here: Here) -> None:
    model = toy_model(workplace / "many.onnx", seed=2, task="multi-label")
    done = here("calibrate", model, "clips", "-o", "out.onnx", "--recall", "0.8", "--json")
    assert done.status == 0
    assert json.loads(done.out)["calibration"]["method"] == "platt"
    for clip in (workplace / "clips" / "rain").iterdir():
        clip.rename(workplace / "clips" / "cat" / f"more-{clip.name}")
    lacking = here("calibrate", model, "clips", "-o", "out.onnx")
    assert lacking.status == 2
    assert "no clip has the label 'rain'" in lacking.complaints[0]
