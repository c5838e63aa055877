"""A head on a frozen backbone: `earmark crossval` with nothing said but the data, ESC-50, ESC-10 and ten instruments.

The command runs in a process of its own, as a user runs it, kept to two cores: once with no embeddings in the cache and
once more with all of them. Its seconds are the wall clock's, from its start to its end. Every clip is scored by a model
that has not seen its fold: neither its training, nor the choice of its settings, nor its calibration. ESC-50 and ESC-10
have official folds; the instruments have none and name no sources, so that their folds divide files.

The calibration error is the expected one in 15 bins of equal width, of all clips together.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.bench import Bench
from benchmarks.manifests import esc10, esc50, instruments
from benchmarks.row import Goal, Quantity, Row
from benchmarks.timing import Usage, cores, earmark_command, meter
from earmark.data.manifest import Manifest
from earmark.model.cache import cache_folder

CORES = 2
REACH_ESC50, REACH_ESC10 = 86.5, 97.5
MOST_SECONDS, MOST_SECONDS_FROM_CACHE = 90.0, 15.0
MOST_CALIBRATION_ERROR = 0.04


def measure(bench: Bench) -> Iterator[Row]:
    """Yield accuracy, time and calibration."""
    shutil.rmtree(cache_folder() / "embeddings", ignore_errors=True)  # of other benchmarks in this run
    from_files, outcome = crossval_command(bench, "esc50", esc50)
    from_cache, _ = crossval_command(bench, "esc50", esc50)
    yield accuracy("ESC-50", outcome, Goal(REACH_ESC50))
    yield seconds("five folds from files", from_files, MOST_SECONDS)
    yield seconds("five folds from the cache", from_cache, MOST_SECONDS_FROM_CACHE)
    yield calibration("ESC-50", outcome)
    _, outcome = crossval_command(bench, "esc10", esc10)
    yield accuracy("ESC-10", outcome, Goal(REACH_ESC10))
    _, outcome = crossval_command(bench, "instruments", instruments)
    yield accuracy("instruments", outcome)
    yield ranking("instruments", outcome)


def crossval_command(bench: Bench, name: str, read: Callable[[Bench], Manifest]) -> tuple[Usage, dict[str, Any]]:
    """Run `earmark crossval` on two cores; return what it cost and what it found."""
    listing = bench.folder / f"{name}.csv"
    read(bench).to_csv(listing)
    with cores(CORES):
        usage = meter([earmark_command(), "crossval", str(listing), "--json"])
    return usage, json.loads(usage.output)


def accuracy(name: str, outcome: dict[str, Any], goal: Goal | None = None) -> Row:
    """Return the mean accuracy over the folds."""
    spread = outcome["spread"]["accuracy"]
    values = ", ".join(f"{100 * value:.2f}" for value in spread["values"])
    return Row(
        what=f"{name}: accuracy, mean of {len(spread['values'])} folds",
        ours=Quantity(100 * spread["mean"], "%"),
        goal=goal,
        note=f"{outcome['metrics']['clips']:,} clips; folds {values}",
    )


def seconds(what: str, usage: Usage, most: float) -> Row:
    """Return how long the command took."""
    return Row(
        what=f"ESC-50: {what}",
        ours=Quantity(usage.seconds, "s"),
        goal=Goal(most, at_most=True),
        note=f"{usage.cpu_seconds:.0f} s of computing on {CORES} cores; the start of the command counts",
    )


def calibration(name: str, outcome: dict[str, Any]) -> Row:
    """Return the calibration error on folds that the calibration has not seen."""
    return Row(
        what=f"{name}: calibration error",
        ours=Quantity(outcome["metrics"]["expected_calibration_error"], ""),
        goal=Goal(MOST_CALIBRATION_ERROR, at_most=True),
        note=f"log loss {outcome['metrics']['log_loss']:.3f}, Brier score {outcome['metrics']['brier']:.3f}",
    )


def ranking(name: str, outcome: dict[str, Any]) -> Row:
    """Return MAP@3, the measure of FSDKaggle2018."""
    return Row(
        what=f"{name}: MAP@3",
        ours=Quantity(outcome["metrics"]["map_at_3"], ""),
        note=f"calibration error {outcome['metrics']['expected_calibration_error']:.3f}",
    )
