"""Reading a TensorFlow Lite file: layers with their weights, quantisation and activations, labels, audio properties.

The file is a FlatBuffer; the pure-Python `tflite` package reads its main schema. Labels lie in a zip archive that is
appended to it, audio properties in a second FlatBuffer (TensorFlow Lite Metadata), of which a few fields are read here.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from earmark.errors import ModelFormatError
from earmark.model.card import ModelCard
from earmark.model.tflitearchive import CARD_FILE, split

Activation = Literal["none", "relu", "relu6"]
Kind = Literal["convolution", "depthwise", "dense"]


@dataclass(frozen=True, slots=True)
class Quantisation:
    """Real value = scale * (stored value - zero_point); one pair per tensor, or per output channel."""

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the graph: its stored values if it is a constant, and its quantisation if it has one."""

    name: str
    shape: tuple[int, ...]
    values: NDArray[Any] | None
    quantisation: Quantisation | None


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution, depthwise convolution or dense layer with constant weights.

    Weights have TFLite's layouts: [out, height, width, in], [1, height, width, channels], [out, in].
    """

    kind: Kind
    weights: Tensor
    bias: Tensor
    input: Tensor
    output: Tensor
    activation: Activation
    stride: int


# TFLite's layouts to ONNX's [out, in, height, width] and [out, in].
_LAYOUTS: dict[Kind, tuple[int, ...]] = {"convolution": (0, 3, 1, 2), "depthwise": (3, 0, 1, 2), "dense": (0, 1)}


def real_values(tensor: Tensor, kind: Kind | None = None) -> NDArray[np.float64]:
    """Return a constant's real values, transposed to ONNX's layout where a kind of layer is given.

    Raises
    ------
    ModelFormatError
        If the tensor is no constant.
    """
    if tensor.values is None:
        raise ModelFormatError(f"tensor {tensor.name!r} of this .tflite file is no constant; fetch the file again")
    values = tensor.values.astype(np.float64)
    if (quantisation := tensor.quantisation) is not None:
        shape = [1] * values.ndim
        shape[-1 if kind == "depthwise" else 0] = -1  # the axis of output channels
        zero_point, scale = (part.reshape(shape) for part in (quantisation.zero_point, quantisation.scale))
        values = scale.astype(np.float64) * (values - zero_point)
    return values.transpose(_LAYOUTS[kind]) if kind else values


def with_real_values(tensor: Tensor, values: NDArray[np.float64], kind: Kind | None = None) -> Tensor:
    """Return a tensor of other real values, the inverse of `real_values`."""
    stored = values.transpose(np.argsort(_LAYOUTS[kind])) if kind else values
    return Tensor(tensor.name, tensor.shape, stored.astype(np.float32), None)


@contextmanager
def _read_to_its_end() -> Iterator[None]:
    """Turn what reading past the end of a file comes to into the error that says so."""
    try:
        yield
    except (struct.error, AttributeError, IndexError, TypeError, ValueError) as error:
        raise ModelFormatError(f"the .tflite file is damaged or cut off ({error}); fetch it again") from error


class TFLiteFile:
    """A parsed `.tflite` file.

    Parameters
    ----------
    data : bytes
        The file's content.

    Attributes
    ----------
    input_shape, output_shape : tuple of int
        Of the first input and the first output.
    labels : tuple of str
        Lines of the first text file in the appended archive; empty where there is none.
    sample_rate : int or None
        Hertz, from the metadata's audio properties; None where they are absent.

    Raises
    ------
    ModelFormatError
        If the bytes are no TFLite file, or a damaged one.
    """

    def __init__(self, data: bytes) -> None:
        import tflite

        if data[4:8] != b"TFL3":
            raise ModelFormatError("not a TensorFlow Lite file: bytes 4 to 8 are not 'TFL3'; give a .tflite file")
        self.data = data
        with _read_to_its_end():
            self._model = tflite.Model.GetRootAs(data, 0)
            self._graph = self._model.Subgraphs(0)
            self.input_shape = self._tensor(self._graph.Inputs(0)).shape
            self.output_shape = self._tensor(self._graph.Outputs(0)).shape
            self.sample_rate = self._sample_rate()
        _, self._files = split(data)
        self.labels = self._labels()

    def _tensor(self, index: int) -> Tensor:
        tensor = self._graph.Tensors(index)
        shape = tuple(int(size) for size in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
        buffer = self._model.Buffers(tensor.Buffer())
        values = None
        if buffer.DataLength() and (dtype := _dtypes().get(tensor.Type())):
            values = buffer.DataAsNumpy().view(dtype).reshape(shape)
        return Tensor(tensor.Name().decode(), shape, values, _quantisation(tensor.Quantization()))

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Layers with weights, in order; a dense layer on a spectrogram (the mel matrix) is one of them."""
        with _read_to_its_end():
            operators = (self._graph.Operators(index) for index in range(self._graph.OperatorsLength()))
            return tuple(layer for operator in operators if (layer := self._layer(operator)))

    def _layer(self, operator: Any) -> Layer | None:
        import tflite

        known: dict[int, tuple[Kind, type]] = {
            tflite.BuiltinOperator.CONV_2D: ("convolution", tflite.Conv2DOptions),
            tflite.BuiltinOperator.DEPTHWISE_CONV_2D: ("depthwise", tflite.DepthwiseConv2DOptions),
            tflite.BuiltinOperator.FULLY_CONNECTED: ("dense", tflite.FullyConnectedOptions),
        }
        builtin = builtin_operator(self._model, operator)
        if builtin not in known:
            return None
        kind, options_type = known[builtin]
        table, options = operator.BuiltinOptions(), options_type()
        options.Init(table.Bytes, table.Pos)
        return Layer(
            kind,
            weights=self._tensor(operator.Inputs(1)),
            bias=self._tensor(operator.Inputs(2)),
            input=self._tensor(operator.Inputs(0)),
            output=self._tensor(operator.Outputs(0)),
            activation=_activation(options.FusedActivationFunction()),
            stride=1 if kind == "dense" else options.StrideH(),
        )

    def _labels(self) -> tuple[str, ...]:
        names = sorted(name for name in self._files if name.endswith(".txt"))
        try:
            text = self._files[names[0]].decode("utf-8") if names else ""
        except UnicodeDecodeError as error:
            raise ModelFormatError(f"the labels in the .tflite file are damaged ({error}); fetch it again") from error
        return tuple(line.strip() for line in text.splitlines() if line.strip())

    @property
    def card(self) -> ModelCard | None:
        """The card that earmark's export put into the archive; None in a file that others made.

        Raises
        ------
        CardError
            If it is malformed.
        """
        content = self._files.get(CARD_FILE)
        return None if content is None else ModelCard.from_json(content.decode("utf-8", errors="replace"))

    def _sample_rate(self) -> int | None:
        table = self._metadata()
        # ModelMetadata.subgraph_metadata[0].input_tensor_metadata[0].content.content_properties.sample_rate
        for step in ((3, 0), (2, 0), (3, None), (1, None)):
            table = _child(table, *step)
        return _unsigned(table, 0)

    def _metadata(self) -> Any:
        import flatbuffers.table

        for index in range(self._model.MetadataLength()):
            entry = self._model.Metadata(index)
            if entry.Name() == b"TFLITE_METADATA":
                content = self._model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
                return flatbuffers.table.Table(content, int.from_bytes(content[:4], "little"))
        return None


