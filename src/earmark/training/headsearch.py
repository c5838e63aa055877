"""The search for a head's settings by cross-validation inside the training clips; what its models said out of fold."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from earmark.data.manifest import Clip, Manifest
from earmark.data.splits import Split, cross_folds
from earmark.errors import ManifestError, TooFewClipsError
from earmark.inference.classifier import default_threads
from earmark.inference.parallel import ordered_map
from earmark.training.heads import Head, Lesson, Values
from earmark.training.projection import Scaling, project
from earmark.training.run import Run
from earmark.training.scorers import Linear, Scorer

Rows = NDArray[np.float32]

_SCALES = np.geomspace(0.25, 32.0, 15)  # half an octave apart


@dataclass(frozen=True)
class Choice:
    """What the search found.

    Parameters
    ----------
    values : Mapping of str to float
        The head's settings.
    scaling : {"whole", "each"} or None
        Scale of the features; see `earmark.training.projection.project`.
    projection : Linear or None
        What is done to rows before the head sees them.
    scale : float
        What its logits are multiplied with to be those of probabilities; 1 unless they are margins.
    splits : tuple of Split
        The folds; empty where there could be none.
    scorers : tuple of Scorer
        The models of the folds, from rows as they come to logits.
    logits : tuple of ndarray of float32, shape (clips, classes)
        What each model said about the clips of its fold, which it was not trained on.
    accuracy, log_loss : float
        Of all these, the loss after the scale that makes it smallest; NaN where there are none.
    """

    values: Values
    scaling: Scaling | None
    projection: Linear | None
    scale: float = 1.0
    splits: tuple[Split, ...] = ()
    scorers: tuple[Scorer, ...] = ()
    logits: tuple[Rows, ...] = ()
    accuracy: float = float("nan")
    log_loss: float = float("nan")


def inner_folds(manifest: Manifest, run: Run) -> tuple[Split, ...]:
    """Divide training clips once more, to choose settings with and to have scores of clips that were not trained on.

    The official folds where every clip has one, else grouped and stratified ones. Where a class has too few sources for
    that, its clips count as sources of their own, and a lone clip is always trained on: the report then says so.

    Raises
    ------
    LeakError
        If a source lies in two official folds, unless the run is forced.
    """
    try:
        return cross_folds(manifest, seed=run.seed, force=run.force)
    except (TooFewClipsError, ManifestError) as error:
        run.report(f"settings are chosen on folds that divide sources, for there are few: {error}")
    counts = Counter(label for clip in manifest.clips for label in _classes(clip))
    divided = np.array([all(counts[label] > 1 for label in _classes(clip)) for clip in manifest.clips], bool)
    places = np.flatnonzero(divided)
    apart = replace(manifest, clips=tuple(_apart(manifest.clips[place]) for place in places))
    for count in (None, 2):
        try:
            found = cross_folds(apart, count=count, seed=run.seed)
        except (TooFewClipsError, ManifestError):
            continue
        always = np.flatnonzero(~divided)
        return tuple(
            Split(split.name, np.sort(np.concatenate([places[split.train], always])), places[split.test])
            for split in found
        )
    run.report("no folds are possible: the usual settings are taken")
    return ()


def _classes(clip: Clip) -> tuple[str | None, ...]:
    """Return the labels of a clip; None for one of no class."""
    return clip.labels or (None,)


def _apart(clip: Clip) -> Clip:
    return replace(clip, fold=None, group=clip.name)


def search(
    head: Head, lesson: Lesson, splits: Sequence[Split], progress: Callable[[int, int], None] | None = None
) -> Choice:
    """Train a head with every setting on every fold, side by side, and return the best setting.

    The best has the lowest log loss once its logits are scaled as calibration will scale them. With balanced classes
    that exclude each other every class counts the same.

    Scale and axes of the features are learnt once, from all clips of the lesson without their labels. `progress` gets
    how many folds are done, and how many there are, each once for every scaling.
    """
    threads = default_threads()
    views = [_view(lesson, scaling) for scaling in head.scalings or (None,)]
    with _one_thread_each():
        if not splits:
            return Choice(head.grid[head.usual], views[0].scaling, views[0].projection)
        jobs = [(view, split) for view in views for split in splits]
        trained = []
        for found in ordered_map(lambda job: _trained(head, *job), jobs, threads):
            trained.append(found)
            if progress:
                progress(len(trained), len(jobs))
        choices = [
            _judged(head, view, values, splits, [said[number] for said in trained[first : first + len(splits)]])
            for first, view in zip(range(0, len(jobs), len(splits)), views, strict=True)
            for number, values in enumerate(head.grid)
        ]
    return min(choices, key=lambda choice: choice.log_loss)


def refit(head: Head, lesson: Lesson, choice: Choice) -> Scorer:
    """Train a head on all clips with the settings that were chosen; return the scorer of rows as they come."""
    projected = lesson if choice.projection is None else replace(lesson, rows=choice.projection(lesson.rows))
    with _one_thread_each():
        scorer = next(head.train(projected, [choice.values]))
    return _whole(choice.projection, scorer).scaled(choice.scale)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Keep matrix products on one thread, for jobs run side by side, and settings that do not settle from warning."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn needs it and brings it

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@dataclass(frozen=True)
class _View:
    """A lesson with its rows projected."""

    scaling: Scaling | None
    projection: Linear | None
    lesson: Lesson


def _view(lesson: Lesson, scaling: Scaling | None) -> _View:
    if scaling is None:
        return _View(None, None, lesson)
    projection = project(lesson.rows, scaling)
    return _View(scaling, projection, replace(lesson, rows=projection(lesson.rows)))


def _trained(head: Head, view: _View, split: Split) -> list[tuple[Scorer, Rows]]:
    """Return of each setting the scorer of projected rows, and its logits for the fold's clips."""
    scorers = head.train(view.lesson.select(split.train), head.grid)
    return [(scorer, scorer(view.lesson.rows[split.test])) for scorer in scorers]


