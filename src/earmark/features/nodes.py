"""A short way to write ONNX graphs: one call a node, names made up, constants kept once."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
IR_VERSION = 9
"""Old enough for the runtimes that phones and browsers carry today."""

END = np.iinfo(np.int64).max
"""An end for `Nodes.slice` that means "to the last"."""


class Nodes:
    """Nodes and constants of a graph under construction."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._tensors: list[onnx.TensorProto] = []

    def __call__(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, values: NDArray[Any] | float, dtype: Any = None) -> str:
        """Add a constant, of `dtype` where given, and return its name; equal constants share one."""
        array = np.array(values, dtype=dtype, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"constant_{len(self._tensors)}"
            self._tensors.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def integers(self, *values: int) -> str:
        """Add a constant vector of int64, for shapes, axes and ends."""
        return self.constant(np.array(values), np.int64)

    def slice(self, tensor: str, start: int, end: int, axis: int, step: int = 1, *, output: str | None = None) -> str:
        """Add ``tensor[start:end:step]`` along one axis."""
        bounds = (self.integers(value) for value in (start, end, axis, step))
        return self("Slice", tensor, *bounds, output=output)

    def size(self, tensor: str, axis: int) -> str:
        """Add nodes for the length of one axis, a vector of one int64."""
        return self("Shape", tensor, start=axis, end=axis + 1)

    def model(self, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]]) -> onnx.ModelProto:
        """Return the checked model; `inputs` and `outputs` give each float32 tensor's shape."""
        graph = helper.make_graph(
            self._nodes,
            "earmark",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            self._tensors,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="earmark"
        )
        onnx.checker.check_model(model)
        return model
