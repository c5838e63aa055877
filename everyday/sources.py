"""Recordings of others that are taken, each with its licence: ESC-50, speech and instruments of ``../shared/data``."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from everyday.labels import MUSIC, SPEECH
from everyday.sound import Sound

FREE = ("CC0", "CC-BY")
"""Licences of ESC-50 that let anyone use a clip anywhere."""

STROKES = {"Hi-hat", "Snare_drum", "Bass_drum"}
"""Instruments that are left out: most of their clips are a single stroke, which is no music."""

HELD_OUT_SPEECH = {"wake-words"}
HELD_OUT_INSTRUMENTS = {"Cello", "Clarinet"}
_HELD_OUT_EVERY = 4  # of the 40 clips of music, and of the 40 of silence

_PUBLISHERS = {
    "speech-commands": ("contributors of Google Speech Commands v1", "CC-BY"),
    "wake-words": ("Picovoice, wake-word benchmark", "Apache-2.0"),
    "speech-music-silence": ("T. Giannakopoulos, pyAudioAnalysis", "Apache-2.0"),
}
"""Sources of ``data/speech`` that are taken: who published them, and the licence. The digits are CC BY-SA."""


SHARED = Path(os.environ.get("EARMARK_SHARED", "../shared"))
"""Where they are, unless told."""


def shared_sounds(shared: Path) -> list[Sound]:
    """Return all that the model may be taught and tested with: free clips only."""
    return [*esc50(shared), *speech(shared), *instruments(shared)]


def esc50(shared: Path, *, clean: bool = True) -> list[Sound]:
    """Return clips of ESC-50.

    Parameters
    ----------
    shared : Path
        Holds ``data/esc50``.
    clean : bool
        Only those of a licence in `FREE`. The others may be evaluated on, never taught.
    """
    folder = shared / "data" / "esc50"
    return [
        Sound(
            path=folder / "audio" / row["filename"],
            label=row["category"],
            group=f"esc50:{row['src_file']}",
            source="ESC-50",
            author=row["author"],
            licence=row["licence"],
            fold=row["fold"],
        )
        for row in _rows(folder / "meta" / "esc50.csv")
        if not clean or row["licence"] in FREE
    ]


def speech(shared: Path) -> list[Sound]:
    """Return ``data/speech`` without its digits: words, phrases, and seconds of speech, music and silence."""
    folder = shared / "data" / "speech"
    return [
        Sound(
            path=folder / row["path"],
            label=row["label"],
            group=f"{row['source']}:{_speaker(row['source_file'])}",
            source=row["source"],
            author=_PUBLISHERS[row["source"]][0],
            licence=_PUBLISHERS[row["source"]][1],
            held_out=_kept_for_test(row, number),
        )
        for number, row in enumerate(_rows(folder / "manifest.csv"))
        if row["source"] in _PUBLISHERS
    ]


def instruments(shared: Path) -> list[Sound]:
    """Return ``data/instruments`` as music, without `STROKES`.

    Its table names no sources, so that each instrument is one group. Each clip is CC0 or CC BY, and which is not in the
    table: the stricter is assumed.
    """
    folder = shared / "data" / "instruments"
    return [
        Sound(
            path=folder / "audio" / row["fname"],
            label=MUSIC,
            group=f"instruments:{row['label']}",
            source="FSDKaggle2018",
            author="contributors of Freesound, in FSDKaggle2018 by E. Fonseca et al.",
            licence="CC-BY",
            held_out=row["label"] in HELD_OUT_INSTRUMENTS,
        )
        for row in _rows(folder / "train.csv")
        if row["label"] not in STROKES
    ]


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as table:
        yield from csv.DictReader(table)


def _speaker(source_file: str) -> str:
    """Return who speaks, or the recording: in all three sources what stands before the take or the second."""
    return source_file.removesuffix(".wav").split("_nohash_")[0].rsplit("_", 2)[0]


def _kept_for_test(row: dict[str, str], number: int) -> bool:
    if row["label"] == SPEECH:
        return row["source"] in HELD_OUT_SPEECH
    return number % _HELD_OUT_EVERY == 0
