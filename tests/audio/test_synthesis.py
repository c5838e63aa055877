"""Sounds made from arithmetic: the same for the same seed, where their truth says, and nowhere else."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from earmark.audio.synthesis import AUDIOSET, SAMPLE_RATE_HZ, SILENCE, SOUNDS, scene, voice
from earmark.audio.synthesis.soundscape import ORDER


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the one folder in which programs are looked for, which is empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, script: str) -> None:
    path = folder / "espeak-ng"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_scene_without_a_voice(no_programs: Path) -> None:
    waveform, truth = scene(np.random.default_rng(5))
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert 0.45 < np.abs(waveform).max() < 0.55
    assert [label for label, _, _ in truth] == list(ORDER)
    assert 50 < len(waveform) / SAMPLE_RATE_HZ < 60
    edges = [edge for passage in truth for edge in (passage.onset, passage.offset)]
    assert edges == sorted(edges)
    assert truth[-1].offset < len(waveform) / SAMPLE_RATE_HZ


def test_sounds_have_the_names_of_the_model_inside() -> None:
    from everyday.labels import LABELS

    assert set(ORDER) <= set(LABELS)
    assert set(ORDER) <= {*SOUNDS, SILENCE}
    assert set(AUDIOSET) <= set(SOUNDS)


def test_sound_is_where_the_truth_says(no_programs: Path) -> None:
    waveform, truth = scene(np.random.default_rng(5))
    sounds = np.zeros(len(waveform), bool)
    for label, onset, offset in truth:
        if label == SILENCE:
            continue
        inside = slice(round(onset * SAMPLE_RATE_HZ), round(offset * SAMPLE_RATE_HZ))
        sounds[inside] = True
        thirds = np.array_split(waveform[inside], 3)
        assert all(np.abs(third).max() > 0.05 for third in thirds), f"{label} is silent for a while"
    assert 0 < np.abs(waveform[~sounds]).max() < 0.001


def test_the_same_seed_makes_the_same_scene(no_programs: Path) -> None:
    first, again, other = (scene(np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("label", SOUNDS)
@pytest.mark.parametrize("seconds", [1.5, 2.25])
def test_every_sound_lasts_as_long_as_asked(label: str, seconds: float) -> None:
    wave = SOUNDS[label](np.random.default_rng(5), seconds)
    assert wave.shape == (round(seconds * SAMPLE_RATE_HZ),)
    assert np.isfinite(wave).all()
    assert np.abs(wave).max() > 0


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no espeak-ng")
def test_a_voice() -> None:
    spoken = voice("one two three")
    assert spoken is not None
    assert 0.5 < len(spoken) / SAMPLE_RATE_HZ < 4
    assert np.abs(spoken).max() > 0.01
    _, truth = scene(np.random.default_rng(5))
    assert truth[0].label == "speech"


@pytest.mark.parametrize("script", ["exit 1", "echo no sound", "exit 0"])
def test_a_voice_that_does_not_work_is_left_out(no_programs: Path, script: str) -> None:
    assert voice() is None
    program(no_programs, script)
    assert shutil.which("espeak-ng") is not None
    assert voice() is None


def test_a_voice_that_hangs_is_left_out(no_programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earmark.audio.synthesis.speech._TIMEOUT_SECONDS", 0.2)
    program(no_programs, "while :; do :; done")
    assert voice() is None
