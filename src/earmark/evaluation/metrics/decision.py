"""Measures of decisions: which labels a clip gets when one has to say."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earmark.errors import OptionError
from earmark.evaluation.metrics.ranking import best_columns
from earmark.evaluation.metrics.table import Booleans, Floats, checked, mean_of_known, ratio


def decide(scores: ArrayLike, *, thresholds: ArrayLike | None = None) -> Booleans:
    """Return which labels each clip gets.

    Parameters
    ----------
    scores : array-like, shape (clips, classes)
    thresholds : array-like, shape (classes,) or (), optional
        A label is given where its score reaches its threshold. Without: the label of the highest score, the first of
        those that tie; and none where the scores leave more to 1 than the highest has, as those of a model do that has
        learnt what is none of its classes.

    Returns
    -------
    ndarray of bool, shape (clips, classes)
    """
    numbers = np.asarray(scores, np.float64)
    if thresholds is not None:
        given: Booleans = numbers >= np.asarray(thresholds, np.float64)
        return given
    given = np.zeros(numbers.shape, bool)
    given[np.arange(len(numbers)), numbers.argmax(axis=1)] = True
    given[1.0 - numbers.sum(axis=1) > numbers.max(axis=1)] = False
    return given


def top_k_accuracy(scores: ArrayLike, targets: ArrayLike, k: int = 1) -> float:
    """Return the share of clips that have one of their labels among the k highest scores.

    Clips without a label are left out. Tied labels rank in their order, as `classify` lists them.
    """
    numbers, truth = checked(scores, targets)
    if k < 1:
        raise OptionError(f"k={k} is not allowed: give 1 or more")
    labelled = truth.any(axis=1)
    best = best_columns(numbers[labelled], k)
    return mean_of_known(np.take_along_axis(truth[labelled], best, axis=1).any(axis=1))


def precision_recall_f1(given: ArrayLike, targets: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of each class.

    Parameters
    ----------
    given, targets : array-like of bool, shape (clips, classes)
        As `decide` has them, and as it is. Both of shape (n, 1), flattened, give the micro average.

    Returns
    -------
    precision, recall, f1 : ndarray of float64, shape (classes,)
        NaN for a class without positives; 0 for one that has some and is never given.
    """
    decided, truth = checked(given, targets)
    true = (decided.astype(bool) & truth).sum(axis=0)
    named, there = decided.sum(axis=0), truth.sum(axis=0)
    absent = there == 0
    precision, recall, f1 = ratio(true, named, empty=0.0), ratio(true, there), ratio(2 * true, named + there)
    precision[absent] = f1[absent] = np.nan
    return precision, recall, f1


def confusion(scores: ArrayLike, targets: ArrayLike, refused: ArrayLike | None = None) -> NDArray[np.int64]:
    """Return how often which label was heard as which.

    Clips with several labels do not count; the answer is the label of the highest score, or none of them.

    Parameters
    ----------
    scores, targets : array-like, shape (clips, classes)
    refused : array-like of bool, shape (clips,), optional
        Which clips are answered with none of the labels.

    Returns
    -------
    ndarray of int64, shape (classes + 1, classes + 1)
        Rows are what it is, columns what was answered; the last of both is none of the labels.
    """
    numbers, truth = checked(scores, targets)
    none = truth.shape[1]
    counts = np.zeros((none + 1,) * 2, np.int64)
    if len(truth):
        true = np.where(truth.any(axis=1), truth.argmax(axis=1), none)
        answers = np.where(False if refused is None else np.asarray(refused, bool), none, numbers.argmax(axis=1))
        counted = truth.sum(axis=1) <= 1
        np.add.at(counts, (true[counted], answers[counted]), 1)
    return counts
