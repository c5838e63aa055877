"""How time is taken: contestants in turn, cores and threads pinned, commands in processes of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

METER = Path(__file__).with_name("meter.py")


def alternate(contestants: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Run every contestant once a round, in turn, so that all of them see the same good and bad moments.

    Parameters
    ----------
    contestants : Mapping of str to callable
        What to time, by name. Each runs once before, unmeasured.
    rounds : int
        How often.

    Returns
    -------
    dict of str to list of float
        Wall seconds of every round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run()
    for _ in range(rounds):
        for name, run in contestants.items():
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


@contextmanager
def cores(count: int) -> Iterator[None]:
    """Keep this process, the threads it starts and its children to so many cores, where the system allows it.

    Libraries for linear algebra are told the same number, because their threads are running already.
    """
    from threadpoolctl import threadpool_limits

    before = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
    if before is not None:
        os.sched_setaffinity(0, sorted(before)[:count])
    try:
        with threadpool_limits(count):
            yield
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command cost.

    Parameters
    ----------
    seconds : float
        Wall time.
    cpu_seconds : float
        Time that its threads computed, added up.
    peak_bytes : int
        The most resident memory it had at one time.
    output : str
        What it printed.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def meter(command: Sequence[str]) -> Usage:
    """Run a command in a fresh process and measure it.

    Raises
    ------
    RuntimeError
        If it fails, with what it said.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(METER), *command], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()[-2000:]}")
    return Usage(**json.loads(done.stderr.splitlines()[-1]), output=done.stdout)


def run(command: Sequence[str]) -> str:
    """Run a command that nobody types into, and return what it prints."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.stdout


def earmark_command() -> str:
    """Return the path of the `earmark` command that belongs to this Python."""
    suffix = ".exe" if os.name == "nt" else ""
    return str(Path(sys.executable).with_name(f"earmark{suffix}"))
