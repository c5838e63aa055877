"""The teacher: YAMNet's embeddings and a head on them, fitted to the clips that the student is taught with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from earmark.model.backends import Backend, load_backend
from earmark.model.hub import default_hub
from everyday.pool import Pool

MODEL = "yamnet-int8"
DIMENSIONS = 192
"""Axes along which the student matches embeddings."""

_HOP_SECONDS, _PATCH_SECONDS = 0.48, 0.975
_ROWS_FOR_AXES = 1_000
_EPOCHS, _BATCH, _RATE, _WEIGHT_DECAY = 12, 128, 2e-3, 0.3
_LEAST_STEPS = 100
_LEAST_DEVIATION = 0.02


def load_teacher(threads: int = 1) -> Backend:
    """Load the model whose embeddings the student learns to match; its weights are not shipped."""
    return load_backend(default_hub().resolve(MODEL), threads=threads)


@dataclass(frozen=True, eq=False)
class Teaching:
    """What the teacher says of a batch of views, at the times of the student's frames.

    Parameters
    ----------
    clip : Tensor of float32, shape (views, classes + 1)
        Probabilities for the whole.
    frames : Tensor of float32, shape (views, frames, classes + 1)
        Probabilities for each frame.
    embeddings : Tensor of float32, shape (views, frames, `DIMENSIONS`)
        Along principal axes, each of deviation 1.
    """

    clip: Tensor
    frames: Tensor
    embeddings: Tensor


class Teacher:
    """Heads on the teacher's embeddings, and the axes along which the student matches them.

    Parameters
    ----------
    pool : Pool
        Whose views are to be taught.
    rows : ndarray of int64
        Which of them.
    centres_seconds : sequence of float
        The middle of each of the student's frames.
    seed : int
    """

    def __init__(self, pool: Pool, rows: NDArray[np.int64], centres_seconds: Sequence[float], seed: int) -> None:
        targets = torch.from_numpy(pool.targets[rows])
        features = torch.cat([_pooled(pool.embeddings[part]) for part in np.array_split(rows, 1 + len(rows) // 500)])
        self._clip = _Linear.fitted(features, targets, seed)
        self._frame = _Linear.fitted(features[:, : pool.embeddings.shape[-1]], targets, seed)
        some = pool.embeddings[rows[:: max(1, len(rows) // _ROWS_FOR_AXES)]].astype(np.float32)
        self._mean, self._axes = _whitening(some.reshape(-1, some.shape[-1]))
        self._places = torch.from_numpy(_interpolation(centres_seconds, some.shape[1]))

    def teach(self, embeddings: NDArray[np.float16]) -> Teaching:
        """Say what is in views, of whose embeddings the shape is (views, patches, 1024)."""
        frames = self._places @ torch.from_numpy(embeddings.astype(np.float32))
        return Teaching(
            clip=self._clip(_pooled(embeddings)),
            frames=self._frame(frames),
            embeddings=(frames - self._mean) @ self._axes,
        )


@dataclass(frozen=True, eq=False)
class _Linear:
    """Multinomial logistic regression."""

    mean: Tensor
    deviation: Tensor
    layer: nn.Linear

    @classmethod
    def fitted(cls, features: Tensor, targets: Tensor, seed: int) -> Self:
        """Fit it to shares of classes."""
        torch.manual_seed(seed)
        mean, deviation = features.mean(dim=0), features.std(dim=0) + _LEAST_DEVIATION
        layer = nn.Linear(features.shape[1], targets.shape[1])
        optimiser = torch.optim.AdamW(layer.parameters(), lr=_RATE, weight_decay=_WEIGHT_DECAY)
        steps = max(_LEAST_STEPS, _EPOCHS * len(features) // _BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            batch = torch.randint(len(features), (_BATCH,))
            loss = functional.cross_entropy(layer((features[batch] - mean) / deviation), targets[batch])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        return cls(mean, deviation, layer.requires_grad_(False))

    def __call__(self, features: Tensor) -> Tensor:
        logits: Tensor = self.layer((features - self.mean) / self.deviation)
        return logits.softmax(dim=-1)


def _pooled(embeddings: NDArray[np.float16]) -> Tensor:
    """Return mean and maximum over time, side by side, in float32."""
    patches = torch.from_numpy(embeddings.astype(np.float32))
    return torch.cat([patches.mean(dim=1), patches.amax(dim=1)], dim=-1)


def _whitening(frames: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """Return the mean of frames and their principal axes, scaled so that each has deviation 1."""
    mean = frames.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((frames - mean).T))
    largest = slice(-1, -1 - DIMENSIONS, -1)
    axes = vectors[:, largest] / np.sqrt(values[largest])
    return torch.from_numpy(mean), torch.from_numpy(axes.astype(np.float32))


def _interpolation(centres_seconds: Sequence[float], patches: int) -> NDArray[np.float32]:
    """Return weights (frames, patches) that put what is known at the patches' middles to the frames' middles."""
    middles = _PATCH_SECONDS / 2 + _HOP_SECONDS * np.arange(patches)
    return np.stack([np.interp(centres_seconds, middles, row) for row in np.eye(patches)], axis=1).astype(np.float32)
