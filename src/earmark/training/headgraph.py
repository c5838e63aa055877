"""The tail of a head: from embeddings to the scores of a clip and of its frames, as one small graph.

A frame is scored as a clip of that one frame would be: pooled with itself alone, it goes through the same head. So a
frame needs no sound beyond its own, and its scores mean what the clip's mean. All rows, those of clips first, pass the
head at once.
"""

import numpy as np
import onnx
from numpy.typing import NDArray

from earmark.features.nodes import END
from earmark.training.headnodes import HeadNodes
from earmark.training.pooling import Pooling
from earmark.training.scorers import Scorer

Rows = NDArray[np.float32]


def build_tail(
    scorer: Scorer, pooling: Pooling, *, embedding_size: int, outputs: int, exclusive: bool
) -> onnx.ModelProto:
    """Return the graph from ``embeddings`` [batch, frames, size] to ``clip`` and ``frames``.

    Parameters
    ----------
    scorer : Scorer
        From pooled rows to logits.
    pooling : Pooling
        From embeddings to rows.
    embedding_size : int
        Length of an embedding.
    outputs : int
        How many classes are given, the first ones. A class beyond them takes part in the softmax and is left out.
    exclusive : bool
        Softmax over the classes; else a sigmoid of each.
    """
    nodes = HeadNodes()
    clips = pooling.add_clip(nodes, "embeddings")
    frames = nodes("Reshape", pooling.add_frames(nodes, "embeddings"), nodes.integers(-1, pooling.size(embedding_size)))
    logits = scorer.add(nodes, nodes("Concat", clips, frames, axis=0))
    scores = nodes("Softmax", logits, axis=-1) if exclusive else nodes("Sigmoid", logits)
    scores = nodes.slice(scores, 0, outputs, axis=1)
    batch, count = nodes.size("embeddings", 0), nodes.size("embeddings", 1)
    axis = nodes.integers(0)
    nodes("Slice", scores, nodes.integers(0), batch, axis, output="clip")
    rest = nodes("Slice", scores, batch, nodes.integers(END), axis)
    nodes("Reshape", rest, nodes("Concat", batch, count, nodes.integers(outputs), axis=0), output="frames")
    return nodes.model(
        {"embeddings": ["batch", "frames", embedding_size]},
        {"clip": ["batch", outputs], "frames": ["batch", "frames", outputs]},
    )


def probabilities(logits: Rows, *, outputs: int, exclusive: bool) -> Rows:
    """Return what the end of the tail makes of logits, shape (rows, classes): probabilities (rows, outputs)."""
    if exclusive:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray((powers / powers.sum(axis=1, keepdims=True))[:, :outputs], np.float32)
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits))[:, :outputs], np.float32)
