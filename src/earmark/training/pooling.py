"""Pooling over time: one vector of fixed length from however many frames a clip has, in NumPy and as ONNX nodes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError
from earmark.features.nodes import Nodes

Rows = NDArray[np.float32]

POOLINGS: Mapping[str, tuple[str, ...]] = {
    "mean": ("mean",),
    "max": ("max",),
    "mean+max": ("mean", "max"),
    "mean+std": ("mean", "std"),
}
"""Names of poolings, and the statistics over time that each lays side by side."""


@dataclass(frozen=True, slots=True)
class Pooling:
    """Statistics over time.

    A single frame is pooled as a clip of that one frame: its mean and its maximum are itself, its deviation is zero.

    Parameters
    ----------
    name : {"mean", "max", "mean+max", "mean+std"}
        Which; the deviation is the population's, as `numpy.std` has it.

    Raises
    ------
    OptionError
        For another name.
    """

    name: str = "mean+max"

    def __post_init__(self) -> None:
        if self.name not in POOLINGS:
            raise OptionError(f"pooling {self.name!r} is not known; allowed: {', '.join(POOLINGS)}")

    def size(self, embedding_size: int) -> int:
        """Return how many numbers a pooled clip has."""
        return len(POOLINGS[self.name]) * embedding_size

    def clip(self, embeddings: Rows) -> Rows:
        """Pool a clip's embeddings, shape (frames, size), into one row."""
        return np.concatenate([getattr(embeddings, part)(axis=0) for part in POOLINGS[self.name]])

    def frames(self, embeddings: Rows) -> Rows:
        """Pool each frame with itself alone: shape (frames, size) to (frames, pooled size)."""
        parts = [np.zeros_like(embeddings) if part == "std" else embeddings for part in POOLINGS[self.name]]
        return np.concatenate(parts, axis=1)

    def add_clip(self, nodes: Nodes, embeddings: str) -> str:
        """Add the nodes of `clip`: a tensor [batch, frames, size] to [batch, pooled size]."""
        return _beside(nodes, [_add_statistic(nodes, part, embeddings) for part in POOLINGS[self.name]])

    def add_frames(self, nodes: Nodes, embeddings: str) -> str:
        """Add the nodes of `frames`: a tensor [batch, frames, size] to [batch, frames, pooled size]."""
        parts = [nodes("Sub", embeddings, embeddings) if part == "std" else embeddings for part in POOLINGS[self.name]]
        return _beside(nodes, parts)


def _add_statistic(nodes: Nodes, statistic: str, embeddings: str) -> str:
    """Add one statistic over axis 1."""
    time = nodes.integers(1)
    if statistic == "max":
        return nodes("ReduceMax", embeddings, time, keepdims=0)
    if statistic == "mean":
        return nodes("ReduceMean", embeddings, time, keepdims=0)
    away = nodes("Sub", embeddings, nodes("ReduceMean", embeddings, time, keepdims=1))
    return nodes("Sqrt", nodes("ReduceMean", nodes("Mul", away, away), time, keepdims=0))


def _beside(nodes: Nodes, parts: list[str]) -> str:
    """Lay tensors side by side along their last axis."""
    return parts[0] if len(parts) == 1 else nodes("Concat", *parts, axis=-1)
