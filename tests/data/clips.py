"""Small sounds for the tests of labelled clips."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 8_000


def sound(seed: int, seconds: float = 1.0, rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    """Return bursts of noise: lively enough to be told from any other seed's."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    envelope = np.repeat(rng.uniform(0.05, 0.5, count // 400 + 1), 400)[:count]
    return envelope * rng.uniform(-1, 1, count)


def write_sound(path: Path, seed: int, seconds: float = 0.3, rate_hz: int = RATE_HZ) -> Path:
    """Write such a sound, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(seed, seconds, rate_hz), rate_hz)
    return path


def write_classes(root: Path, *labels: str, clips: int = 2) -> Path:
    """Write a folder for each class."""
    for place, label in enumerate(labels):
        for number in range(clips):
            write_sound(root / label / f"{number}.wav", 100 * place + number)
    return root


def write_text(path: Path, text: str) -> Path:
    """Write a file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
