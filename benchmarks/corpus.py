"""The recordings: ESC-50 as it is, as Ogg Vorbis, and end to end as one long file."""

import csv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE_HZ = 16_000
CLIP_SECONDS = 5.0

Waveform = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip of ESC-50.

    Parameters
    ----------
    path : Path
        FLAC, 16 kHz, mono, five seconds and one sample.
    target : int
        Its class.
    fold : int
        Its official fold, 1 to 5.
    esc10 : bool
        Whether it belongs to ESC-10, a subset of ten classes and 400 clips.
    """

    path: Path
    target: int
    fold: int
    esc10: bool

    def waveform(self) -> Waveform:
        """Return its samples, float32 of shape (samples,), at `RATE_HZ`."""
        samples, rate_hz = soundfile.read(self.path, dtype="float32")
        assert rate_hz == RATE_HZ, f"{self.path} has {rate_hz} Hz"
        return np.asarray(samples)


def read_esc50(shared: Path) -> list[Clip]:
    """Return the clips of ESC-50 in the order of its table."""
    folder = shared / "data" / "esc50"
    with (folder / "meta" / "esc50.csv").open(encoding="utf-8", newline="") as table:
        return [
            Clip(folder / "audio" / row["filename"], int(row["target"]), int(row["fold"]), row["esc10"] == "True")
            for row in csv.DictReader(table)
        ]


def make_oggs(clips: Sequence[Clip], folder: Path, rate_hz: int) -> list[Path]:
    """Write the clips as Ogg Vorbis of quality 5 at another rate, and return the files."""
    folder.mkdir()
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda clip: _make_ogg(clip, folder, rate_hz), clips))


def _make_ogg(clip: Clip, folder: Path, rate_hz: int) -> Path:
    path = folder / f"{clip.path.stem}.ogg"
    samples = soxr.resample(clip.waveform(), RATE_HZ, rate_hz)
    quality_5_of_10 = {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.5}
    with soundfile.SoundFile(path, "w", rate_hz, 1, **quality_5_of_10) as file:
        for start in range(0, len(samples), rate_hz):
            file.write(samples[start : start + rate_hz])
    return path


def make_long_file(clips: Sequence[Clip], path: Path, seconds: float) -> None:
    """Write the clips end to end, again and again, as one FLAC of so many seconds; never more than one in memory."""
    left = round(seconds * RATE_HZ)
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, format="FLAC", subtype="PCM_16", compression_level=0.0) as file:
        for clip in cycle(clips):
            if left <= 0:
                return
            samples = clip.waveform()[:left]
            file.write(samples)
            left -= len(samples)


def pieces(clips: Sequence[Clip], seconds: float) -> Iterator[Waveform]:
    """Yield waveforms of so many seconds, made of as many clips as that takes."""
    per_piece = round(seconds / CLIP_SECONDS)
    for start in range(0, len(clips) - per_piece + 1, per_piece):
        yield np.concatenate([clip.waveform() for clip in clips[start : start + per_piece]])
