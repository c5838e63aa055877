"""Out-of-fold scores that stay: each fold is written when it is done, so that hours of training survive a kill.

The folder of a recipe on a data set is named by a digest of the list of clips and of the recipe's settings: when either
changes, nothing old is taken up. A change of the code does not enter; delete the folder after one.
"""

import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import Bench
from benchmarks.row import Goal, Quantity, Row
from benchmarks.timing import cores
from earmark.data.manifest import Manifest
from earmark.data.splits import cross_folds
from earmark.evaluation.outcome import Outcome, summarise
from earmark.training.crossval import crossval
from earmark.training.recipebook import make_recipe

KEPT = ("kept",)
"""As the folds to do: none; what is done already is shown."""

INTERRUPTED = "stopped by Ctrl-C"
CORES = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class FoldScores:
    """What a model said about the fold that it had not seen.

    Parameters
    ----------
    fold : str
        Its name.
    clips : tuple of str
        Paths, by which folds of two recipes are laid side by side.
    targets, scores : ndarray of float32, shape (clips, labels)
        Scores are calibrated.
    seconds : float
        Wall time of training, calibration and scoring on two cores.
    day : str
        When it was done.
    """

    fold: str
    clips: tuple[str, ...]
    targets: NDArray[np.float32]
    scores: NDArray[np.float32]
    seconds: float
    day: str

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(
                file,
                fold=self.fold,
                clips=np.array(self.clips),
                targets=self.targets,
                scores=self.scores,
                seconds=self.seconds,
                day=self.day,
            )
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> "FoldScores":
        """Read what `write` wrote."""
        with np.load(path) as kept:
            return cls(
                fold=str(kept["fold"]),
                clips=tuple(str(clip) for clip in kept["clips"]),
                targets=kept["targets"],
                scores=kept["scores"],
                seconds=float(kept["seconds"]),
                day=str(kept["day"]),
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Folds:
    """The folds of a recipe that are done.

    Parameters
    ----------
    recipe, labels
        Which.
    parts : tuple of FoldScores
        In the order of the folds.
    of : int
        How many folds the data has.
    """

    recipe: str
    labels: tuple[str, ...]
    parts: tuple[FoldScores, ...]
    of: int

    def outcome(self) -> Outcome:
        """Measure all folds that are done."""
        return summarise(
            labels=self.labels,
            task="single-label",
            targets=np.concatenate([part.targets for part in self.parts]),
            scores=np.concatenate([part.scores for part in self.parts]),
            folds=[part.fold for part in self.parts for _ in part.clips],
            model=self.recipe,
            clips=tuple(clip for part in self.parts for clip in part.clips),
        )

    def told(self) -> str:
        """Return how many folds there are, what each came to, and when it was trained."""
        each = ", ".join(f"{part.fold}: {100 * _accuracy(part):.2f}" for part in self.parts)
        days = sorted({part.day for part in self.parts})
        return (
            f"{len(self.parts)} of {self.of} folds, {each}; trained {' to '.join(dict.fromkeys((days[0], days[-1])))}"
        )


def out_of_fold(bench: Bench, name: str, manifest: Manifest, recipe: str, **settings: Any) -> Folds:
    """Do the folds that were asked for and are not done yet; return all that are done.

    Parameters
    ----------
    bench : Bench
        Its `folds` are those to do, all by default, none where they are `KEPT`; in its `scores` they stay.
    name : str
        Of the data set.
    manifest : Manifest
        Single-label clips.
    recipe : str
        Trained with its defaults, but for `settings`.
    """
    names = [split.name for split in cross_folds(manifest)]
    folder = bench.scores / f"{name}-{recipe}-{_digest(manifest, recipe, settings)}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = {fold: folder / f"fold-{fold}.npz" for fold in names}
    for fold in () if bench.folds == KEPT else bench.folds or names:
        if fold not in paths:
            raise ValueError(f"{name} has no fold {fold!r}; its folds are {', '.join(names)}")
        if not paths[fold].exists():
            _train_and_score(manifest, recipe, fold, settings).write(paths[fold])
    done = tuple(FoldScores.read(path) for path in paths.values() if path.exists())
    return Folds(recipe=recipe, labels=manifest.labels, parts=done, of=len(names))


def mean_of(members: Sequence[Folds]) -> Folds:
    """Return the ensemble: the mean of its members' scores of the folds that all of them have done."""
    common = [part.fold for part in members[0].parts if all(part.fold in _by_fold(member) for member in members)]
    return Folds(
        recipe=" and ".join(member.recipe for member in members),
        labels=members[0].labels,
        parts=tuple(_mean([_by_fold(member)[fold] for member in members]) for fold in common),
        of=members[0].of,
    )


def only(folds: Folds, names: Sequence[str]) -> Folds:
    """Return some of the folds: what is compared must be of the same clips."""
    parts = tuple(part for part in folds.parts if part.fold in names)
    return Folds(recipe=folds.recipe, labels=folds.labels, parts=parts, of=folds.of)


def accuracy(folds: Folds) -> float:
    """Return the mean accuracy over the folds, in per cent."""
    return 100 * float(np.mean([_accuracy(part) for part in folds.parts]))


def accuracy_row(name: str, folds: Folds, reach: float | None = None) -> Row:
    """Return the mean accuracy over the folds that are done."""
    return Row(
        what=f"{folds.recipe}: {name}, accuracy",
        ours=Quantity(accuracy(folds), "%"),
        goal=None if reach is None else Goal(reach),
        note=folds.told(),
    )


def calibration_row(name: str, folds: Folds, most: float) -> Row:
    """Return the calibration error on folds that the calibration has not seen."""
    metrics = folds.outcome().metrics
    return Row(
        what=f"{folds.recipe}: {name}, calibration error",
        ours=Quantity(metrics.expected_calibration_error, ""),
        goal=Goal(most, at_most=True),
        note=f"log loss {metrics.log_loss:.3f}, Brier score {metrics.brier:.3f}",
    )


def _train_and_score(manifest: Manifest, recipe: str, fold: str, settings: Mapping[str, Any]) -> FoldScores:
    begin = time.perf_counter()
    with cores(CORES):
        outcome = crossval(manifest, recipe=recipe, only=(fold,), report=_report, **settings)
    return FoldScores(
        fold=fold,
        clips=outcome.clips,
        targets=outcome.targets,
        scores=outcome.scores,
        seconds=time.perf_counter() - begin,
        day=date.today().isoformat(),
    )


def _report(line: str) -> None:
    """Pass on a line of progress; a training that Ctrl-C cut short is no figure, so end there."""
    print(line, file=sys.stderr, flush=True)
    if INTERRUPTED in line:
        raise KeyboardInterrupt


def _digest(manifest: Manifest, recipe: str, settings: Mapping[str, Any]) -> str:
    """Return twelve digits for clips, labels, folds and all settings of the recipe."""
    told = f"{manifest.digest()} {make_recipe(recipe, settings)!r}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _by_fold(folds: Folds) -> dict[str, FoldScores]:
    return {part.fold: part for part in folds.parts}


def _mean(parts: Sequence[FoldScores]) -> FoldScores:
    first = parts[0]
    assert all(part.clips == first.clips for part in parts), f"fold {first.fold} has other clips in another recipe"
    return FoldScores(
        fold=first.fold,
        clips=first.clips,
        targets=first.targets,
        scores=np.mean([part.scores for part in parts], axis=0, dtype=np.float32),
        seconds=sum(part.seconds for part in parts),
        day=max(part.day for part in parts),
    )


def _accuracy(part: FoldScores) -> float:
    return float(np.mean(part.scores.argmax(axis=1) == part.targets.argmax(axis=1)))
