"""Novelty as nodes at the end of a graph."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from earmark.features.nodes import Nodes
from earmark.training.extension import GIVEN, extend
from earmark.training.familiarity import TINY, Axes, Familiar, unit
from earmark.training.novelty import Novelty


def add_novelty(model: onnx.ModelProto, novelty: Novelty) -> onnx.ModelProto:
    """Return a graph that gives ``novelty`` [batch, frames] too, from its ``embeddings``.

    Parameters
    ----------
    model : onnx.ModelProto
        A whole model that gives embeddings, or a tail that takes them; left as it is. Novelty that it gives already is
        replaced.
    novelty : Novelty
        From `earmark.training.novelty.fit_novelty`, for embeddings of this size.
    """
    nodes = _Nodes()
    _add(nodes, GIVEN + "embeddings", novelty)
    inputs = {GIVEN + "embeddings": ["batch", "frames", len(novelty.axes.mean)]}
    return extend(model, nodes.model(inputs, {"novelty": ["batch", "frames"]}), "novelty")


def novelty_tail(novelty: Novelty) -> onnx.ModelProto:
    """Return a tail whose only class is novelty: ``frames`` have it as their score, ``clip`` has the mean."""
    nodes = _Nodes()
    _add(nodes, "embeddings", novelty)
    nodes("Unsqueeze", "novelty", nodes.integers(2), output="frames")
    nodes("ReduceMean", "frames", nodes.integers(1), output="clip", keepdims=0)
    outputs: dict[str, list[int | str]] = {
        "clip": ["batch", 1],
        "frames": ["batch", "frames", 1],
        "novelty": ["batch", "frames"],
    }
    return nodes.model({"embeddings": ["batch", "frames", len(novelty.axes.mean)]}, outputs)


class _Nodes(Nodes):
    """Nodes of which one has two outputs, and matrices as constants."""

    def largest(self, tensor: str, count: int) -> str:
        """Add a node for the `count` largest numbers of the last axis, falling; where they were is not used."""
        name = f"largest_{len(self._nodes)}"
        inputs = [tensor, self.integers(count)]
        self._nodes.append(helper.make_node("TopK", inputs, [name, f"{name}_places"], name=name, axis=-1))
        return name

    def times(self, rows: str, matrix: NDArray[np.floating]) -> str:
        return self("MatMul", rows, self.constant(matrix, np.float32))

    def squared_length(self, rows: str) -> str:
        return self("ReduceSumSquare", rows, self.integers(-1))


def _add(nodes: _Nodes, embeddings: str, novelty: Novelty) -> None:
    """Add what `novelty.apply` does, into the tensor ``novelty``."""
    features = _Features(nodes, embeddings, novelty.axes, novelty.familiar)
    total = nodes.constant(novelty.bias, np.float32)
    for (feature, scale), weight in zip(features.each, novelty.weights, strict=True):
        if weight:  # what does not count is not computed
            total = nodes("Add", total, nodes("Mul", feature(), nodes.constant(weight * scale, np.float32)))
    nodes("Squeeze", nodes("Sigmoid", total), nodes.integers(-1), output="novelty")


class _Features:
    """What `Familiar.features` gives, in its order, as functions that add a tensor [batch, frames, 1], and scales."""

    def __init__(self, nodes: _Nodes, embeddings: str, axes: Axes, familiar: Familiar) -> None:
        self._nodes, self._familiar = nodes, familiar
        self._white = self._whitened(embeddings, axes)
        self._length = nodes.squared_length(self._white)
        per_dimension = 1 / familiar.classes.shape[1]
        self.each: tuple[tuple[Callable[[], str], float], ...] = (
            (self._class, per_dimension),
            (self._overall, per_dimension),
            (self._class_similarity, 1.0),
            (self._neighbour, 1.0),
        )

    def _whitened(self, embeddings: str, axes: Axes) -> str:
        """Add what `axes.project` does, and then the whitening: two products that are one."""
        nodes = self._nodes
        if axes.root is not None:
            embeddings = nodes("Sqrt", nodes("Add", nodes("Relu", embeddings), nodes.constant(axes.root, np.float32)))
        whitening = self._familiar.whitening.astype(np.float64)
        middle = (axes.mean @ axes.directions + self._familiar.centre) @ whitening
        return nodes("Sub", nodes.times(embeddings, axes.directions @ whitening), nodes.constant(middle, np.float32))

    def _class(self) -> str:
        nodes, classes = self._nodes, self._familiar.classes
        beside = nodes.times(self._white, -2 * classes.T)
        lengths = nodes.constant((classes**2).sum(axis=1), np.float32)
        apart = nodes("Add", nodes("Add", self._length, beside), lengths)
        return nodes("ReduceMin", apart, nodes.integers(-1))

    def _overall(self) -> str:
        return self._nodes.squared_length(self._nodes.times(self._white, self._familiar.whole))

    @cached_property
    def _direction(self) -> str:
        guarded = self._nodes("Add", self._length, self._nodes.constant(TINY, np.float32))
        return self._nodes("Div", self._white, self._nodes("Sqrt", guarded))

    def _class_similarity(self) -> str:
        similar = self._nodes.times(self._direction, unit(self._familiar.classes).T)
        return self._nodes("ReduceMax", similar, self._nodes.integers(-1))

    def _neighbour(self) -> str:
        count = self._familiar.neighbour
        nearest = self._nodes.largest(self._nodes.times(self._direction, self._familiar.clips.T), count)
        return self._nodes.slice(nearest, count - 1, count, axis=-1)
