"""ensemble: several model files become one."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.model.modelfile import read_card
from tests.cli.command import Here
from tests.training.toymodel import toy_model


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand beside two models of different rates, and clips."""
    toy_model(tmp_path / "a.onnx", seed=1, rate_hz=16_000, length=3200, hop=1600)
    toy_model(tmp_path / "b.onnx", seed=2, labels=("rain", "dog", "cat"))
    for number, label in enumerate(["cat", "dog", "rain"] * 6):
        (tmp_path / "clips" / label).mkdir(parents=True, exist_ok=True)
        waveform = np.random.default_rng(number).normal(0, 0.2, 8000)
        soundfile.write(tmp_path / "clips" / label / f"{number}.wav", waveform, 16_000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_ensemble_for_people(workplace: Path, here: Here) -> None:
    done = here("ensemble", "a.onnx", "b.onnx", "-o", "both.onnx")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[:3] == [
        "both.onnx  both: 2 models, 3 labels, 16000 Hz",
        "  0.500  a",
        "  0.500  b",
    ]
    assert "Not calibrated" in done.out
    assert here("verify", "both.onnx").status == 0
    assert here("classify", "clips/cat", "--model", "both.onnx").status == 0
    assert here("events", "clips/cat", "--model", "both.onnx").status == 0


def test_ensemble_for_programs(workplace: Path, here: Here) -> None:
    done = here(
        "ensemble", "a.onnx", "b.onnx", "-o", "both.onnx", "--method", "fitted", "--data", "clips", "--name", "ours",
        "--json",
    )  # fmt: skip
    assert (done.status, done.err) == (0, "")
    facts = json.loads(done.out)
    assert (facts["name"], facts["calibrated"]) == ("ours", True)
    assert sum(member["weight"] for member in facts["weights"]) == pytest.approx(1)
    assert read_card("both.onnx").calibrated
    assert here("verify", "both.onnx").status == 0


def test_what_does_not_fit_is_refused(workplace: Path, here: Here) -> None:
    toy_model(workplace / "c.onnx", labels=("cat", "dog"))
    done = here("ensemble", "a.onnx", "c.onnx", "-o", "both.onnx")
    assert done.status == 2
    assert "'a' has the label 'rain', which 'c' does not have" in done.complaints[0]
    assert here("ensemble", "a.onnx", "-o", "both.onnx").status == 2
    assert here("ensemble", "a.onnx", "b.onnx", "-o", "both.onnx", "--method", "fitted").status == 2
    assert here("ensemble", "a.onnx", "missing.onnx", "-o", "both.onnx").status == 1
    place = here("ensemble", "missing.onnx", "b.onnx", "-o", "nowhere/both.onnx")
    assert "there is no folder nowhere" in place.complaints[0]
    assert not (workplace / "both.onnx").exists()
