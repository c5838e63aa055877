"""Batches of embeddings in time, for heads that are taught without their backbone."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.training.sampling import Sampling, epoch_order, share_of

Embeddings = NDArray[np.float32]


class Sequences:
    """Clips' embeddings, epoch by epoch; everything random comes from the seed and the epoch.

    Parameters
    ----------
    embeddings : sequence of ndarray of float32, shape (frames, size)
        Of all clips.
    targets : ndarray of float32, shape (clips, classes)
        Of the same clips.
    indices : ndarray of int64
        Which of the clips to show.
    batch_size, seed, sampling, rank, world_size
        As `earmark.training.batches.Batches` takes them.
    """

    def __init__(
        self,
        embeddings: Sequence[Embeddings],
        targets: NDArray[np.float32],
        *,
        indices: NDArray[np.int64],
        batch_size: int,
        seed: int,
        sampling: Sampling = "shuffle",
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._embeddings, self._targets, self._indices = embeddings, targets, indices
        self._batch_size, self._seed, self._sampling = batch_size, seed, sampling
        self._rank, self._world_size = rank, world_size

    def __len__(self) -> int:
        """Return the number of batches in an epoch on this device."""
        return ceil(ceil(len(self._indices) / self._world_size) / self._batch_size)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield embeddings [batch, frames, size] and targets [batch, classes] of an epoch, counted from 0."""
        order = epoch_order(self._targets[self._indices], self._sampling, np.random.default_rng((self._seed, number)))
        shown = self._indices[share_of(order, self._rank, self._world_size)]
        for first in range(0, len(shown), self._batch_size):
            places = shown[first : first + self._batch_size]
            yield repeated([self._embeddings[int(place)] for place in places]), torch.from_numpy(self._targets[places])


def repeated(clips: Sequence[Embeddings]) -> Tensor:
    """Return clips as one tensor [batch, frames, size]: shorter ones start over, which pooling hardly minds."""
    longest = max(len(clip) for clip in clips)
    return torch.from_numpy(np.stack([clip[np.arange(longest) % len(clip)] for clip in clips]))


def whole_sequences(
    embeddings: Sequence[Embeddings], indices: NDArray[np.int64], *, batch_size: int
) -> list[tuple[NDArray[np.int64], Tensor]]:
    """Return clips in batches of equally many frames, each with its indices."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for index in indices:
        by_length[len(embeddings[int(index)])].append(int(index))
    parts = [
        np.array(places[first : first + batch_size], np.int64)
        for _, places in sorted(by_length.items())
        for first in range(0, len(places), batch_size)
    ]
    return [(part, torch.from_numpy(np.stack([embeddings[int(index)] for index in part]))) for part in parts]
