"""Measures that see only the order of scores: no threshold, no calibration.

Average precision and ROC-AUC order the clips of a class; MAP@k and lwlrap order the classes of a clip. Tied scores are
one step of a curve, so no order among them is made up.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earmark.errors import OptionError
from earmark.evaluation.metrics.table import Booleans, Floats, checked, mean_of_known, ratio

_ROWS_AT_ONCE = 8192


def operating_points(scores: Floats, positive: Booleans) -> tuple[Floats, Floats, Floats]:
    """Return what each threshold lets through, from the strictest on.

    Parameters
    ----------
    scores : ndarray of float, shape (clips,)
    positive : ndarray of bool, shape (clips,)

    Returns
    -------
    thresholds, true_positives, false_positives : ndarray of float64, shape (distinct scores,)
        Counts of the clips that score the threshold or more.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1) if len(ranked) else np.zeros(0, np.intp)
    true = np.cumsum(positive[order], dtype=np.float64)[last]
    return ranked[last], true, last + 1.0 - true


def precision_recall_curve(scores: ArrayLike, positive: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and threshold of one class, from the strictest threshold on.

    Parameters
    ----------
    scores, positive : array-like, shape (clips,)

    Returns
    -------
    precision, recall, thresholds : ndarray of float64, shape (distinct scores,)
        Recall is NaN where nothing is positive.
    """
    numbers, truth = checked(np.reshape(scores, (-1, 1)), np.reshape(positive, (-1, 1)))
    thresholds, true, false = operating_points(numbers[:, 0], truth[:, 0])
    return ratio(true, true + false), ratio(true, truth.sum()), thresholds


def average_precision(scores: ArrayLike, targets: ArrayLike) -> Floats:
    """Return the average precision of each class: the area under its precision-recall curve, in steps.

    Returns
    -------
    ndarray of float64, shape (classes,)
        NaN for a class without positives.
    """
    return areas(scores, targets)[0]


def roc_auc(scores: ArrayLike, targets: ArrayLike, *, max_false_positive_rate: float = 1.0) -> Floats:
    """Return the area under the ROC curve of each class.

    Parameters
    ----------
    scores, targets : array-like, shape (clips, classes)
    max_false_positive_rate : float
        In (0, 1]. Below 1 it is the partial area, scaled so that chance is 0.5 and perfection 1 (McClish 1989); the
        DCASE anomaly tasks use 0.1.

    Returns
    -------
    ndarray of float64, shape (classes,)
        NaN for a class without positives or without negatives.
    """
    return areas(scores, targets, max_false_positive_rate)[1]


def areas(scores: ArrayLike, targets: ArrayLike, *rates: float) -> tuple[Floats, ...]:
    """Return the average precision of each class, then the area under its ROC curve up to each of the rates.

    All from one sorting; see `average_precision` and `roc_auc`.
    """
    wrong = [rate for rate in rates if not 0.0 < rate <= 1.0]
    if wrong:
        raise OptionError(f"max_false_positive_rate={wrong[0]:g} is not allowed: above 0, at most 1")
    numbers, truth = checked(scores, targets)
    found = np.full((1 + len(rates), truth.shape[1]), np.nan)
    for column in range(truth.shape[1]):
        _, true, false = operating_points(numbers[:, column], truth[:, column])
        if len(true) and true[-1]:
            found[0, column] = np.sum(np.diff(true, prepend=0.0) * true / (true + false)) / true[-1]
            if false[-1]:
                found[1:, column] = [_area(true, false, rate) for rate in rates]
    return tuple(found)


def _area(true: Floats, false: Floats, limit: float) -> float:
    rates = np.concatenate([[0.0], false / false[-1]])
    hits = np.concatenate([[0.0], true / true[-1]])
    if limit == 1.0:
        return _trapezium(hits, rates)
    stop = int(np.searchsorted(rates, limit, side="right"))
    edge = np.interp(limit, rates[stop - 1 : stop + 1], hits[stop - 1 : stop + 1])
    partial = _trapezium(np.append(hits[:stop], edge), np.append(rates[:stop], limit))
    chance = limit**2 / 2
    return 0.5 * (1.0 + (partial - chance) / (limit - chance))


def _trapezium(heights: Floats, places: Floats) -> float:
    return float(np.sum(np.diff(places) * (heights[1:] + heights[:-1]) / 2))


def d_prime(mean_roc_auc: float) -> float:
    """Return how many standard deviations apart positives and negatives would lie if both were normal.

    ``sqrt(2)`` times the normal quantile of the mean ROC-AUC, as for AudioSet (Hershey et al. 2017): 0 is chance,
    infinity perfection.
    """
    if math.isnan(mean_roc_auc):
        return math.nan
    if mean_roc_auc in (0.0, 1.0):
        return math.copysign(math.inf, mean_roc_auc - 0.5)
    return math.sqrt(2.0) * NormalDist().inv_cdf(mean_roc_auc)


def map_at_k(scores: ArrayLike, targets: ArrayLike, k: int = 3) -> float:
    """Return the mean over clips of the average precision of their k best labels, as Kaggle has it.

    For a clip with one label it is 1 / rank if the label is among the first k, else 0. Clips without a label are left
    out. Tied labels rank in their order, as `classify` lists them.
    """
    numbers, truth = checked(scores, targets)
    numbers, truth = numbers[truth.any(axis=1)], truth[truth.any(axis=1)]
    if k < 1:
        raise OptionError(f"k={k} is not allowed: give 1 or more")
    hits = np.take_along_axis(truth, best_columns(numbers, k), axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return mean_of_known((precision * hits).sum(axis=1) / np.minimum(truth.sum(axis=1), k))


def best_columns(scores: Floats, k: int) -> NDArray[np.intp]:
    """Return the k highest classes of each clip, the highest first, those that tie in their order."""
    left = scores.copy()
    rows = np.arange(len(scores))
    columns = np.empty((len(scores), min(k, scores.shape[1])), np.intp)
    for place in range(columns.shape[1]):  # a few times the highest is faster than sorting hundreds of classes
        columns[:, place] = left.argmax(axis=1)
        left[rows, columns[:, place]] = -np.inf
    return columns


def lwlrap(scores: ArrayLike, targets: ArrayLike) -> tuple[float, Floats]:
    """Return the label-weighted label-ranking average precision, overall and of each class.

    For each label of each clip: which share of the labels that score as high as it, or higher, are labels of the clip.
    Overall it is the mean over all labels of all clips, so every label counts the same (Kaggle, Freesound 2019).
    Tied labels count as ranked above.

    Returns
    -------
    overall : float
    of_class : ndarray of float64, shape (classes,)
        NaN for a class without positives.
    """
    numbers, truth = checked(scores, targets)
    clips, classes = np.nonzero(truth)
    precision = np.zeros(len(clips))
    for start in range(0, len(clips), _ROWS_AT_ONCE):
        rows, columns = clips[start : start + _ROWS_AT_ONCE], classes[start : start + _ROWS_AT_ONCE]
        above = numbers[rows] >= numbers[rows, columns][:, None]
        precision[start : start + _ROWS_AT_ONCE] = (above & truth[rows]).sum(axis=1) / above.sum(axis=1)
    sums = np.bincount(classes, weights=precision, minlength=truth.shape[1])
    return mean_of_known(precision), ratio(sums, truth.sum(axis=0))
