"""A sound to encode, and the real encoders that encode it."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE_HZ = 44_100
SECONDS = 3.0

Encode = Callable[..., Path]


def make_sound(channels: int = 2, rate_hz: int = RATE_HZ, seconds: float = SECONDS) -> np.ndarray:
    """Return noise and a sweep, different in each channel: float32 of shape (samples, channels), peak 0.6."""
    rng = np.random.default_rng(7)
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    sweep = np.sin(2 * np.pi * (200 + 400 * time) * time)
    noise = rng.standard_normal((len(time), channels))
    sound = 0.05 * noise + 0.3 * sweep[:, np.newaxis] * np.linspace(1, 0.5, channels)
    return sound.astype(np.float32)


@pytest.fixture(scope="session")
def sound() -> np.ndarray:
    """Return three seconds of stereo at 44.1 kHz."""
    return make_sound()


@pytest.fixture(scope="session")
def wav(tmp_path_factory: pytest.TempPathFactory, sound: np.ndarray) -> Path:
    """Return the sound as 16-bit WAV."""
    path = tmp_path_factory.mktemp("sound") / "sound.wav"
    soundfile.write(path, sound, RATE_HZ)
    return path


def need(program: str) -> str:
    """Return the path of an encoder, or skip."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


@pytest.fixture(scope="session")
def ffmpeg(tmp_path_factory: pytest.TempPathFactory, wav: Path) -> Encode:
    """Return ``ffmpeg(name, *options)``, which encodes the sound once for each name and options."""
    folder = tmp_path_factory.mktemp("ffmpeg")
    done: dict[tuple[str, ...], Path] = {}

    def encode(name: str, *options: str) -> Path:
        if (name, *options) not in done:
            path = folder / str(len(done)) / name
            path.parent.mkdir()
            command = [need("ffmpeg"), "-v", "error", "-i", str(wav), *options, str(path)]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if "Unknown encoder" in result.stderr:
                pytest.skip(result.stderr.splitlines()[0])
            assert result.returncode == 0, result.stderr
            done[name, *options] = path
        return done[name, *options]

    return encode


@pytest.fixture(scope="session")
def sox(tmp_path_factory: pytest.TempPathFactory, wav: Path) -> Encode:
    """Return ``sox(name, *options)``, which encodes the sound with SoX."""
    folder = tmp_path_factory.mktemp("sox")

    def encode(name: str, *options: str) -> Path:
        path = folder / name
        subprocess.run([need("sox"), "-D", str(wav), *options, str(path)], check=True, capture_output=True)
        return path

    return encode
