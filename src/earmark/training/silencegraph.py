"""Silence as nodes at the end of a graph."""

import numpy as np
import onnx
from onnx import TensorProto

from earmark.features.nodes import Nodes
from earmark.training.extension import GIVEN, extend, output_shape
from earmark.training.silence import Silence


def add_silence(model: onnx.ModelProto, silence: Silence) -> onnx.ModelProto:
    """Return a graph that gives silent frames, and clips of nothing else, a score of 0 for every class.

    Their ``novelty`` is 0 too, where the graph gives it: in silence there is nothing new.

    Parameters
    ----------
    model : onnx.ModelProto
        A whole model that gives embeddings, or a tail that takes them; left as it is.
    silence : Silence
        From `earmark.training.silence.fit_silence`, for embeddings of this size.
    """
    given = {output.name for output in model.graph.output}
    shapes = {name: output_shape(model, name) for name in ("clip", "frames", "novelty") if name in given}
    nodes = Nodes()
    sounding = _sounding(nodes, GIVEN + "embeddings", silence)
    kept = {
        "clip": lambda: nodes("ReduceMax", sounding, nodes.integers(1), keepdims=0),
        "frames": lambda: sounding,
        "novelty": lambda: nodes("Squeeze", sounding, nodes.integers(2)),
    }
    for name in shapes:
        nodes("Mul", GIVEN + name, kept[name](), output=name)
    inputs = {GIVEN + name: shape for name, shape in shapes.items()}
    inputs[GIVEN + "embeddings"] = ["batch", "frames", len(silence.embedding)]
    return extend(model, nodes.model(inputs, shapes), "silence")


def _sounding(nodes: Nodes, embeddings: str, silence: Silence) -> str:
    """Add nodes for 1 where a frame is not silent, else 0: shape [batch, frames, 1]."""
    apart = nodes("Sub", embeddings, nodes.constant(silence.embedding, np.float32))
    squared = nodes("ReduceSumSquare", apart, nodes.integers(-1))
    beyond = nodes("Greater", squared, nodes.constant(silence.radius**2, np.float32))
    return nodes("Cast", beyond, to=TensorProto.FLOAT)
