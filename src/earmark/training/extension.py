"""Growing a graph at its end: new nodes take its outputs and put others, of the same or new names, in their place."""

from collections.abc import Mapping

import onnx

from earmark.errors import ModelFormatError
from earmark.features.nodes import OPSET
from earmark.training.joining import ORDER

GIVEN = "given/"
"""What the name of a piece's input begins with; the name of a tensor of the model follows."""


def extend(model: onnx.ModelProto, piece: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Return a graph with further nodes at its end.

    Parameters
    ----------
    model : onnx.ModelProto
        A whole model or a tail; left as it is.
    piece : onnx.ModelProto
        Nodes from `earmark.features.nodes`. Its inputs are `GIVEN` and the name of a tensor of `model`, such as
        ``given/clip``. An output of a name that `model` has takes that name over; what had it gets another one.
    name : str
        What the new tensors' names begin with.

    Raises
    ------
    ModelFormatError
        If the model is of an operator set that the new nodes do not exist in.
    """
    _check_operators(model)
    grown = onnx.ModelProto()
    grown.CopyFrom(model)
    prefix = _free_prefix(grown, name)
    given = [output.name for output in piece.graph.output]
    replaced = {output.name: prefix + output.name for output in model.graph.output if output.name in given}
    _rename(grown.graph, replaced)
    sources = {item.name: item.name.removeprefix(GIVEN) for item in piece.graph.input}
    names = {name: replaced.get(source, source) for name, source in sources.items()}
    _add(grown.graph, piece.graph, names | {name: name for name in given}, prefix)
    outputs = {output.name: output for output in (*model.graph.output, *piece.graph.output)}
    del grown.graph.output[:]
    grown.graph.output.extend(outputs[key] for key in ORDER if key in outputs)
    onnx.checker.check_model(grown)
    return grown


def output_shape(model: onnx.ModelProto, name: str) -> list[int | str]:
    """Return the shape of an output: a number per axis, or a name where it varies."""
    output = next(item for item in model.graph.output if item.name == name)
    axes = enumerate(output.type.tensor_type.shape.dim)
    return [size.dim_value or size.dim_param or f"{name}_{axis}" for axis, size in axes]


def _check_operators(model: onnx.ModelProto) -> None:
    version = next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 0)
    if version < OPSET:
        raise ModelFormatError(
            f"the model is of ONNX operator set {version}, but new nodes need {OPSET} or later; save the model again"
        )


def _free_prefix(model: onnx.ModelProto, name: str) -> str:
    """Return ``name_0/``, or the first number that no tensor has yet: a model may be calibrated twice."""
    taken = {output.split("/")[0] for node in model.graph.node for output in node.output}
    number = next(number for number in range(len(taken) + 1) if f"{name}_{number}" not in taken)
    return f"{name}_{number}/"


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Rename tensors wherever they are written or read, in the bodies of branches and loops too."""
    for node in graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(tensor, tensor) for tensor in tensors]
        for attribute in node.attribute:
            for body in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                _rename(body, names)
    for info in graph.value_info:
        info.name = names.get(info.name, info.name)


def _add(graph: onnx.GraphProto, piece: onnx.GraphProto, names: Mapping[str, str], prefix: str) -> None:
    """Add the piece's nodes and constants; tensors that `names` does not have get the prefix."""
    for source in piece.node:
        node = graph.node.add()
        node.CopyFrom(source)
        node.name = prefix + source.name
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(tensor, prefix + tensor) if tensor else "" for tensor in tensors]
    for constant in piece.initializer:
        tensor = graph.initializer.add()
        tensor.CopyFrom(constant)
        tensor.name = prefix + constant.name
