"""Eight bits in torch: the decomposed operators that converters turn into integer arithmetic."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper
from torch import Tensor, nn

from earmark.errors import ExportError

_LOWEST, _HIGHEST = -128, 127
_SIGNED_SHIFT = 128  # ONNX's activations are unsigned, those of TensorFlow Lite signed: the same numbers


def _operators() -> Any:
    import torch.ao.quantization.fx._decomposed  # defines them

    return torch.ops.quantized_decomposed


def quantise(value: Tensor, scale: NDArray[Any], zero_point: NDArray[Any]) -> Tensor:
    """Round to eight bits of one scale: ONNX's QuantizeLinear."""
    return _operators().quantize_per_tensor(value, *_parameters(scale, zero_point))  # type: ignore[no-any-return]


def dequantise(value: Tensor, scale: NDArray[Any], zero_point: NDArray[Any]) -> Tensor:
    """Return the real values of eight bits of one scale: ONNX's DequantizeLinear."""
    return _operators().dequantize_per_tensor(value, *_parameters(scale, zero_point))  # type: ignore[no-any-return]


def quantise_in_float(value: Tensor, scale: NDArray[Any], zero_point: NDArray[Any]) -> Tensor:
    """Return the numbers of `quantise` as floats, for a runtime that shall not compute with integers."""
    step, zero, lowest, highest, _ = _parameters(scale, zero_point)
    rounded: Tensor = torch.clamp(torch.round(value / step) + zero, lowest, highest)
    return rounded


def dequantise_in_float(value: Tensor, scale: NDArray[Any], zero_point: NDArray[Any]) -> Tensor:
    """Return the real values of what `quantise_in_float` gave."""
    step, zero, *_ = _parameters(scale, zero_point)
    real: Tensor = (value - zero) * step
    return real


def _parameters(scale: NDArray[Any], zero_point: NDArray[Any]) -> tuple[float, int, int, int, torch.dtype]:
    if zero_point.dtype not in (np.uint8, np.int8):
        raise ExportError(f"the model rounds to {zero_point.dtype}, and only eight bits can be written for this format")
    shift = _SIGNED_SHIFT if zero_point.dtype == np.uint8 else 0
    return float(scale), int(zero_point) - shift, _LOWEST, _HIGHEST, torch.int8


class QuantisedWeight(nn.Module):
    """A weight of eight bits, symmetric, with a scale for each output channel or one for all.

    Parameters
    ----------
    stored : ndarray of int8
    scale : ndarray of float32, shape () or (channels,)
    axis : int
        That of the channels.
    transposed : bool
        Whether to give the transpose of what is stored.
    """

    def __init__(
        self, stored: NDArray[np.int8], scale: NDArray[np.float32], axis: int, *, transposed: bool = False
    ) -> None:
        super().__init__()
        self.transposed = transposed
        shape = [1] * stored.ndim
        shape[axis] = -1
        self.axis, self.one_scale = axis, float(np.ravel(scale)[0]) if scale.size == 1 else None
        real = stored.astype(np.float32) * (
            scale.reshape(shape) if self.one_scale is None else np.float32(self.one_scale)
        )
        self.register_buffer("real", torch.from_numpy(real))
        if self.one_scale is None:
            self.register_buffer("scale", torch.from_numpy(scale.copy()))
            self.register_buffer("zero_point", torch.zeros(scale.size, dtype=torch.int64))

    def forward(self) -> Tensor:
        """Return the weight as the converter knows one of eight bits: real, rounded, real again."""
        return self._rounded().T if self.transposed else self._rounded()

    def _rounded(self) -> Tensor:
        known = _operators()
        ends = (-_HIGHEST, _HIGHEST, torch.int8)
        if self.one_scale is not None:
            one = (self.one_scale, 0, *ends)
            return known.dequantize_per_tensor(known.quantize_per_tensor(self.real, *one), *one)  # type: ignore[no-any-return]
        how = (self.scale, self.zero_point, self.axis, *ends)
        return known.dequantize_per_channel(known.quantize_per_channel(self.real, *how), *how)  # type: ignore[no-any-return]


def read_weight(
    node: onnx.NodeProto, constants: Mapping[str, NDArray[Any]], *, transposed: bool
) -> QuantisedWeight | None:
    """Return the weight that a DequantizeLinear brings back, None where the node does something else.

    A `transposed` one is kept with its output channels first, as layers have them, and given as it was.
    """
    stored = constants.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
    if stored is None or stored.dtype != np.int8 or stored.ndim < 2:
        return None
    axis = next((helper.get_attribute_value(item) for item in node.attribute if item.name == "axis"), 1) % stored.ndim
    scale = constants[node.input[1]]
    if len(node.input) > 2 and np.any(constants[node.input[2]]):
        raise ExportError("the model has weights of eight bits that are not symmetric: quantise the float model anew")
    if transposed:
        return QuantisedWeight(stored.T, scale, 1 - axis, transposed=True)
    return QuantisedWeight(stored, scale, axis)
