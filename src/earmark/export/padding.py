"""Convolutions padded alike at both ends, which TensorFlow Lite knows, in place of those padded by one more at the end.

A network in the manner of TensorFlow pads a stride of two by one more zero at the end. Written as a padding of its own
that costs an eight-bit model a copy and two changes of layout at every such layer. A kernel that begins with a row and
a column of zeros, padded by one more at the beginning, computes the same.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper


def with_even_padding(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of the same answers whose convolutions are padded alike at both ends, as far as possible.

    Parameters
    ----------
    model : onnx.ModelProto
        Left as it is.
    """
    even = onnx.ModelProto()
    even.CopyFrom(model)
    stored = {node.output[0]: node.input[0] for node in even.graph.node if node.op_type == "DequantizeLinear"}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in even.graph.node:
        for name in node.input:
            readers.setdefault(stored.get(name, name), []).append(node)
    for kernel in even.graph.initializer:
        layers = [node for node in readers.get(kernel.name, ()) if node.op_type != "DequantizeLinear"]
        if layers and all(
            _is_uneven(node) and stored.get(node.input[1], node.input[1]) == kernel.name for node in layers
        ):
            values = np.pad(numpy_helper.to_array(kernel), ((0, 0), (0, 0), (1, 0), (1, 0)))
            kernel.CopyFrom(numpy_helper.from_array(values, kernel.name))
            for node in layers:
                _pad_evenly(node, values.shape[2:])
    return even


def _is_uneven(node: onnx.NodeProto) -> bool:
    """Return whether a node is a convolution of pictures, padded by one more at the end of both axes."""
    said = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    top, left, bottom, right = said.get("pads", ()) if len(said.get("pads", ())) == 4 else (0, 0, 0, 0)
    dense = set(said.get("dilations", [1])) == {1}
    return node.op_type == "Conv" and dense and (bottom, right) == (top + 1, left + 1)


def _pad_evenly(node: onnx.NodeProto, kernel_shape: tuple[int, ...]) -> None:
    for item in node.attribute:
        if item.name == "pads":
            item.ints[:] = [*item.ints[2:], *item.ints[2:]]
        elif item.name == "kernel_shape":
            item.ints[:] = kernel_shape