def _whole(projection: Linear | None, scorer: Scorer) -> Scorer:
    return scorer if projection is None else projection.then(scorer)


def _judged(
    head: Head, view: _View, values: Values, splits: Sequence[Split], found: Sequence[tuple[Scorer, Rows]]
) -> Choice:
    """Return a setting with what its models said, and how right they were."""
    lesson, order = view.lesson, np.concatenate([split.test for split in splits])
    targets, logits = lesson.targets[order], np.concatenate([said for _, said in found])
    weights = _judging_weights(lesson, order)
    losses = [_log_loss(np.float32(factor) * logits, targets, lesson.exclusive, weights) for factor in _SCALES]
    scale = float(_SCALES[int(np.argmin(losses))]) if head.margins else 1.0
    right = logits.argmax(axis=1) == targets.argmax(axis=1)
    if not lesson.exclusive:
        right = ((logits > 0) == (targets > 0)).mean(axis=1)
    return Choice(
        values,
        view.scaling,
        view.projection,
        scale=scale,
        splits=tuple(splits),
        scorers=tuple(_whole(view.projection, scorer).scaled(scale) for scorer, _ in found),
        logits=tuple(np.float32(scale) * said for _, said in found),
        accuracy=float(np.average(right, weights=weights)),
        log_loss=min(losses),
    )


def _judging_weights(lesson: Lesson, order: NDArray[np.int64]) -> NDArray[np.float64]:
    weights = lesson.clip_weights() if lesson.exclusive else None
    return np.ones(len(order)) if weights is None else weights[order]


def _log_loss(logits: Rows, targets: Rows, exclusive: bool, weights: NDArray[np.float64]) -> float:
    """Return the mean log loss of a clip."""
    if exclusive:
        highest = logits.max(axis=1, keepdims=True)
        totals = highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1))
        losses = totals - (logits * targets).sum(axis=1)
    else:
        losses = (np.logaddexp(0.0, logits) - logits * targets).sum(axis=1)
    return float(np.average(losses, weights=weights))
