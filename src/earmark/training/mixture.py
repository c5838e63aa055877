"""What several models' scores of one thing are together: their mean, or their geometric mean."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earmark.features.nodes import Nodes
from earmark.model.card import Task
from earmark.training.scalings import Scores, log_scores, logits, with_silence
from earmark.training.scorenodes import add_log_scores, add_logits, add_silent_rows

Mean = Literal["mean", "geometric"]
Values = NDArray[np.float64]


def mixed(scores: Sequence[Scores], weights: Sequence[float], mean: Mean, *, task: Task, background: bool) -> Scores:
    """Return the weighted mean of scores, each of shape (..., classes); see `add_mixture`."""
    plain = np.asarray(sum(w * s for w, s in zip(weights, scores, strict=True)), np.float32)
    return plain if mean == "mean" else with_silence(_geometric(scores, weights, task, background), plain)


def _geometric(scores: Sequence[Scores], weights: Sequence[float], task: Task, background: bool) -> Values:
    if task == "multi-label":
        total = sum(w * logits(s) for w, s in zip(weights, scores, strict=True))
        return np.asarray(1 / (1 + np.exp(-np.asarray(total))))
    rows = np.asarray(sum(w * log_scores(s, background=background) for w, s in zip(weights, scores, strict=True)))
    powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
    shares: Values = powers / powers.sum(axis=-1, keepdims=True)
    return shares[..., : scores[0].shape[-1]]


def add_mixture(
    nodes: Nodes, scores: Sequence[str], weights: Sequence[float], mean: Mean, *, task: Task, background: bool
) -> str:
    """Add nodes for the weighted mean of probabilities.

    Parameters
    ----------
    nodes : Nodes
        The graph under construction.
    scores : sequence of str
        Tensors whose last axis is the classes.
    weights : sequence of float
        With sum 1.
    mean : {"mean", "geometric"}
        The geometric one is brought back to probabilities: single-label scores to their sum of 1, a multi-label score
        to the sum of 1 that it has with its contrary. What all give no score, silence, has none.
    task, background
        As the card has them.
    """
    plain = _weighted_sum(nodes, scores, weights)
    if mean == "mean":
        return plain
    return add_silent_rows(nodes, _add_geometric(nodes, scores, weights, task, background), plain)


def _add_geometric(nodes: Nodes, scores: Sequence[str], weights: Sequence[float], task: Task, background: bool) -> str:
    if task == "multi-label":
        return nodes("Sigmoid", _weighted_sum(nodes, [add_logits(nodes, tensor) for tensor in scores], weights))
    rows = [add_log_scores(nodes, tensor, background=background) for tensor in scores]
    shares = nodes("Softmax", _weighted_sum(nodes, rows, weights), axis=-1)
    return nodes.slice(shares, 0, -1, axis=-1) if background else shares


def _weighted_sum(nodes: Nodes, tensors: Sequence[str], weights: Sequence[float]) -> str:
    parts = [
        nodes("Mul", tensor, nodes.constant(weight, np.float32))
        for tensor, weight in zip(tensors, weights, strict=True)
    ]
    return nodes("Sum", *parts)
