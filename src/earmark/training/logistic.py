"""Logistic regression with a prior of one's choice, in a few numbers: for calibration and novelty."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_NEWTON_STEPS = 50
_CLOSE_ENOUGH = 1e-10


def fit_logistic(
    design: Values,
    targets: Values,
    *,
    prior: Values,
    strength: float,
    offset: Values | float = 0.0,
    weights: Values | float = 1.0,
) -> Values:
    """Minimise ``sum(weights * cross-entropy) + strength / 2 * |point - prior|**2`` by Newton's method.

    Parameters
    ----------
    design : ndarray of float64, shape (rows, numbers)
        A column for each number to be found; ones for an intercept.
    targets : ndarray of float64, shape (rows,)
        In [0, 1].
    prior : ndarray of float64, shape (numbers,)
        Where the search begins, and what it is drawn to.
    strength : float
        At least 0; 0 for the maximum of the likelihood.
    offset, weights : ndarray of float64, shape (rows,), or float
        Added to the logit; and how much each row counts.

    Returns
    -------
    ndarray of float64, shape (numbers,)
    """

    def loss(point: Values) -> float:
        margin = design @ point + offset
        pull = point - prior
        return float((weights * (np.logaddexp(0, margin) - targets * margin)).sum() + strength * (pull @ pull) / 2)

    point = prior.astype(np.float64)
    for _ in range(_NEWTON_STEPS):
        chances = sigmoid(design @ point + offset)
        slope = design.T @ (weights * (chances - targets)) + strength * (point - prior)
        curvature = design.T @ (design * (weights * chances * (1 - chances))[:, None]) + strength * np.eye(len(point))
        step = np.linalg.lstsq(curvature, slope, rcond=None)[0]
        before = loss(point)
        size = next((size for size in 0.5 ** np.arange(20) if loss(point - size * step) < before), 0.0)
        point = point - size * step
        if size * np.abs(step).max() < _CLOSE_ENOUGH:
            break
    return point


def balanced(targets: Values) -> Values:
    """Return weights by which both outcomes count alike, 1 on average."""
    share = float(np.clip(targets.mean(), 1e-12, 1 - 1e-12))
    return np.where(targets > 0, 0.5 / share, 0.5 / (1 - share))


def sigmoid(logits: Values) -> Values:
    """Return ``1 / (1 + exp(-logits))``."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))))
