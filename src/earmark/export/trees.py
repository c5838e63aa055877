"""Decision trees in torch: ONNX's TreeEnsembleRegressor, by operators that TensorFlow Lite has built in.

Every branch decides at once, for each row, which place follows it; then all trees walk from their roots, one lookup a
level, until the deepest has come to its leaf. It is *TreeTraversal* of Nakandala et al., "A Tensor Compiler for Unified
Machine Learning Prediction Serving", OSDI 2020, with the comparisons taken out of its loop, so that a level is one
lookup and not four.

The lookups are embeddings, of which the converter makes one operator each; of a gather it makes ten, which look after
bounds. None of them is a layer, so in fewer bits trees keep their thresholds to the last digit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_LISTS = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_modes",
    "nodes_featureids",
    "nodes_values",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "target_treeids",
    "target_nodeids",
    "target_ids",
    "target_weights",
)
_IDLE: Mapping[str, object] = {"aggregate_function": b"SUM", "post_transform": b"NONE"}
_MOST_PLACES = 2**24  # the embeddings of LiteRT hold no integers of 32 bits, and float32 counts up to here


def sum_of_trees(rows: Tensor, **attributes: Any) -> Tensor:
    """Return the sum of what each tree says of each row.

    Parameters
    ----------
    rows : Tensor of float32, shape (rows, features)
    **attributes
        Those of ONNX's TreeEnsembleRegressor.

    Returns
    -------
    Tensor of float32, shape (rows, targets)

    Raises
    ------
    NotImplementedError
        If the trees are of another kind than `Trees`, or too large.
    """
    _check(attributes)
    trees = Trees.read(attributes)
    if len(rows) * trees.places > _MOST_PLACES:
        raise NotImplementedError(f"{len(rows)} × {trees.places} branches and leaves, more than {_MOST_PLACES}")
    return trees(rows)


def _check(attributes: Mapping[str, Any]) -> None:
    """Refuse what would make something else of the trees; how often a node was reached changes nothing."""
    for name, value in attributes.items():
        if name in (*_LISTS, "n_targets", "nodes_hitrates") or value == _IDLE.get(name) or not np.any(value):
            continue
        raise NotImplementedError(f"trees with {name}{' ' + value.decode() if isinstance(value, bytes) else ''}")
    others = set(attributes["nodes_modes"]) - {b"LEAF", b"BRANCH_LEQ"}
    if others:
        raise NotImplementedError(f"trees with nodes of the mode {min(others).decode()}")


@dataclass(frozen=True)
class Trees:
    """Decision trees as tables of places: the branches of all trees, end to end, and then the leaves.

    Leaves that say the same are one: a forest has thousands of them, and where they are pure, as many kinds as classes.

    Parameters
    ----------
    features : ndarray of int32, shape (places,)
        Which number of a row a branch looks at.
    thresholds : ndarray of float32, shape (places,)
        Where the number is at most this, the first follower is next, else the second.
    followers : ndarray of int32, shape (2, places)
        The places that follow; of a leaf, itself.
    leaves : ndarray of float32, shape (leaves, targets)
        What they say.
    roots : ndarray of int32, shape (trees,)
        The places at which the trees begin.
    """

    features: NDArray[np.int32]
    thresholds: NDArray[np.float32]
    followers: NDArray[np.int32]
    leaves: NDArray[np.float32]
    roots: NDArray[np.int32]

    @classmethod
    def read(cls, attributes: Mapping[str, Any]) -> "Trees":
        """Read the attributes of a TreeEnsembleRegressor: a list for each property, all trees end to end."""
        nodes = _Nodes({name: np.array(attributes[name]) for name in _LISTS}, attributes["n_targets"])
        branch, following = nodes.is_branch, nodes.following()
        leaves, which = np.unique(nodes.said()[~branch], axis=0, return_inverse=True)
        own = np.arange(branch.sum() + len(leaves), dtype=np.int32)
        places = np.empty(len(branch), np.int32)
        places[branch], places[~branch] = own[: branch.sum()], own[branch.sum() + which.ravel()]
        is_root = np.isin(np.arange(len(branch)), following, invert=True)
        none = (0, len(leaves))
        return cls(
            features=np.pad(nodes["nodes_featureids"][branch], none).astype(np.int32),
            thresholds=np.pad(nodes["nodes_values"][branch], none).astype(np.float32),
            followers=np.hstack([places[following], np.tile(own[branch.sum() :], (2, 1))]),
            leaves=leaves,
            roots=places[is_root],
        )

    @property
    def places(self) -> int:
        """How many there are."""
        return len(self.features)

    @property
    def branches(self) -> int:
        """How many places are no leaves: the first ones."""
        return self.places - len(self.leaves)

    @cached_property
    def depth(self) -> int:
        """How many branches follow one another at most."""
        depth, at = 0, self.roots
        while np.any(at < self.branches):
            depth, at = depth + 1, np.unique(self.followers[:, at])
        return depth

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the sum over the trees, shape (rows, targets); see `sum_of_trees`."""
        shifts = np.arange(len(rows), dtype=np.int32)[:, None] * self.places  # each row has the places to itself
        after = (self._decided(rows) + torch.from_numpy(shifts)).reshape(-1, 1)
        at = torch.from_numpy((self.roots + shifts).ravel())
        for _ in range(self.depth):
            at = functional.embedding(at, after).reshape(-1).int()
        reached = at.reshape(len(rows), -1) - torch.from_numpy(shifts + self.branches)
        return functional.embedding(reached, torch.from_numpy(self.leaves)).sum(1)

    def _decided(self, rows: Tensor) -> Tensor:
        """Return the place that follows each, in float32, shape (rows, places)."""
        seen = functional.embedding(torch.from_numpy(self.features), rows.T)
        first, second = torch.from_numpy(self.followers.astype(np.float32))[:, :, None]
        return torch.where(seen <= torch.from_numpy(self.thresholds)[:, None], first, second).T


class _Nodes(dict[str, NDArray[Any]]):
    """The nodes as ONNX has them, which names each by its tree and its number there."""

    def __init__(self, lists: Mapping[str, NDArray[Any]], targets: int) -> None:
        super().__init__(lists)
        self._targets = targets
        self._width = int(self["nodes_nodeids"].max()) + 1
        self._names = self["nodes_treeids"] * self._width + self["nodes_nodeids"]
        self._order = np.argsort(self._names)

    @property
    def is_branch(self) -> NDArray[np.bool_]:
        """Which are branches, shape (nodes,)."""
        return np.asarray(self["nodes_modes"] != b"LEAF")

    def following(self) -> NDArray[np.intp]:
        """Return the nodes that follow each branch, shape (2, branches)."""
        branch = self.is_branch
        trees = self["nodes_treeids"][branch]
        return np.array([self._find(trees, self[f"nodes_{side}nodeids"][branch]) for side in ("true", "false")])

    def said(self) -> NDArray[np.float32]:
        """Return what each says as a leaf, shape (nodes, targets)."""
        said = np.zeros((len(self._names), self._targets), np.float32)
        found = self._find(self["target_treeids"], self["target_nodeids"])
        np.add.at(said, (found, self["target_ids"]), self["target_weights"].astype(np.float32))
        return said

    def _find(self, trees: NDArray[Any], nodes: NDArray[Any]) -> NDArray[np.intp]:
        places = np.searchsorted(self._names, trees * self._width + nodes, sorter=self._order)
        return np.asarray(self._order[places])
