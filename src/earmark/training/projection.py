"""Projection: pooled rows, of one scale and turned to their principal axes, the few that hold nearly all variance.

Heads converge in fewer and shorter steps there. Scale and turn are linear, so they fold into a linear head.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earmark.training.scorers import Linear

Rows = NDArray[np.float32]

Scaling = Literal["whole", "each"]
"""Divide all features by one number, their common deviation, or each by its own."""

MOST_AXES = 512
_LEAST_SHARE = 1e-5  # of the largest variance: below it, single precision sees noise


def project(rows: Rows, scaling: Scaling, *, most_axes: int = MOST_AXES) -> Linear:
    """Return the map from rows to their principal axes.

    Parameters
    ----------
    rows : ndarray of float32, shape (rows, size)
        What the map is learnt from.
    scaling : {"whole", "each"}
        Keep the features' deviations in proportion, or make all of them one.
    most_axes : int
        Keep so many axes at most, those of the largest variance. With no more rows or features than that nothing of
        `rows` is lost.

    Returns
    -------
    Linear
        To centred rows of shape (rows, axes); at least one axis.
    """
    centre = rows.mean(axis=0, dtype=np.float64)
    deviation = rows.std(axis=0, dtype=np.float64)
    if scaling == "whole":
        deviation = np.full_like(deviation, np.sqrt(np.mean(deviation**2)))
    deviation[deviation < np.finfo(np.float32).eps * np.maximum(1.0, np.abs(centre))] = (
        1.0  # a feature that is constant
    )
    scaled = (rows - centre.astype(np.float32)) / deviation.astype(np.float32)
    axes = _principal_axes(scaled, most_axes)
    weights = axes / deviation[:, None]
    return Linear(weights.astype(np.float32), (-centre @ weights).astype(np.float32))


def _principal_axes(rows: Rows, most: int) -> NDArray[np.float64]:
    """Return orthonormal axes, shape (size, axes), by falling variance, from the smaller Gram matrix."""
    from scipy.linalg import eigh  # of NumPy's there is none for some of the axes, which takes half as long

    wide = rows.shape[1] > rows.shape[0]
    gram = rows @ rows.T if wide else rows.T @ rows
    variances, vectors = eigh(gram, subset_by_index=[max(0, len(gram) - most), len(gram) - 1])
    kept = max(1, int((variances > _LEAST_SHARE * variances[-1]).sum()))
    variances, vectors = variances[::-1][:kept], vectors[:, ::-1][:, :kept]
    if wide:
        vectors = rows.T @ (vectors / np.sqrt(np.maximum(variances, np.finfo(np.float32).tiny)))
    return np.asarray(vectors, np.float64)
