"""Scores beside targets: the one check that all measures share, and a mean that leaves out what cannot be said."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earmark.errors import OptionError

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


def checked(scores: ArrayLike, targets: ArrayLike) -> tuple[Floats, Booleans]:
    """Return scores as float64 and targets as bool, both of shape (clips, classes).

    Raises
    ------
    OptionError
        If the shapes differ, a score is not finite, or a target is neither 0 nor 1.
    """
    numbers, truth = np.asarray(scores, np.float64), np.asarray(targets)
    if numbers.ndim != 2 or numbers.shape != truth.shape:
        raise OptionError(
            f"scores of shape {numbers.shape} and targets of shape {truth.shape} do not fit: "
            "both have a row for each clip and a column for each class"
        )
    if not np.isfinite(numbers).all():
        row, column = np.argwhere(~np.isfinite(numbers))[0]
        raise OptionError(f"the score of clip {row}, class {column} is {numbers[row, column]}: scores must be finite")
    if truth.dtype != bool and not np.isin(truth, (0, 1)).all():
        raise OptionError("targets must be 0 or 1: mixed or smoothed ones are for training, not for measuring")
    return numbers, truth.astype(bool)


def mean_of_known(values: ArrayLike) -> float:
    """Return the mean of what is not NaN; NaN where nothing is left, or infinities of both signs are."""
    numbers = np.asarray(values, np.float64)
    known = numbers[~np.isnan(numbers)]
    with np.errstate(invalid="ignore"):
        return float(known.mean()) if len(known) else float("nan")


def ratio(part: Any, whole: Any, *, empty: float = float("nan")) -> Floats:
    """Return ``part / whole``, and `empty` where the whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    quotient: Floats = np.divide(part, whole, out=np.full(part.shape, empty), where=whole != 0)
    return quotient
