"""A `.tflite` file in fewer bits, by ai-edge-quantizer; what hears the waveform itself computes in float.

Rounded to eight bits as it comes, a waveform loses what is quiet beside what is loud. So the front end, up to its
logarithm, and a first convolution on raw sound keep their float arithmetic. Weights of 16 bits do it no harm where the
layers behind it have eight: the errors of a bin's hundreds of products add up to less than those of 16-bit sound.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from earmark.errors import MissingExtraError
from earmark.model.tflitefile import builtin_operator

_MULTIPLIED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_BENDS = ("LOG", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "MINIMUM", "MAXIMUM", "LOGISTIC", "TANH", "HARD_SWISH")
"""What makes features of sound: as in `earmark.export.integernodes`."""


def compress(model: bytes, precision: str) -> bytes:
    """Return a `.tflite` file with smaller weights.

    Parameters
    ----------
    model : bytes
        A float file; for ``int8`` one that computes in eight bits.
    precision : {"float16", "dynamic", "int8"}
        Weights in 16 bits, computed in 32; or weights in eight bits, activations rounded as they come; or, of a file
        in eight bits, the rest of its weights in 16: those of the front end, a tenth of the file.

    Raises
    ------
    MissingExtraError
        If the extra ``tflite`` is not installed.
    """
    try:
        from ai_edge_quantizer import quantizer
    except ImportError as error:
        raise MissingExtraError.for_extra("tflite", "ai-edge-quantizer", f"precision {precision}") from error
    work = quantizer.Quantizer(bytearray(model))
    names = listening(model)
    layers = _only(names) if precision == "int8" else _but_for(names)
    for operation in _MULTIPLIED:
        if precision == "dynamic":
            work.add_dynamic_config(layers, operation, num_bits=8)
        else:
            work.update_quantization_recipe(layers, operation, _half_precision(), quantizer.AlgorithmName.FLOAT_CASTING)
    return bytes(work.quantize().quantized_model)


def _half_precision() -> Any:
    from ai_edge_quantizer import qtyping

    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    return qtyping.OpQuantizationConfig(
        weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
    )


def _only(names: list[str]) -> str:
    """Return the pattern of these names."""
    return "^(?:" + "|".join(re.escape(name) for name in names) + ");?$"


def _but_for(names: list[str]) -> str:
    """Return the pattern of all names but these."""
    return "^(?!(?:" + "|".join(re.escape(name) for name in names) + ");?$).*" if names else ".*"


def listening(model: bytes) -> list[str]:
    """Return the names of the outputs of layers that hear the waveform, not what a layer or a logarithm made of it."""
    return list(_listening(model))


def _listening(model: bytes) -> Iterator[str]:
    import tflite

    parsed = tflite.Model.GetRootAs(model, 0)
    graph = parsed.Subgraphs(0)
    raw = {int(graph.Inputs(0))}
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        kind = _names()[builtin_operator(parsed, operator)]
        if not raw & {int(place) for place in operator.InputsAsNumpy()}:
            continue
        if kind in _MULTIPLIED:
            yield graph.Tensors(operator.Outputs(0)).Name().decode()
        if kind not in _BENDS and not _is_rectified(operator, kind):
            raw |= {int(place) for place in operator.OutputsAsNumpy()}


def _is_rectified(operator: Any, kind: str) -> bool:
    """Return whether a layer has an activation built in."""
    import tflite

    options = {
        "CONV_2D": tflite.Conv2DOptions,
        "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
        "FULLY_CONNECTED": tflite.FullyConnectedOptions,
    }
    if kind not in options or (table := operator.BuiltinOptions()) is None:
        return False
    found = options[kind]()
    found.Init(table.Bytes, table.Pos)
    return bool(found.FusedActivationFunction() != tflite.ActivationFunctionType.NONE)


@cache
def _names() -> dict[int, str]:
    import tflite

    return {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
