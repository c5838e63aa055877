"""The pool: tens of thousands of views, drawn once, as the student and as the teacher see them.

Arrays on disk that are mapped into memory, so that the trainings of several folds share them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from everyday.views import NONE, SAMPLES, View

LOGMEL_SHAPE = (251, 64)
EMBEDDINGS_SHAPE = (10, 1024)
STEP = 400
"""Samples between two values of `Pool.peaks`: 25 ms."""

_SHAPES = {
    "logmel": (LOGMEL_SHAPE, np.float16),
    "embeddings": (EMBEDDINGS_SHAPE, np.float16),
    "targets": ((NONE + 1,), np.float32),
    "peaks": ((SAMPLES // STEP,), np.float16),
    "folds": ((), np.int8),
    "plain": ((), np.bool_),
}
COMMON_FOLD, HELD_OUT_FOLD = 0, 9
"""The folds of views that have nothing of a fold in them, and of sounds that the measured run may not learn."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Views in rows.

    Parameters
    ----------
    logmel : ndarray of float16, shape (views, 251, 64)
        What the student's encoder is fed.
    embeddings : ndarray of float16, shape (views, 10, 1024)
        What the teacher makes of it, each 0.48 s.
    targets : ndarray of float32, shape (views, classes + 1)
        The share of each class; the last is for none of them.
    peaks : ndarray of float16, shape (views, 201)
        The highest magnitude in each 25 ms: where a view is silent.
    folds : ndarray of int8, shape (views,)
        Where its clips are from, or `COMMON_FOLD`, `HELD_OUT_FOLD`.
    plain : ndarray of bool, shape (views,)
        Whether it is a clip as it is.
    """

    logmel: NDArray[np.float16]
    embeddings: NDArray[np.float16]
    targets: NDArray[np.float32]
    peaks: NDArray[np.float16]
    folds: NDArray[np.int8]
    plain: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.folds)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Map the arrays that `create` made."""
        return cls(**{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _SHAPES})

    @classmethod
    def create(cls, folder: Path, views: int) -> Self:
        """Make empty arrays for so many views, to be written into."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(
            **{
                name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, (views, *shape))
                for name, (shape, dtype) in _SHAPES.items()
            }
        )

    def write(
        self,
        row: int,
        views: Sequence[View],
        logmel: NDArray[np.float32],
        embeddings: NDArray[np.float32],
        *,
        fold: int,
        plain: bool,
    ) -> None:
        """Put views of one fold, with what student and teacher see of them, into rows from `row` on."""
        rows = slice(row, row + len(views))
        waveforms = np.stack([view.waveform for view in views])
        self.logmel[rows], self.embeddings[rows] = logmel, embeddings
        self.targets[rows] = np.stack([view.target for view in views])
        self.peaks[rows] = np.abs(waveforms).reshape(len(views), -1, STEP).max(axis=2)
        self.folds[rows], self.plain[rows] = fold, plain

    def rows(self, folds: Iterable[int] | None = None, without: Sequence[int] = ()) -> NDArray[np.int64]:
        """Return the rows of some folds, or of all; not those with anything of some classes."""
        chosen = np.ones(len(self), np.bool_) if folds is None else np.isin(self.folds, list(folds))
        return np.flatnonzero(chosen & (self.targets[:, list(without)].sum(axis=1) == 0))


def in_batches(rows: NDArray[np.int64], size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the rows in a drawn order, `size` at a time; what is left over waits for another round."""
    order = rng.permutation(rows)
    for start in range(0, len(order) - size + 1, size):
        yield np.sort(order[start : start + size])
