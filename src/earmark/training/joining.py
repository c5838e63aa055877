"""A trunk (waveform to embeddings) and a tail (embeddings to scores): joined into one graph, or the tail alone."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose

from earmark.features.nodes import IR_VERSION
from earmark.model.backends import Outputs, open_session

ORDER = ("clip", "frames", "embeddings", "novelty")
"""Outputs of the whole graph, in this order."""


def join(trunk: onnx.ModelProto, tail: onnx.ModelProto) -> onnx.ModelProto:
    """Return one graph from waveform to scores that gives the embeddings too.

    Parameters
    ----------
    trunk : onnx.ModelProto
        ``waveform`` in, ``embeddings`` out.
    tail : onnx.ModelProto
        ``embeddings`` in; ``clip``, ``frames`` and at will ``novelty`` out.
    """
    front, back = _prefixed(trunk, "trunk/"), _prefixed(tail, "tail/")
    joined = compose.merge_models(front, back, io_map=[("embeddings", "embeddings")])
    found = {output.name: output for output in (*front.graph.output, *joined.graph.output)}
    del joined.graph.output[:]
    joined.graph.output.extend(found[name] for name in ORDER if name in found)
    onnx.checker.check_model(joined)
    return joined


def _prefixed(model: onnx.ModelProto, prefix: str) -> onnx.ModelProto:
    """Return the graph with a prefix before every name that is not its input or output."""
    renamed_model = onnx.ModelProto()
    renamed_model.CopyFrom(model)
    renamed_model.ir_version = IR_VERSION
    graph = renamed_model.graph
    del graph.value_info[:]
    kept = {item.name for item in (*graph.input, *graph.output)}
    for constant in graph.initializer:
        constant.name = prefix + constant.name
    for node in graph.node:
        node.name = prefix + node.name
        for tensors in (node.input, node.output):
            tensors[:] = [name if name in kept or not name else prefix + name for name in tensors]
    return renamed_model


class TailBackend:
    """A tail on its own in ONNX Runtime: scores from embeddings that are already there."""

    def __init__(self, tail: onnx.ModelProto) -> None:
        self._session: Any = open_session(tail.SerializeToString())
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, embeddings: NDArray[np.float32]) -> Outputs:
        """Return the outputs for embeddings of shape (batch, frames, size)."""
        values = dict(zip(self._names, self._session.run(self._names, {"embeddings": embeddings}), strict=True))
        return Outputs(embeddings=embeddings, **values)

    def run_each(self, clips: Iterable[NDArray[np.float32]]) -> list[Outputs]:
        """Return the outputs for each clip's embeddings, shape (frames, size); each a batch of one."""
        return [self.run(embeddings[None]) for embeddings in clips]
