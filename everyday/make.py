"""Makes the sound that the model inside is taught with, and lists it: ``python -m everyday.make --help``."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from everyday.music import Piece
from everyday.noise import Noise, Silence
from everyday.sound import RATE_HZ, Plan, Sound, Waveform, write_sounds
from everyday.sources import SHARED, shared_sounds
from everyday.speech import Utterance

TABLE = "sounds.csv"


@dataclass(frozen=True)
class Generator:
    """Where made sound comes from.

    Parameters
    ----------
    draw : callable
        Draws a plan of one sound.
    count : int
        How many are made.
    source, author, licence : str
        As of `Sound`.
    bits : int
        Of a sample in the file; the faintest silence needs 24.
    """

    draw: Callable[[np.random.Generator], Plan]
    count: int
    source: str
    author: str
    licence: str
    bits: int = 16


OURS = "The earmark authors"
GENERATORS = {
    # espeak-ng claims nothing on what it says, and the sentences are our own.
    "speech": Generator(Utterance.draw, 700, "espeak-ng", OURS, "Apache-2.0"),
    # What is heard are the samples of the font.
    "music": Generator(Piece.draw, 700, "FluidSynth with FluidR3 GM", "Frank Wen and others (FluidR3 GM)", "MIT"),
    "noise": Generator(Noise.draw, 300, "everyday.noise", OURS, "Apache-2.0"),
    "silence": Generator(Silence.draw, 60, "everyday.noise", OURS, "Apache-2.0", bits=24),
}
QUICK = 20
"""So many times fewer with ``--quick``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is not there yet, and write the table of all sounds."""
    options = _parser().parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    sounds = list(make(options.out, seed=options.seed, fewer=QUICK if options.quick else 1))
    if options.shared.is_dir():
        sounds = [*shared_sounds(options.shared), *sounds]
    write_sounds(options.out / TABLE, sounds)
    print(f"{len(sounds)} sounds: {options.out / TABLE}", file=sys.stderr)
    return 0


def make(folder: Path, *, seed: int, fewer: int = 1) -> Iterator[Sound]:
    """Make all sounds in a folder; those that are there already stay.

    Parameters
    ----------
    folder : Path
        One for each seed.
    seed : int
        The same seed makes the same sounds, whatever the numbers of them.
    fewer : int
        Divides the numbers.
    """
    for number, (kind, generator) in enumerate(GENERATORS.items()):
        began, count = time.monotonic(), generator.count // fewer
        for index in range(count):
            plan = generator.draw(np.random.default_rng([seed, number, index]))
            path = folder / f"{kind}-{index:04d}.flac"
            if not path.exists():
                save(path, plan.render(), bits=generator.bits)
            yield Sound(
                path=path,
                label=plan.label,
                group=plan.group,
                source=generator.source,
                author=generator.author,
                licence=generator.licence,
                held_out=plan.held_out,
            )
        print(f"{kind}: {count} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def save(path: Path, waveform: Waveform, *, bits: int = 16) -> None:
    """Write a FLAC file, whole or not at all."""
    half = path.with_suffix(".part")
    soundfile.write(half, waveform, RATE_HZ, format="FLAC", subtype=f"PCM_{bits}")
    half.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m everyday.make", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/everyday/sounds"), help="folder for the sounds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few sounds, to try it out")
    parser.add_argument("--shared", type=Path, default=SHARED, help="where ESC-50, speech and instruments are")
    return parser


if __name__ == "__main__":
    sys.exit(main())
