"""What the tests of evaluation share: labelled clips of the tiny model's classes."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.tinymodel import LABELS

RATE_HZ = 16_000


def write_clip(path: Path, seed: int, seconds: float = 0.8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    noise = rng.uniform(-0.5, 0.5, round(seconds * RATE_HZ)) * rng.uniform(0.05, 1.0)
    soundfile.write(path, noise, RATE_HZ)
    return path


def write_list(path: Path, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([heads, *rows])
    return path


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Return a list of ten clips, two of each of the tiny model's classes, named as awkwardly as those are."""
    rows = []
    for number in range(10):
        name = f"clips/{number}<b>&.wav"
        write_clip(tmp_path / name, number)
        split = "test" if number % 2 else "train"
        rows.append((name, f'["{LABELS[number % 5].name}"]', str(number % 2), split))
    return write_list(tmp_path / "clips.csv", ("path", "label", "fold", "split"), rows)
