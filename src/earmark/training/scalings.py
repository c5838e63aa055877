"""Maps from scores to calibrated probabilities: temperature, Platt, isotonic. What they are, not how they are found.

All take probabilities, as a model's outputs are, so that a model can be calibrated that is already a file, and twice.
A row without any score is what a model gives silence, and stays so.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]

SMALLEST_SCORE = 1e-12
"""What the logarithm of a single-label score is taken of at least."""

SMALLEST_REMAINDER = 1e-4
"""The same for what scores lack to 1: a difference of sums of float32, so nothing below is more than rounding."""

SMALLEST_ODDS = 1e-6
"""A multi-label score is held this far from 0 and 1 before its logit is taken."""


@dataclass(frozen=True, slots=True)
class Temperature:
    """Single-label: ``softmax(log p / temperature)``. The order of classes stays as it was.

    Parameters
    ----------
    temperature : float
        > 0; above 1 the model is made less sure of itself.
    background : bool
        Whether what the scores of a row lack to 1 is a class of its own: that none of the labels is there.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017.
    """

    temperature: float
    background: bool = False

    def apply(self, scores: Scores) -> Scores:
        """Return calibrated scores of the same shape (..., classes)."""
        logits = log_scores(scores, background=self.background) / self.temperature
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares = powers / powers.sum(axis=-1, keepdims=True)
        return with_silence(shares[..., : scores.shape[-1]], scores)

    def to_dict(self) -> dict[str, Any]:
        """Return the map as JSON-ready data."""
        return {"method": "temperature", "temperature": round(self.temperature, 6), "background": self.background}


@dataclass(frozen=True, slots=True, eq=False)
class Platt:
    """Multi-label: ``sigmoid(slope * logit(p) + intercept)`` per class.

    Parameters
    ----------
    slopes, intercepts : ndarray of float32, shape (classes,)
        Slopes are positive, so the order of clips within a class stays as it was.

    References
    ----------
    Platt, "Probabilistic outputs for support vector machines", 1999.
    """

    slopes: NDArray[np.float32]
    intercepts: NDArray[np.float32]

    def apply(self, scores: Scores) -> Scores:
        """Return calibrated scores of the same shape (..., classes)."""
        return with_silence(1 / (1 + np.exp(-(self.slopes * logits(scores) + self.intercepts))), scores)

    def to_dict(self) -> dict[str, Any]:
        """Return the map as JSON-ready data."""
        return {"method": "platt", "slopes": _rounded(self.slopes), "intercepts": _rounded(self.intercepts)}


@dataclass(frozen=True, slots=True, eq=False)
class Isotonic:
    """Multi-label: a rising line of straight pieces per class, level beyond its ends.

    Parameters
    ----------
    knots : ndarray of float32, shape (classes, knots)
        Scores at which the line bends, rising. A class with fewer repeats its last.
    values : ndarray of float32, shape (classes, knots)
        Probabilities there, rising.

    References
    ----------
    Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability estimates", KDD 2002.
    """

    knots: NDArray[np.float32]
    values: NDArray[np.float32]

    def pieces(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return where each piece starts, its width and its rise, each of shape (classes, knots - 1)."""
        widths = np.diff(self.knots, axis=1)
        rises = np.where(widths > 0, np.diff(self.values, axis=1), 0)
        return self.knots[:, :-1], np.where(widths > 0, widths, 1), rises.astype(np.float32)

    def apply(self, scores: Scores) -> Scores:
        """Return calibrated scores of the same shape (..., classes)."""
        starts, widths, rises = self.pieces()
        along = np.clip((scores[..., None] - starts) / widths, 0, 1)
        return with_silence(self.values[:, 0] + (along * rises).sum(axis=-1), scores)

    def to_dict(self) -> dict[str, Any]:
        """Return the map as JSON-ready data."""
        return {"method": "isotonic", "knots": _rounded(self.knots), "values": _rounded(self.values)}


Calibration = Temperature | Platt | Isotonic


def with_silence(made: NDArray[np.floating[Any]], scores: NDArray[np.floating[Any]]) -> Scores:
    """Return what was made of scores (..., classes), 0 in the rows in which no score was."""
    return np.asarray(np.where(scores.any(axis=-1, keepdims=True), made, 0), np.float32)


def log_scores(scores: Scores, *, background: bool) -> NDArray[np.float64]:
    """Return logarithms of single-label scores; with a background its column comes last."""
    exact = scores.astype(np.float64)
    columns = [np.log(np.clip(exact, SMALLEST_SCORE, 1))]
    if background:
        columns.append(np.log(np.clip(1 - exact.sum(axis=-1, keepdims=True), SMALLEST_REMAINDER, 1)))
    return np.concatenate(columns, axis=-1)


def logits(scores: Scores) -> NDArray[np.float64]:
    """Return ``log(p / (1 - p))`` of multi-label scores."""
    held = np.clip(scores.astype(np.float64), SMALLEST_ODDS, 1 - SMALLEST_ODDS)
    return np.asarray(np.log(held) - np.log1p(-held))


def _rounded(values: NDArray[np.float32]) -> list[Any]:
    rounded: list[Any] = np.round(values.astype(np.float64), 6).tolist()
    return rounded
