"""Weights of an ensemble's members, fitted on scores of clips that none of them was trained on."""

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError
from earmark.model.card import Task

_SMALLEST = 1e-7
_STEPS = 2000
_CLOSE_ENOUGH = 1e-9


def fit_weights(
    scores: NDArray[np.float32], targets: NDArray[np.float32], *, task: Task, background: bool = False
) -> NDArray[np.float64]:
    """Find the weighted mean of members' scores that gives the truth the highest likelihood.

    Parameters
    ----------
    scores : ndarray of float32, shape (members, clips, classes)
        Probabilities, the classes in one order.
    targets : ndarray of float32, shape (clips, classes)
        1 where a label is true.
    task : {"single-label", "multi-label"}
    background : bool
        Whether what single-label scores lack to 1 is the probability of none of the labels.

    Returns
    -------
    ndarray of float64, shape (members,)
        At least 0, with sum 1.

    Raises
    ------
    OptionError
        If shapes do not fit, or no clip says anything.

    Notes
    -----
    The likelihood of a mixture is concave in its weights, and expectation-maximisation (Dempster, Laird and Rubin,
    1977) climbs it without a step size: a member's new weight is the mean share that it has in what is true.
    """
    if scores.ndim != 3 or scores.shape[1:] != targets.shape:
        raise OptionError(f"scores {scores.shape} and targets {targets.shape}: give (members, clips, classes) and one")
    chances = np.maximum(_chances_of_truth(scores.astype(np.float64), targets, task, background), _SMALLEST)
    if not chances.shape[1]:
        raise OptionError("no clip has a label: weights need labelled clips")
    weights = np.full(len(scores), 1 / len(scores))
    for _ in range(_STEPS):
        shares = weights[:, None] * chances
        new = (shares / shares.sum(axis=0)).mean(axis=1)
        change = np.abs(new - weights).max()
        weights = new
        if change < _CLOSE_ENOUGH:
            break
    return np.asarray(weights / weights.sum())


def _chances_of_truth(
    scores: NDArray[np.float64], targets: NDArray[np.float32], task: Task, background: bool
) -> NDArray[np.float64]:
    """Return the probability that each member gave to what is true, shape (members, facts)."""
    true = targets > 0
    if task == "multi-label":
        return np.asarray(np.where(true, scores, 1 - scores).reshape(len(scores), -1))
    labelled = true.any(axis=1)
    chances = (scores * true).sum(axis=2)[:, labelled]  # of several labels any is right
    if not background:
        return np.asarray(chances)
    return np.concatenate([chances, 1 - scores[:, ~labelled].sum(axis=2)], axis=1)
