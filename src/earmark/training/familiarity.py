"""What is familiar: the embeddings of training clips, and how far another embedding is from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.floating]
Numbers = NDArray[np.int64]

FEATURES = ("class distance", "overall distance", "class similarity", "neighbour similarity")
"""The columns of `Familiar.features`."""

MOST_DIMENSIONS = 192
MOST_ROWS = 2000
"""Clips that are kept as neighbours."""

FARTHEST_NEIGHBOUR = 20
"""The similarity is taken to the clip at half the size of a class, among the nearest, and to this one at most."""

_FEWEST_DIMENSIONS = 4
_ROWS_PER_DIMENSION = 8
_MOST_FRAMES_FOR_AXES = 8_000
_LEAST_SHRINKAGE = 0.2
TINY = 1e-6
"""Added where a division by 0 could be."""

_ROOT_SHARE = 0.01  # of the mean embedding, under the root, so that it is not steep at 0


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """Principal axes of embeddings.

    Parameters
    ----------
    root : float or None
        Embeddings that are never negative, as behind a ReLU, go through ``sqrt(x + root)``, which makes their skewed
        distributions more normal; None for others.
    mean : ndarray of float32, shape (size,)
    directions : ndarray of float32, shape (size, dimensions)
    """

    root: float | None
    mean: Rows
    directions: Rows

    @classmethod
    def fit(cls, frames: Rows, rng: np.random.Generator) -> Self:
        """Find the axes of frames, shape (frames, size)."""
        if len(frames) > _MOST_FRAMES_FOR_AXES:
            frames = frames[rng.choice(len(frames), _MOST_FRAMES_FOR_AXES, replace=False)]
        root = float(max(TINY, _ROOT_SHARE * frames.mean())) if frames.min() >= 0 else None
        straight = straightened(frames, root)
        mean = straight.mean(axis=0)
        around = straight - mean
        _, directions = np.linalg.eigh(around.T @ around)
        count = min(MOST_DIMENSIONS, frames.shape[1], max(_FEWEST_DIMENSIONS, len(frames) // _ROWS_PER_DIMENSION))
        return cls(root, mean.astype(np.float32), directions[:, ::-1][:, :count].astype(np.float32))

    def project(self, embeddings: Rows) -> Rows:
        """Return embeddings (..., size) along the axes (..., dimensions)."""
        return np.asarray((straightened(embeddings, self.root) - self.mean) @ self.directions)


def straightened(embeddings: Rows, root: float | None) -> Rows:
    """Return embeddings, or the root of them; see `Axes`."""
    return embeddings if root is None else np.sqrt(np.maximum(embeddings, 0) + np.float32(root))


@dataclass(frozen=True, slots=True, eq=False)
class Familiar:
    """Where the training clips lie, in a space in which frames of one class spread evenly to all sides.

    Parameters
    ----------
    whitening : ndarray of float32, shape (dimensions, dimensions)
        From principal axes to that space.
    centre : ndarray of float32, shape (dimensions,)
        The mean of all frames, along the axes.
    whole : ndarray of float32, shape (dimensions, dimensions)
        From that space to one in which all frames together spread evenly.
    classes : ndarray of float32, shape (classes, dimensions)
        Mean of each class.
    clips : ndarray of float32, shape (clips, dimensions)
        Means of training clips, each of length 1.
    neighbour : int
        Which nearest clip the similarity is taken to: one that a clip of a known class has among its own.

    References
    ----------
    Lee et al., "A simple unified framework for detecting out-of-distribution samples", NeurIPS 2018 (class distance);
    Ren et al., "A simple fix to Mahalanobis distance for improving near-OOD detection", 2021 (less the overall one);
    Sun et al., "Out-of-distribution detection with deep nearest neighbors", ICML 2022.
    """

    whitening: Rows
    centre: Rows
    whole: Rows
    classes: Rows
    clips: Rows
    neighbour: int

    @classmethod
    def fit(cls, rows: Rows, owners: Numbers, classes: Numbers, rng: np.random.Generator) -> Self:
        """Learn where clips lie.

        Parameters
        ----------
        rows : ndarray of float32, shape (frames, dimensions)
            Frames along principal axes.
        owners : ndarray of int64, shape (frames,)
            The clip of each frame.
        classes : ndarray of int64, shape (clips,)
            The class of each clip that `owners` may name.
        rng : numpy.random.Generator
            Chooses the clips to keep, where there are many.
        """
        present, owner = np.unique(owners, return_inverse=True)
        _, kind = np.unique(classes[present], return_inverse=True)
        centre = rows.mean(axis=0)
        means = _means(rows - centre, kind[owner])
        dimensions = rows.shape[1]
        shrinkage = max(_LEAST_SHRINKAGE, dimensions / (dimensions + len(present)))
        within = _shrunk(_covariance(rows - centre - means[kind[owner]]), shrinkage)
        whitening = _whitening(within)
        overall = _whitening(whitening.T @ _shrunk(_covariance(rows - centre), shrinkage) @ whitening)
        clips = _means(rows - centre, owner) @ whitening
        if len(clips) > MOST_ROWS:
            chosen = rng.choice(len(clips), MOST_ROWS, replace=False)
            clips, kind = clips[chosen], kind[chosen]
        neighbour = int(np.clip(np.median(np.unique(kind, return_counts=True)[1]) // 2, 1, FARTHEST_NEIGHBOUR))
        return cls(
            whitening=np.asarray(whitening, np.float32),
            centre=np.asarray(centre, np.float32),
            whole=np.asarray(overall, np.float32),
            classes=np.asarray(means @ whitening, np.float32),
            clips=np.asarray(unit(clips), np.float32),
            neighbour=neighbour,
        )

    def features(self, rows: Rows) -> NDArray[np.float64]:
        """Return the `FEATURES` of frames (frames, dimensions): shape (frames, 4); distances per dimension."""
        white = (rows - self.centre) @ self.whitening
        dimensions = white.shape[1]
        apart = (white**2).sum(axis=1)[:, None] - 2 * white @ self.classes.T + (self.classes**2).sum(axis=1)
        overall = ((white @ self.whole) ** 2).sum(axis=1)
        direction = unit(white)
        nearest = np.partition(direction @ self.clips.T, -self.neighbour, axis=1)[:, -self.neighbour]
        similar = (direction @ unit(self.classes).T).max(axis=1)
        columns: Sequence[Rows] = (apart.min(axis=1) / dimensions, overall / dimensions, similar, nearest)
        return np.stack(columns, axis=1).astype(np.float64)


def unit(rows: Rows) -> Rows:
    """Return rows of length 1, nearly: one of length 0 stays."""
    return np.asarray(rows / np.sqrt((rows**2).sum(axis=-1, keepdims=True) + np.float32(TINY)))


def _means(rows: Rows, kinds: Numbers) -> Rows:
    """Return the mean of the rows of each kind; every kind from 0 to the highest has some."""
    order = np.argsort(kinds, kind="stable")
    counts = np.bincount(kinds)
    sums = np.add.reduceat(rows[order], np.cumsum(counts) - counts, axis=0)
    return np.asarray(sums / counts[:, None].astype(rows.dtype))


def _covariance(rows: Rows) -> NDArray[np.float64]:
    return np.asarray(rows.T @ rows / len(rows), np.float64)


def _shrunk(covariance: NDArray[np.float64], shrinkage: float) -> NDArray[np.float64]:
    """Return a covariance drawn to a sphere of the same size, so that it can be inverted."""
    size = len(covariance)
    sphere = (np.trace(covariance) / size + TINY) * np.eye(size)
    return np.asarray((1 - shrinkage) * covariance + shrinkage * sphere)


def _whitening(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix after which rows of this covariance have that of the identity."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors / np.sqrt(np.maximum(values, TINY**2)))
