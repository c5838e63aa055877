"""All of YAMNet taught on: ESC-50, the five official folds, alone and in an ensemble with a head.

The recipes `finetune` and `head` with their defaults. The ensemble is the mean of their calibrated scores; nothing in
it is fitted. The time is the wall clock's, of training, calibration and scoring of all folds.
"""

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.heads import MOST_CALIBRATION_ERROR
from benchmarks.manifests import esc50, few
from benchmarks.outoffold import Folds, accuracy, accuracy_row, calibration_row, mean_of, only, out_of_fold
from benchmarks.row import Goal, Quantity, Row

REACH, REACH_TOGETHER = 90.0, 91.5
MOST_MINUTES = 45.0


def measure(bench: Bench) -> Iterator[Row]:
    """Yield accuracy, time and calibration of `finetune`, and what a head adds to it."""
    manifest = few(esc50(bench), classes=2) if bench.quick else esc50(bench)
    short = {"epochs": 1, "batch_size": 8} if bench.quick else {}
    tuned = out_of_fold(bench, "esc50", manifest, "finetune", **short)
    yield accuracy_row("ESC-50", tuned, REACH)
    yield time_row(tuned)
    yield calibration_row("ESC-50", tuned, MOST_CALIBRATION_ERROR)
    together = mean_of([tuned, out_of_fold(bench, "esc50", manifest, "head")])
    same = only(tuned, [part.fold for part in together.parts])
    yield Row(
        what="mean of finetune and head: ESC-50, accuracy",
        ours=Quantity(accuracy(together), "%"),
        against="finetune alone",
        peer=Quantity(accuracy(same), "%"),
        goal=Goal(REACH_TOGETHER),
        note=together.told(),
    )
    yield calibration_row("ESC-50", together, MOST_CALIBRATION_ERROR)


def time_row(folds: Folds) -> Row:
    """Return how long the folds took, and the share of the whole that so many may take."""
    minutes = [part.seconds / 60 for part in folds.parts]
    return Row(
        what=f"{folds.recipe}: ESC-50, time of {len(minutes)} folds",
        ours=Quantity(sum(minutes), "min"),
        goal=Goal(MOST_MINUTES * len(minutes) / folds.of, at_most=True),
        note=f"each {', '.join(f'{each:.1f}' for each in minutes)}",
    )
