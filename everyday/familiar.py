"""What is familiar to the student that is shipped, and how far from it the unfamiliar begins."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.training.novelty import Novelty, fit_novelty
from earmark.training.noveltyweights import Method
from everyday.pool import HELD_OUT_FOLD, Pool
from everyday.student import new_student

KNOWN_QUANTILE = 0.98
"""Share of views of known classes that are not refused: who answers by default must rather answer than refuse."""

METHOD: Method = "mahalanobis"
"""Neighbours would take 1.5 MB of the file."""

NOVELTY_VIEWS = 5_000
CLEAR_SHARE = 0.75
"""Of a class in a view that counts as one of it."""


def learn_novelty(
    own: Path, asked: Path, pool: Pool, rows: NDArray[np.int64], *, fold: int, rng: np.random.Generator
) -> Novelty:
    """Learn what is familiar to one student, and how far from it the unfamiliar begins from another.

    Familiar are views, not clips as they are: a telephone makes no sound new. How far is learned from a student who has
    not heard all of them.

    Parameters
    ----------
    own, asked : Path
        Weights of the student whose novelty it will be, and of the one who has not heard a fold; maybe the same.
    pool : Pool
    rows : ndarray of int64
        Those of its views count in which one class is nearly all there is to hear.
    fold : int
        What the latter has not heard.
    rng : numpy.random.Generator
        Draws them.
    """
    clear = rows[pool.targets[rows].max(axis=1) >= CLEAR_SHARE]
    rows = np.sort(rng.choice(clear, min(NOVELTY_VIEWS, len(clear)), replace=False))
    targets = np.asarray(pool.targets[rows] >= CLEAR_SHARE, np.float32)[:, :-1]
    groups = [str(row) for row in rows]
    unheard = np.flatnonzero(np.isin(pool.folds[rows], [fold, HELD_OUT_FOLD]))
    distances = fit_novelty(
        _embedded(asked, pool, rows),
        targets,
        groups,
        indices_held_out=unheard,
        frozen=False,
        method=METHOD,
        quantile=KNOWN_QUANTILE,
    )
    familiar = fit_novelty(_embedded(own, pool, rows), targets, groups)
    return replace(distances, axes=familiar.axes, familiar=familiar.familiar)


@torch.no_grad()
def _embedded(weights: Path, pool: Pool, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    """Return what a student makes of views, each of shape (frames, size)."""
    student = new_student(0).eval()
    student.load_state_dict(torch.load(weights, weights_only=True))
    parts = np.array_split(rows, 1 + len(rows) // 64)
    return [clip for part in parts for clip in student.embed(_pictures(pool, part)).numpy()]


def _pictures(pool: Pool, rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(pool.logmel[rows].astype(np.float32))
