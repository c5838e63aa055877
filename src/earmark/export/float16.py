"""A float model with its weights in 16 bits, for ONNX Runtime: half the size, computed in 32 bits.

Weights are stored in half precision and brought back by a cast that runtimes fold away when they load the file. So it
runs wherever the float file runs, on processors too, which rarely compute in half precision. The front end of a model
in float keeps its numbers.
"""

import math
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from earmark.export.integernodes import heard_weights

_SMALLEST = 256  # weights; what is smaller saves less than its cast costs
_LARGEST_HALF = 65_504.0


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose large weights behind the front end are in 16 bits.

    Parameters
    ----------
    model : onnx.ModelProto
        Float; left as it is.

    Returns
    -------
    onnx.ModelProto
        Without the metadata of `model`: its test vectors are not those of this graph.
    """
    front = heard_weights(model)
    return _halved(model, lambda name: name not in front)


def with_half_front(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model in eight bits whose front end has weights of 16: a tenth of the file, halved.

    Where the layers behind it have eight bits, it does no harm: the errors of a bin's hundreds of products add up to
    less than those of 16-bit sound. Parameter and result are as in `to_float16`.
    """
    front = heard_weights(model)
    return _halved(model, lambda name: name in front)


def _halved(model: onnx.ModelProto, chosen: Callable[[str], bool]) -> onnx.ModelProto:
    """Return a model with its large float constants of some names in half precision, and a cast for each."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    del half.metadata_props[:]
    casts = []
    for item in half.graph.initializer:
        if item.data_type != TensorProto.FLOAT or math.prod(item.dims) < _SMALLEST or not chosen(item.name):
            continue
        values = numpy_helper.to_array(item)
        if np.abs(values).max() > _LARGEST_HALF:
            continue
        name = item.name
        item.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}/half"))
        casts.append(helper.make_node("Cast", [item.name], [name], name=f"{name}/cast", to=TensorProto.FLOAT))
    nodes = [*casts, *half.graph.node]
    del half.graph.node[:]
    half.graph.node.extend(nodes)
    onnx.checker.check_model(half)
    return half
