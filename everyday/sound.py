"""One sound to teach or test with: the file, what it is, and who may be thanked for it; and lists of them as CSV."""

import csv
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from earmark.audio.decode import read_audio
from earmark.errors import ManifestError

RATE_HZ = 16_000
NO_LABEL = ""
"""Of sound that is none of the classes."""

Waveform = NDArray[np.float32]
"""Shape (samples,), mono, at `RATE_HZ`, in [-1, 1]."""


@dataclass(frozen=True)
class Sound:
    """One labelled sound file.

    Parameters
    ----------
    path : Path
        The file.
    label : str
        One of `everyday.labels.LABELS`, or `NO_LABEL`.
    group : str
        What must stay on one side of a split: a source recording, a speaker, a voice, a set of instruments.
    source : str
        The data set, or the generator.
    author : str
        Who made it.
    licence : str
        Of this file: "CC0", "CC-BY", "Apache-2.0", "MIT", or what its author wrote.
    fold : str
        The official fold of ESC-50, "1" to "5", or "".
    held_out : bool
        Whether the measured run keeps it for the test of speech, music and silence. The shipped model learns it too.
    """

    path: Path
    label: str
    group: str
    source: str
    author: str
    licence: str
    fold: str = ""
    held_out: bool = False

    def waveform(self) -> Waveform:
        """Return its samples."""
        return read_audio(self.path, RATE_HZ)[0]


class Plan(Protocol):
    """A sound that can be made: what it is, known before the work of making it."""

    @property
    def label(self) -> str:
        """As of `Sound`."""

    @property
    def group(self) -> str:
        """As of `Sound`."""

    @property
    def held_out(self) -> bool:
        """As of `Sound`."""

    def render(self) -> Waveform:
        """Make it: the same samples every time."""


_COLUMNS = [field.name for field in fields(Sound)]


def write_sounds(path: Path, sounds: Iterable[Sound]) -> None:
    """Write a list of sounds as CSV, with paths relative to its folder."""
    folder = path.parent.resolve()
    with path.open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        for sound in sounds:
            writer.writerow(asdict(sound) | {"path": Path(os.path.relpath(sound.path.resolve(), folder)).as_posix()})


def read_sounds(path: Path) -> list[Sound]:
    """Read what `write_sounds` wrote.

    Raises
    ------
    ManifestError
        If the columns are others.
    """
    with path.open(encoding="utf-8", newline="") as table:
        rows = csv.DictReader(table)
        if rows.fieldnames != _COLUMNS:
            raise ManifestError(
                f"{path} has the columns {rows.fieldnames}, not {_COLUMNS}: run python -m everyday.make"
            )
        return [_sound(path.parent, **row) for row in rows]


def _sound(folder: Path, *, path: str, held_out: str, **words: str) -> Sound:
    return Sound(Path(os.path.normpath(folder / path)), held_out=held_out == "True", **words)
