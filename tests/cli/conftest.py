"""What the tests of the command line share."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.command import Here
from tests.tinymodel import save_novel_model

RATE_HZ = 16_000


def write_noise(path: Path, seconds: float, seed: int = 1) -> Path:
    """Write a recording that no doctor objects to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.4, 0.4, round(seconds * RATE_HZ))
    soundfile.write(path, noise, RATE_HZ)
    return path


@pytest.fixture(scope="session")
def _gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    write_noise(folder / "noise.wav", 3.0)
    write_noise(folder / "forest" / "b.flac", 2.0)
    write_noise(folder / "forest" / "a.WAV", 1.0)
    write_noise(folder / "forest" / "deep" / "c.ogg", 1.5)
    write_noise(folder / "forest" / ".hidden" / "d.wav", 1.5)
    (folder / "forest" / "._a.WAV").write_bytes(b"what another system left")
    (folder / "forest" / "notes.txt").write_text("no sound")
    (folder / "bad.wav").write_bytes(b"no sound in here, whatever the name says")
    (folder / "empty").mkdir()
    return folder


@pytest.fixture
def sounds(_gallery: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder of recordings; nothing is written there."""
    monkeypatch.chdir(_gallery)
    return _gallery


@pytest.fixture(scope="session")
def novel_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a model that tells unknown sound: what is loud."""
    return save_novel_model(tmp_path_factory.mktemp("novel") / "novel.onnx")


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    """Return what runs a command in this process."""
    return Here(capsys)
