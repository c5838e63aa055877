"""Scorers: fitted heads as functions from pooled rows to logits, in NumPy and as ONNX nodes that give the same.

Every kind gives logits, one a class, and a softmax or a sigmoid makes probabilities of them. Heads that count, such as
trees and neighbours, give the logarithms of smoothed shares, of which a softmax makes the shares again; none is ever 0.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from earmark.training.headnodes import HeadNodes

Rows = NDArray[np.float32]


class Scorer(Protocol):
    """A function from rows to logits."""

    def __call__(self, rows: Rows) -> Rows:
        """Return the logits, shape (rows, classes), of rows of shape (rows, size)."""
        ...  # pragma: no cover - a protocol

    def add(self, nodes: HeadNodes, rows: str) -> str:
        """Add the nodes that do the same to a tensor of rows."""
        ...  # pragma: no cover - a protocol

    def scaled(self, factor: float) -> "Scorer":
        """Return the scorer whose logits are so many times as large."""
        ...  # pragma: no cover - a protocol


@dataclass(frozen=True)
class Linear:
    """A product and a sum: two nodes.

    Parameters
    ----------
    weights : ndarray of float32, shape (size, classes)
    bias : ndarray of float32, shape (classes,)
    """

    weights: Rows
    bias: Rows

    def __call__(self, rows: Rows) -> Rows:
        """Return the logits; see `Scorer`."""
        return rows @ self.weights + self.bias

    def add(self, nodes: HeadNodes, rows: str) -> str:
        """Add the nodes; see `Scorer`."""
        product = nodes("MatMul", rows, nodes.constant(self.weights, np.float32))
        return nodes("Add", product, nodes.constant(self.bias, np.float32))

    def scaled(self, factor: float) -> Self:
        """Return larger or smaller logits; see `Scorer`."""
        return replace(self, weights=np.float32(factor) * self.weights, bias=np.float32(factor) * self.bias)

    def then(self, following: "Scorer") -> "Scorer":
        """Return the scorer that does this first and `following` on what it gives; two linear ones become one."""
        if not isinstance(following, Linear):
            return Chain(self, following)
        weights, bias = self.weights.astype(np.float64), self.bias.astype(np.float64)
        folded = weights @ following.weights, bias @ following.weights + following.bias
        return Linear(folded[0].astype(np.float32), folded[1].astype(np.float32))


@dataclass(frozen=True)
class Chain:
    """A linear map and a scorer of what it gives."""

    first: Linear
    following: Scorer

    def __call__(self, rows: Rows) -> Rows:
        """Return the logits; see `Scorer`."""
        return self.following(self.first(rows))

    def add(self, nodes: HeadNodes, rows: str) -> str:
        """Add the nodes; see `Scorer`."""
        return self.following.add(nodes, self.first.add(nodes, rows))

    def scaled(self, factor: float) -> Self:
        """Return larger or smaller logits; see `Scorer`."""
        return replace(self, following=self.following.scaled(factor))


@dataclass(frozen=True)
class Layers:
    """Linear maps with rectifiers in between: a multi-layer perceptron."""

    layers: tuple[Linear, ...]

    def __call__(self, rows: Rows) -> Rows:
        """Return the logits; see `Scorer`."""
        *hidden, last = self.layers
        for layer in hidden:
            rows = np.maximum(layer(rows), 0.0)
        return last(rows)

    def add(self, nodes: HeadNodes, rows: str) -> str:
        """Add the nodes; see `Scorer`."""
        *hidden, last = self.layers
        for layer in hidden:
            rows = nodes("Relu", layer.add(nodes, rows))
        return last.add(nodes, rows)

    def scaled(self, factor: float) -> Self:
        """Return larger or smaller logits; see `Scorer`."""
        *hidden, last = self.layers
        return replace(self, layers=(*hidden, last.scaled(factor)))


@dataclass(frozen=True)
class Points:
    """Training rows that new ones are held against.

    Parameters
    ----------
    rows : ndarray of float32, shape (points, size)
    """

    rows: Rows

    def distances(self, rows: Rows) -> Rows:
        """Return squared Euclidean distances, shape (rows, points)."""
        squares = (rows * rows).sum(axis=1, keepdims=True) + (self.rows * self.rows).sum(axis=1)
        return np.asarray(np.maximum(squares + rows @ (-2.0 * self.rows.T), 0.0), np.float32)

    def add_distances(self, nodes: HeadNodes, rows: str) -> str:
        """Add the nodes of `distances`."""
        own = nodes.constant((self.rows * self.rows).sum(axis=1), np.float32)
        squares = nodes("Add", nodes("ReduceSumSquare", rows, nodes.integers(1), keepdims=1), own)
        cross = nodes("MatMul", rows, nodes.constant(-2.0 * self.rows.T, np.float32))
        return nodes("Max", nodes("Add", squares, cross), nodes.constant(0.0, np.float32))


@dataclass(frozen=True)
class Kernel:
    """Weighted nearness to training rows, ``exp(-gamma * squared distance)``: support vector machines.

    Parameters
    ----------
    points : Points
        The support vectors of all classes.
    gamma : float
        How fast nearness falls with distance.
    head : Linear
        From nearness to margins.
    """

    points: Points
    gamma: float
    head: Linear

    def __call__(self, rows: Rows) -> Rows:
        """Return the margins; see `Scorer`."""
        return self.head(np.exp(np.float32(-self.gamma) * self.points.distances(rows)))

    def add(self, nodes: HeadNodes, rows: str) -> str:
        """Add the nodes; see `Scorer`."""
        distances = self.points.add_distances(nodes, rows)
        return self.head.add(nodes, nodes("Exp", nodes("Mul", distances, nodes.constant(-self.gamma, np.float32))))

    def scaled(self, factor: float) -> Self:
        """Return larger or smaller margins; see `Scorer`."""
        return replace(self, head=self.head.scaled(factor))


@dataclass(frozen=True)
class Shares:
    """From shares, which may be 0 or 1, to finite logits: a little of how frequent each class is, mixed in.

    Parameters
    ----------
    prior : ndarray of float32, shape (classes,)
        What is mixed in; in (0, 1).
    weight : float
        How much of it; in (0, 1).
    exclusive : bool
        Whether a softmax follows; else a sigmoid.
    factor : float
        What the logits are multiplied with.
    """

    prior: Rows
    weight: float
    exclusive: bool
    factor: float = 1.0

    def logits(self, shares: Rows) -> Rows:
        """Return logits for shares of shape (rows, classes)."""
        mixed = shares * np.float32(1.0 - self.weight) + np.float32(self.weight) * self.prior
        logits = np.log(mixed) if self.exclusive else np.log(mixed) - np.log1p(-mixed)
        return np.float32(self.factor) * logits

    def add(self, nodes: HeadNodes, shares: str) -> str:
        """Add the nodes of `logits`."""
        kept = nodes("Mul", shares, nodes.constant(1.0 - self.weight, np.float32))
        mixed = nodes("Add", kept, nodes.constant(np.float32(self.weight) * self.prior, np.float32))
        logits = nodes("Log", mixed)
        if not self.exclusive:
            logits = nodes("Sub", logits, nodes("Log", nodes("Sub", nodes.constant(1.0, np.float32), mixed)))
        return nodes("Mul", logits, nodes.constant(self.factor, np.float32))


@dataclass(frozen=True)
class Neighbours:
    """The classes of the nearest training rows; all that are as far as the last one count.

    Parameters
    ----------
    points : Points
        The training rows.
    targets : ndarray of float32, shape (points, classes)
        What each is.
    count : int
        How many neighbours, at most as many as there are points.
    shares : Shares
        How votes become logits.
    """

    points: Points
    targets: Rows
    count: int
    shares: Shares

    def __call__(self, rows: Rows) -> Rows:
        """Return the logits; see `Scorer`."""
        distances = self.points.distances(rows)
        farthest = np.partition(distances, self.count - 1, axis=1)[:, self.count - 1 : self.count]
        near = (distances <= farthest).astype(np.float32)
        return self.shares.logits(near @ self.targets / near.sum(axis=1, keepdims=True))

    def add(self, nodes: HeadNodes, rows: str) -> str:
        """Add the nodes; see `Scorer`."""
        distances = self.points.add_distances(nodes, rows)
        farthest = nodes.slice(nodes.smallest(distances, self.count), self.count - 1, self.count, axis=1)
        near = nodes("Cast", nodes("LessOrEqual", distances, farthest), to=1)  # 1: float32
        votes = nodes("MatMul", near, nodes.constant(self.targets, np.float32))
        found = nodes("ReduceSum", near, nodes.integers(1), keepdims=1)
        return self.shares.add(nodes, nodes("Div", votes, found))

    def scaled(self, factor: float) -> Self:
        """Return larger or smaller logits; see `Scorer`."""
        return replace(self, shares=replace(self.shares, factor=factor * self.shares.factor))


@dataclass(frozen=True)
class Forest:
    """The mean of decision trees, each of which gives the shares of the classes in a leaf.

    Parameters
    ----------
    model : sklearn.ensemble.RandomForestRegressor
        Fitted to targets of ones and zeros: least squares on them is Gini's impurity, and its means are shares.
    shares : Shares
        How shares become logits.
    """

    model: Any
    shares: Shares

    def __call__(self, rows: Rows) -> Rows:
        """Return the logits; see `Scorer`."""
        found = self.model.predict(rows).astype(np.float32)
        return self.shares.logits(found.reshape(len(rows), -1))

    def add(self, nodes: HeadNodes, rows: str) -> str:
        """Add the nodes, one of them of ONNX's domain of classical machine learning; see `Scorer`."""
        return self.shares.add(nodes, nodes.trees(rows, self._attributes()))

    def scaled(self, factor: float) -> Self:
        """Return larger or smaller logits; see `Scorer`."""
        return replace(self, shares=replace(self.shares, factor=factor * self.shares.factor))

    def _attributes(self) -> dict[str, Any]:
        """Return the trees as the node has them: one list for each property, the trees' nodes end to end."""
        trees = [estimator.tree_ for estimator in self.model.estimators_]
        classes = trees[0].value.shape[1]
        ids = np.concatenate([np.arange(tree.node_count) for tree in trees])
        tree_ids = np.repeat(np.arange(len(trees)), [tree.node_count for tree in trees])
        left, right, feature, threshold = (
            np.concatenate([getattr(tree, name) for tree in trees])
            for name in ("children_left", "children_right", "feature", "threshold")
        )
        leaf = left < 0
        values = np.concatenate([tree.value[:, :, 0] for tree in trees])[leaf] / len(trees)
        return {
            "n_targets": classes,
            "nodes_nodeids": ids.tolist(),
            "nodes_treeids": tree_ids.tolist(),
            "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
            "nodes_featureids": np.where(leaf, 0, feature).tolist(),
            "nodes_values": np.where(leaf, 0.0, _rounded_down(threshold)).tolist(),
            "nodes_truenodeids": np.where(leaf, 0, left).tolist(),
            "nodes_falsenodeids": np.where(leaf, 0, right).tolist(),
            "target_nodeids": np.repeat(ids[leaf], classes).tolist(),
            "target_treeids": np.repeat(tree_ids[leaf], classes).tolist(),
            "target_ids": np.tile(np.arange(classes), leaf.sum()).tolist(),
            "target_weights": values.ravel().tolist(),
        }


def _rounded_down(thresholds: NDArray[np.float64]) -> Rows:
    """Return the largest float32 not above each threshold, so that no float32 row changes sides."""
    rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)
