"""Who made the sound that the model inside was taught with, by which licence: ``python -m everyday.credits --help``."""

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from earmark.errors import DataError
from everyday.make import GENERATORS, TABLE
from everyday.sound import Sound, read_sounds

ALLOWED = ("CC0", "CC-BY", "Apache-2.0", "MIT")
"""Licences that let anyone use the model anywhere."""

CREDITS, TEXT = "everyday-credits.csv", "everyday-credits.txt"

_PREFACE = """\
The sound that the model "everyday" was taught with
===================================================

All recordings were brought to 16 kHz and one channel, mixed, and changed in level, speed and bandwidth. The model holds
none of them. Each is named in everyday-credits.csv with its author, its licence and, where it is known, its page.

CC0 is https://creativecommons.org/publicdomain/zero/1.0/, CC-BY https://creativecommons.org/licenses/by/4.0/ or an
earlier version of it, Apache-2.0 https://www.apache.org/licenses/LICENSE-2.0, MIT https://opensource.org/license/mit.

- ESC-50: clips by their own authors, chosen from K. J. Piczak, "ESC: Dataset for Environmental Sound Classification",
  ACM Multimedia 2015. Only those that their authors gave as CC0 or CC-BY.
- FSDKaggle2018: clips of instruments, CC0 or CC-BY, from E. Fonseca et al., "General-purpose tagging of Freesound audio
  with AudioSet labels", DCASE 2018.
- Speech Commands: P. Warden, "Speech Commands: a dataset for limited-vocabulary speech recognition", 2018, CC BY 4.0.
- Wake words: the benchmark of Picovoice. Speech, music, silence: T. Giannakopoulos, pyAudioAnalysis.
- Made sound: our own sentences spoken by espeak-ng, which claims nothing on what it says; our own scores played by
  FluidSynth with the sound font FluidR3 GM by Frank Wen and others; noises from arithmetic.

Sounds by source and licence:

"""


@dataclass(frozen=True)
class Credit:
    """A line of the credits.

    Parameters
    ----------
    file : str
        The clip's name in its source; all of a generator at once.
    label : str
        What it was taught as; "" for none of the classes.
    author, licence, source : str
        As of `everyday.sound.Sound`.
    page : str
        Where the recording was published, or "".
    """

    file: str
    label: str
    author: str
    licence: str
    source: str
    page: str = ""


def credit(sounds: Iterable[Sound]) -> list[Credit]:
    """Return a line for each recording and for each generator, in the order of the sounds.

    Raises
    ------
    DataError
        If a licence is none of `ALLOWED`.
    """
    made = {generator.source for generator in GENERATORS.values()}
    lines = dict.fromkeys(_line(sound, made=sound.source in made) for sound in sounds)
    for line in lines:
        if line.licence not in ALLOWED:
            raise DataError(
                f"{line.file} of {line.source} has the licence {line.licence!r}, not one of {', '.join(ALLOWED)}: "
                "leave it out of what the model is taught with"
            )
    return list(lines)


def write_credits(folder: Path, sounds: Sequence[Sound]) -> None:
    """Write the table of all credits and a text about them into a folder.

    Raises
    ------
    DataError
        As `credit`.
    """
    lines = credit(sounds)
    with (folder / CREDITS).open("w", encoding="utf-8", newline="") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(field.name for field in fields(Credit))
        writer.writerows(map(astuple, lines))
    (folder / TEXT).write_text(_PREFACE + _summary(sounds), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the credits of a table of sounds."""
    parser = argparse.ArgumentParser(prog="python -m everyday.credits", description=__doc__)
    parser.add_argument(
        "--sounds", type=Path, default=Path("build/everyday/sounds") / TABLE, help="the table of sounds"
    )
    parser.add_argument("--out", type=Path, default=Path("src/earmark/model/weights"), help="folder for the credits")
    options = parser.parse_args(arguments)
    write_credits(options.out, read_sounds(options.sounds))
    return 0


def _line(sound: Sound, *, made: bool) -> Credit:
    file = f"{sound.path.stem.partition('-')[0]}-*" if made else sound.path.name
    return Credit(file, sound.label, sound.author, sound.licence, sound.source, _page(sound))


def _page(sound: Sound) -> str:
    """Return the page of a clip of ESC-50, whose source recording has its number on Freesound."""
    kind, _, number = sound.group.partition(":")
    return f"https://freesound.org/s/{number}/" if kind == "esc50" else ""


def _summary(sounds: Iterable[Sound]) -> str:
    counted = Counter((sound.source, sound.licence) for sound in sounds)
    return "".join(f"{count:6,}  {source}, {licence}\n" for (source, licence), count in counted.items())


if __name__ == "__main__":
    sys.exit(main())
