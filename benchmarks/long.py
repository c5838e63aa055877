"""A 24-hour file: memory as for ten minutes, and how fast.

ESC-50 end to end, again and again, as one FLAC. `earmark classify` and `earmark events` run on it in processes of their
own, as a user would run them, and the operating system says how much memory each had at most.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.corpus import make_long_file
from benchmarks.row import Goal, Quantity, Row
from benchmarks.timing import Usage, earmark_command, meter

MODEL = "yamnet-int8"
SHORT_SECONDS = 600.0
COMMANDS = ("classify", "events")


def measure(bench: Bench) -> Iterator[Row]:
    """Yield peak memory and speed of both commands."""
    hours = bench.pick(24, 1)
    long_seconds = hours * 3600.0
    short, long = bench.folder / "short.flac", bench.folder / "long.flac"
    make_long_file(bench.esc50, short, SHORT_SECONDS)
    make_long_file(bench.esc50, long, long_seconds)
    for command in COMMANDS:
        little = run(command, short, SHORT_SECONDS)
        much = run(command, long, long_seconds)
        yield from compare(f"{command} {hours} h", little, much, long_seconds)
    long.unlink()


def run(command: str, path: Path, seconds: float) -> Usage:
    """Run a command on a file of so many seconds, see that it analysed them all, and return what it cost."""
    usage = meter([earmark_command(), command, str(path), "--json", "--model", MODEL])
    analysed = json.loads(usage.output)["seconds"]
    assert abs(analysed - seconds) < 0.001, f"{command} analysed {analysed} s of {seconds} s"
    return usage


def compare(what: str, little: Usage, much: Usage, long_seconds: float) -> Iterator[Row]:
    """Yield the rows of one command."""
    peak = _megabytes(much)
    yield Row(
        what=f"{what}: peak memory",
        ours=peak,
        against="ten minutes",
        peer=_megabytes(little),
        goal=Goal(1.1, "ratio", at_most=True),
        note=f"the answer itself has {len(much.output):,} characters, that to ten minutes {len(little.output):,}",
    )
    yield Row(what=f"{what}: peak memory", ours=peak, goal=Goal(400.0, at_most=True))
    yield Row(
        what=f"{what}: speed",
        ours=Quantity(long_seconds / much.seconds, "× real time"),
        goal=Goal(1000.0),
        note=f"{much.cpu_seconds:,.0f} s of computing in {much.seconds:,.0f} s",
    )


def _megabytes(usage: Usage) -> Quantity:
    return Quantity(usage.peak_bytes / 1e6, "MB")
