"""From which score on a class is there: the threshold of best F1, or of a wanted precision or recall."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError

Values = NDArray[np.float64]

ENOUGH_POSITIVES = 10
"""A class with fewer is drawn to the threshold of all classes together, in proportion."""

_LOWEST, _HIGHEST = 0.01, 0.99
_DECIMALS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What thresholds are chosen for: a precision, a recall, or neither for the best F1.

    Parameters
    ----------
    precision, recall : float, optional
        In (0, 1]; at most one of them. The threshold is then the lowest of that precision, or the highest of that
        recall.

    Raises
    ------
    OptionError
        If both are given, or one is out of range.
    """

    precision: float | None = None
    recall: float | None = None

    def __post_init__(self) -> None:
        if self.precision is not None and self.recall is not None:
            raise OptionError(f"precision={self.precision:g} and recall={self.recall:g}: give one, the other follows")
        for name, value in (("precision", self.precision), ("recall", self.recall)):
            if value is not None and not 0.0 < value <= 1.0:
                raise OptionError(f"{name}={value:g} is not allowed: give a share above 0, 1 at most")


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """From which score on classes are there.

    Parameters
    ----------
    shared : float
        For all classes together.
    of_class : ndarray of float64, shape (classes,)
        For each by itself.
    notes : tuple of str
        What could not be had.
    """

    shared: float
    of_class: Values
    notes: tuple[str, ...] = ()


def fit_thresholds(
    scores: NDArray[np.float32],
    targets: NDArray[np.float32],
    names: Sequence[str],
    wanted: Wanted | None = None,
    *,
    trust: Values | None = None,
) -> Thresholds:
    """Choose a threshold for each class.

    Parameters
    ----------
    scores : ndarray of float32, shape (clips, classes)
        Of clips, or of frames, that the model was not trained on.
    targets : ndarray of float32, shape (clips, classes)
        1 where the class is there.
    names : sequence of str
        What notes call the classes.
    wanted : Wanted, optional
        By default the best F1.
    trust : ndarray of float64, shape (classes,), optional
        In [0, 1], how much of a class's threshold is its own. By default all of it from `ENOUGH_POSITIVES` positives
        on, and less in proportion.

    Notes
    -----
    The threshold of a class is a mean, in the logit, of its own and the one that is best for all classes together; one
    without any positive takes the latter.
    """
    wanted = wanted or Wanted()
    trust = np.minimum(1.0, (targets > 0).sum(axis=0) / ENOUGH_POSITIVES) if trust is None else trust
    shared, _ = _best(scores.ravel(), targets.ravel() > 0, wanted)
    of_class, notes = np.full(scores.shape[1], shared), []
    for column, positive in enumerate(targets.T > 0):
        if positive.any():
            own, reached = _best(scores[:, column], positive, wanted)
            of_class[column] = _between(shared, own, float(trust[column]))
            if wanted.precision is not None and reached < wanted.precision:
                notes.append(
                    f"{names[column]}: a precision of {wanted.precision:g} is out of reach, {reached:.2g} is not"
                )
    return Thresholds(_tidy(shared), np.array([_tidy(value) for value in of_class]), tuple(notes))


def _best(scores: NDArray[np.float32], positive: NDArray[np.bool_], wanted: Wanted) -> tuple[float, float]:
    """Return the threshold, midway between two scores, and the precision that it has."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order].astype(np.float64)
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # of each group of equal scores
    hits = np.cumsum(positive[order])[last]
    precision, recall = hits / (last + 1), hits / max(1, hits[-1])
    choice = _choice(precision, recall, wanted)
    below = ranked[last[choice] + 1] if last[choice] + 1 < len(ranked) else 0.0
    return float(ranked[last[choice]] + below) / 2, float(precision[choice])


def _choice(precision: Values, recall: Values, wanted: Wanted) -> int:
    """Return which threshold, of falling ones, does what is wanted."""
    if wanted.recall is not None:
        return int(np.argmax(recall >= wanted.recall))
    if wanted.precision is not None:
        reached = np.flatnonzero(precision >= wanted.precision)
        return int(reached[-1]) if len(reached) else int(np.argmax(precision))
    return int(np.argmax(precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)))


def _between(shared: float, own: float, trust: float) -> float:
    """Return the mean of two probabilities in the logit, `trust` of it from the second."""
    if trust == 1.0:
        return own
    ends = np.clip([shared, own], _LOWEST, _HIGHEST)
    logit = (1 - trust) * np.log(ends[0] / (1 - ends[0])) + trust * np.log(ends[1] / (1 - ends[1]))
    return float(1 / (1 + np.exp(-logit)))


def _tidy(threshold: float) -> float:
    return round(min(max(threshold, _LOWEST), _HIGHEST), _DECIMALS)
