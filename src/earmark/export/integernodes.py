"""Which nodes of a float model may compute with integers.

What hears the waveform itself stays in float: eight bits have no room for what is quiet beside what is loud. So do
small dense layers, which weigh nothing, and all that makes probabilities of their sums.
"""

import math

import onnx

_BENDS = (
    "Log",
    "Relu",
    "Clip",
    "Sigmoid",
    "Tanh",
    "HardSwish",
    "HardSigmoid",
    "LeakyRelu",
    "Elu",
    "Gelu",
    "Erf",
    "Softplus",
    "PRelu",
)
"""What makes features of sound: all before it only weighs samples, resampling filters and spectrograms included."""

_DENSE = ("MatMul", "Gemm")
_BETWEEN = ("Relu", "Clip", "MaxPool")
_SMALLEST_DENSE = 65_536  # weights


def integer_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the nodes to quantise, in order; each has a name.

    They are convolutions that do not hear the waveform itself, the dense layers of `_SMALLEST_DENSE` weights or more
    behind them, the rectifiers and maxima that follow such a layer at once, and sums that a rectifier follows.
    """
    sizes = {item.name: math.prod(item.dims) for item in model.graph.initializer}
    encoded = _behind_convolutions(model)
    raw = _raw_sound(model)
    rectified = {node.input[0] for node in model.graph.node if node.op_type in ("Relu", "Clip")}
    integers = set[str]()  # tensors
    chosen = []
    for node in model.graph.node:
        given = set(node.input)
        hears = bool(given & raw)
        is_large = any(sizes.get(name, 0) >= _SMALLEST_DENSE for name in node.input[1:])
        takes = {
            "Conv": not hears,
            **dict.fromkeys(_DENSE, not hears and is_large and bool(given & encoded)),
            "Add": not hears and node.output[0] in rectified and bool(given & integers),
            **dict.fromkeys(_BETWEEN, not hears and bool(set(node.input[:1]) & integers)),
        }
        if takes.get(node.op_type, False):
            node.name = node.name or f"integer/{node.output[0]}"
            integers |= set(node.output)
            chosen.append(node)
    return chosen


def heard_weights(model: onnx.ModelProto) -> set[str]:
    """Return the constants that meet the waveform itself: those of the front end, or of a first layer on raw sound."""
    raw = _raw_sound(model)
    return {name for node in model.graph.node if raw & set(node.input) for name in node.input}


def _raw_sound(model: onnx.ModelProto) -> set[str]:
    """Return the tensors made of the waveform before anything bends it."""
    found = {"waveform"}
    for node in model.graph.node:
        if node.op_type not in (*_BENDS, "Shape") and found & set(node.input):
            found |= set(node.output)
    return found


def _behind_convolutions(model: onnx.ModelProto) -> set[str]:
    """Return the tensors that some convolution was needed for."""
    found = set[str]()
    for node in model.graph.node:
        if node.op_type == "Conv" or (node.op_type != "Shape" and found & set(node.input)):
            found |= set(node.output)
    return found
