"""Logarithms and logits of scores as nodes: what `earmark.training.scalings` does in NumPy."""

import numpy as np
from onnx import TensorProto

from earmark.features.nodes import Nodes
from earmark.training.scalings import SMALLEST_ODDS, SMALLEST_REMAINDER, SMALLEST_SCORE


def add_log_scores(nodes: Nodes, scores: str, *, background: bool) -> str:
    """Add what `log_scores` gives for a tensor whose last axis is the classes."""
    rows = nodes("Log", add_hold(nodes, scores, SMALLEST_SCORE, 1))
    if not background:
        return rows
    total = nodes("ReduceSum", scores, nodes.integers(-1), keepdims=1)
    remainder = add_hold(nodes, nodes("Sub", nodes.constant(1, np.float32), total), SMALLEST_REMAINDER, 1)
    return nodes("Concat", rows, nodes("Log", remainder), axis=-1)


def add_logits(nodes: Nodes, scores: str) -> str:
    """Add what `logits` gives."""
    held = add_hold(nodes, scores, SMALLEST_ODDS, 1 - SMALLEST_ODDS)
    return nodes("Sub", nodes("Log", held), nodes("Log", nodes("Sub", nodes.constant(1, np.float32), held)))


def add_silent_rows(nodes: Nodes, made: str, scores: str, output: str | None = None) -> str:
    """Add what `with_silence` gives."""
    highest = nodes("ReduceMax", scores, nodes.integers(-1))
    sounding = nodes("Cast", nodes("Greater", highest, nodes.constant(0, np.float32)), to=TensorProto.FLOAT)
    return nodes("Mul", made, sounding, output=output)


def add_hold(nodes: Nodes, tensor: str, low: float, high: float) -> str:
    """Add nodes that hold a tensor between two numbers."""
    return nodes("Clip", tensor, nodes.constant(low, np.float32), nodes.constant(high, np.float32))