def builtin_operator(model: Any, operator: Any) -> int:
    """Return which of TensorFlow Lite's own operators a node is: older files say it in a field of one byte."""
    code = model.OperatorCodes(operator.OpcodeIndex())
    return int(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))


def _child(table: Any, field: int, element: int | None) -> Any:
    """Return the table in a field of a FlatBuffers table (in a vector, its `element`), or None."""
    import flatbuffers.number_types as types
    import flatbuffers.table

    if table is None or not (offset := table.Offset(4 + 2 * field)):
        return None
    if element is None:
        return flatbuffers.table.Table(table.Bytes, table.Indirect(table.Pos + offset))
    if table.VectorLen(offset) <= element:
        return None
    start = table.Vector(offset) + element * types.UOffsetTFlags.bytewidth
    return flatbuffers.table.Table(table.Bytes, table.Indirect(start))


def _unsigned(table: Any, field: int) -> int | None:
    """Return an unsigned 32-bit field of a FlatBuffers table, or None."""
    import flatbuffers.number_types as types

    if table is None or not (offset := table.Offset(4 + 2 * field)):
        return None
    return int(table.Get(types.Uint32Flags, table.Pos + offset))


def _quantisation(parameters: Any) -> Quantisation | None:
    if parameters is None or not parameters.ScaleLength():
        return None
    return Quantisation(parameters.ScaleAsNumpy().astype(np.float32), parameters.ZeroPointAsNumpy().astype(np.int64))


def _dtypes() -> dict[int, Any]:
    import tflite

    kinds = tflite.TensorType
    return {kinds.FLOAT32: np.float32, kinds.INT32: np.int32, kinds.INT8: np.int8}


def _activation(code: int) -> Activation:
    import tflite

    kinds = tflite.ActivationFunctionType
    known: dict[int, Activation] = {kinds.NONE: "none", kinds.RELU: "relu", kinds.RELU6: "relu6"}
    if code not in known:
        raise ModelFormatError(f"activation {code} of a layer is not supported; known: none, ReLU, ReLU6")
    return known[code]
