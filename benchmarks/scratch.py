"""From scratch: networks on log-mel and on the waveform, ESC-50, the five official folds, alone and together.

The recipes `cnn` and `wave` with their defaults; no weights from elsewhere. Their ensemble is the mean of their
calibrated scores; nothing in it is fitted.
"""

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.heads import MOST_CALIBRATION_ERROR
from benchmarks.manifests import esc50, few
from benchmarks.outoffold import Folds, accuracy, accuracy_row, calibration_row, mean_of, only, out_of_fold
from benchmarks.row import Goal, Quantity, Row

REACH = {"cnn": 84.0, "wave": 70.0}
MOST_MINUTES = {"cnn": 30.0}
POINTS_ABOVE = 2.0


def measure(bench: Bench) -> Iterator[Row]:
    """Yield accuracy, time and calibration of both, and what they gain together."""
    manifest = few(esc50(bench), classes=2) if bench.quick else esc50(bench)
    short = {"epochs": 1, "batch_size": 8, "crop_seconds": 1.0} if bench.quick else {}
    members = []
    for recipe, reach in REACH.items():
        folds = out_of_fold(bench, "esc50", manifest, recipe, **short)
        if not folds.parts:  # none was asked for, and none is kept
            continue
        yield accuracy_row("ESC-50", folds, reach)
        yield slowest_row(folds)
        yield calibration_row("ESC-50", folds, MOST_CALIBRATION_ERROR)
        members.append(folds)
    if len(members) > 1:
        yield from gain_rows(members)


def slowest_row(folds: Folds) -> Row:
    """Return the time of the slowest fold."""
    minutes = [part.seconds / 60 for part in folds.parts]
    most = MOST_MINUTES.get(folds.recipe)
    return Row(
        what=f"{folds.recipe}: ESC-50, the slowest fold",
        ours=Quantity(max(minutes), "min"),
        goal=None if most is None else Goal(most, at_most=True),
        note=f"each {', '.join(f'{each:.1f}' for each in minutes)}",
    )


def gain_rows(members: list[Folds]) -> Iterator[Row]:
    """Yield the ensemble's accuracy beside the better member's, and by how many points it is higher."""
    together = mean_of(members)
    if not together.parts:
        return
    names = [part.fold for part in together.parts]
    best = max((only(member, names) for member in members), key=accuracy)
    ours, theirs = Quantity(accuracy(together), "%"), Quantity(accuracy(best), "%")
    title = f"mean of {together.recipe}: ESC-50"
    yield Row(what=f"{title}, accuracy", ours=ours, against=f"{best.recipe} alone", peer=theirs, note=together.told())
    yield Row(
        what=f"{title}, gain over the better one",
        ours=Quantity(ours.value - theirs.value, "points"),
        goal=Goal(POINTS_ABOVE),
        note=f"{best.recipe} is the better one, {len(names)} of {together.of} folds",
    )
    yield calibration_row("ESC-50", together, MOST_CALIBRATION_ERROR)
