"""A one-file model as a torch module of fixed length, for converters that start from torch.

Quantised models keep their arithmetic: each pair of QuantizeLinear and DequantizeLinear becomes torch's own, which
converters turn into integers, with the scales that the model has.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn

from earmark.errors import ExportError
from earmark.export.operators import IDLE, OPERATORS, Operator, Value
from earmark.export.quantised import (
    QuantisedWeight,
    dequantise,
    dequantise_in_float,
    quantise,
    quantise_in_float,
    read_weight,
)

_CONSTANT = ("Constant", "ConstantOfShape", "Expand", "Range", "Shape")  # of arrays alone, or of a shape
_IN_INTEGERS: Mapping[str, Operator] = {"DequantizeLinear": dequantise, "QuantizeLinear": quantise}
_IN_FLOAT: Mapping[str, Operator] = {"DequantizeLinear": dequantise_in_float, "QuantizeLinear": quantise_in_float}
_FOLDING_OPSET = 21  # the first in which ONNX's reference implementation knows all that earmark writes


class TorchModel(nn.Module):
    """The part of a model's graph that one output needs.

    Parameters
    ----------
    model : onnx.ModelProto
        From ``waveform`` [batch, samples]; left as it is.
    output : str
        Such as ``clip``.
    integers : bool
        Whether a model in eight bits computes with integers; else the same roundings are made in float.

    Raises
    ------
    ExportError
        If a node is of an operator that is not known here.
    """

    def __init__(self, model: onnx.ModelProto, output: str = "clip", *, integers: bool = True) -> None:
        super().__init__()
        self._output = output
        self._nodes = _needed(model, output)
        unknown = sorted({node.op_type for node in self._nodes} - {*OPERATORS, *_IN_INTEGERS, *_CONSTANT})
        if unknown:
            raise ExportError(
                f"the model has the operator {unknown[0]}, which cannot be written for this format; "
                "export it to ONNX or for the web, which run the model as it is, or train another head"
            )
        self._constants: dict[str, NDArray[Any]] = {
            item.name: numpy_helper.to_array(item) for item in model.graph.initializer
        }
        self._rounding = _IN_INTEGERS if integers else _IN_FLOAT
        self._weights = self._read_weights() if integers else {}

    @property
    def is_quantised(self) -> bool:
        """Whether some weights are in eight bits."""
        return bool(self._weights)

    def _read_weights(self) -> dict[str, QuantisedWeight]:
        """Take out the nodes that bring stored weights of eight bits back to real values."""
        columns = {node.input[1] for node in self._nodes if node.op_type == "MatMul"}
        stored: dict[str, QuantisedWeight] = {}
        kept = []
        for node in self._nodes:
            weight = read_weight(node, self._constants, transposed=node.output[0] in columns)
            if weight is None:
                kept.append(node)
            else:
                stored[node.output[0]] = weight
                self.add_module(f"weight_{len(stored)}", weight)
        self._nodes = kept
        return stored

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the output for a waveform of shape [1, samples]."""
        values: dict[str, Value] = {**self._constants, "waveform": waveform}
        values |= {name: weight() for name, weight in self._weights.items()}
        for node in self._nodes:
            given = [values[name] if name else None for name in node.input]
            results = _run(node, given, self._rounding)
            values.update(zip(node.output, results, strict=False))  # ONNX lets a node have outputs that nobody named
        found = values[self._output]
        assert isinstance(found, Tensor)
        return found


def _needed(model: onnx.ModelProto, output: str) -> list[onnx.NodeProto]:
    """Return the nodes that an output depends on, in order."""
    wanted, kept = {output}, []
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def _run(node: onnx.NodeProto, given: list[Value | None], rounding: Mapping[str, Operator]) -> tuple[Value, ...]:
    attributes = _attributes(node)
    if node.op_type == "Shape":
        (value,) = given
        assert value is not None
        return (np.array(value.shape)[attributes.get("start", 0) : attributes.get("end")],)
    if not any(isinstance(value, Tensor) for value in given):
        return _fold(node, given)
    operator = OPERATORS.get(node.op_type) or rounding.get(node.op_type)
    if operator is None:
        raise ExportError(
            f"the model computes {node.op_type} of the sound itself, which cannot be written for this format"
        )
    try:
        result = operator(*given, **attributes)
    except (TypeError, LookupError, NotImplementedError, RuntimeError) as error:  # what operators does not have
        raise ExportError(f"the model's {node.op_type} cannot be written for this format: {error}") from error
    return result if isinstance(result, tuple) else (result,)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes that say something: not those at their defaults, nor what the weights say already."""
    found = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    said = {name: value for name, value in found.items() if name not in IDLE or IDLE[name] != value}
    redundant = {
        "BatchNormalization": "momentum",
        "Conv": "kernel_shape",
        "TopK": "sorted",
        "QuantizeLinear": "axis",
        "DequantizeLinear": "axis",
    }
    said.pop(redundant.get(node.op_type, ""), None)
    if node.op_type == "MaxPool" and set(said.get("dilations", [1])) == {1}:
        said.pop("dilations", None)
    return said


def _fold(node: onnx.NodeProto, given: list[Value | None]) -> tuple[Value, ...]:
    """Compute a node that depends on no waveform."""
    from onnx.reference import ReferenceEvaluator

    known = {name: np.asarray(value) for name, value in zip(node.input, given, strict=True) if name}
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in known.items()
    ]
    outputs = [helper.make_value_info(name, onnx.TypeProto()) for name in node.output]
    graph = helper.make_graph([node], "constant", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _FOLDING_OPSET)])
    return tuple(ReferenceEvaluator(model).run(None, known))
