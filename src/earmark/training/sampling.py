"""Sampling: which clips an epoch shows, in which order, and which of them on which device."""

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError

__all__ = ["Sampling", "epoch_order", "share_of"]

Sampling = Literal["shuffle", "balanced", "ordered"]
Indices = NDArray[np.int64]


def epoch_order(targets: NDArray[np.float32], sampling: Sampling, rng: np.random.Generator) -> Indices:
    """Return the clips of one epoch, as many as there are.

    ``shuffle`` shows each clip once, in random order. ``balanced`` shows each class equally often: all classes in a
    random order, drawn anew whenever they have all had their turn, and of each the next clip in a random order of its
    own (the ``balance_in_batch`` of Kong et al., Audio Set classification with attention model, 2018). Clips of no
    class take turns as one class. ``ordered`` shows each clip once, in the order given.

    Parameters
    ----------
    targets : ndarray of float32, shape (clips, classes)
        Above 0 where a clip has a class.
    sampling : {"shuffle", "balanced", "ordered"}
        How to choose.
    rng : numpy.random.Generator
        The only source of chance.

    Returns
    -------
    ndarray of int64, shape (clips,)
        Rows of `targets`.

    Raises
    ------
    OptionError
        If `sampling` is not known.
    """
    if sampling == "ordered":
        return np.arange(len(targets))
    if sampling == "shuffle":
        return rng.permutation(len(targets))
    if sampling != "balanced":
        raise OptionError(f"sampling={sampling!r} is not known; allowed: {', '.join(get_args(Sampling))}")
    present = targets > 0
    table = np.column_stack([present, ~present.any(axis=1)])
    members = [np.flatnonzero(column) for column in table.T]
    queues = [_turns(clips, rng) for clips in members if len(clips)]
    classes = _turns(np.arange(len(queues)), rng)
    return np.array([next(queues[next(classes)]) for _ in range(len(targets))], np.int64)


def share_of(order: Indices, rank: int, world_size: int) -> Indices:
    """Return one device's clips of an epoch: every `world_size`-th, the first few once more where they do not go round.

    All devices get equally many, for they wait for each other.
    """
    each = -(-len(order) // world_size)
    return np.resize(order, each * world_size)[rank::world_size]


def _turns(items: Indices, rng: np.random.Generator) -> Iterator[int]:
    """Yield the items for ever, in a new random order each time round."""
    while True:
        yield from rng.permutation(items).tolist()
