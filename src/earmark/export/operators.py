"""ONNX operators in torch: what each node of a model's graph computes, for shapes that are known.

A value is a tensor, which depends on the waveform, or an array, which does not: weights, axes, sizes. Nodes of arrays
alone are computed once, beforehand, so an operator here sees arrays only where its numbers are fixed.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from earmark.export.trees import sum_of_trees
from earmark.features.nodes import END

Value = Tensor | NDArray[Any]
Operator = Callable[..., Tensor]

_DTYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool}


def tensor(value: Value) -> Tensor:
    """Return an array as a tensor, and a tensor as it is."""
    return torch.from_numpy(np.array(value, order="C")) if isinstance(value, np.ndarray) else value


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    return lambda left, right: function(tensor(left), tensor(right))


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    return lambda *values: reduce(function, (tensor(value) for value in values))


def _reduction(function: Callable[..., Tensor]) -> Operator:
    def over_axes(value: Tensor, axes: Value | None = None, *, keepdims: int = 1) -> Tensor:
        over = tuple(range(value.ndim)) if axes is None else tuple(int(axis) for axis in axes)
        return function(value, over, keepdim=bool(keepdims))

    return over_axes


def _convolve(
    value: Tensor,
    weight: Value,
    bias: Value | None = None,
    *,
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    group: int = 1,
) -> Tensor:
    kernel = tensor(weight)
    axes = kernel.ndim - 2
    padded, padding = _evenly_padded(value, list(pads or [0] * 2 * axes))
    function = (functional.conv1d, functional.conv2d)[axes - 1]
    one = [1] * axes
    given = None if bias is None else tensor(bias)
    return function(padded, kernel, given, strides or one, padding, dilations or one, group)


def _evenly_padded(value: Tensor, pads: list[int]) -> tuple[Tensor, list[int]]:
    """Return the value and the padding that is left to the layer, which knows but equal ones at both ends."""
    axes = len(pads) // 2
    before, after = pads[:axes], pads[axes:]
    if before == after:
        return value, before
    return functional.pad(value, _flat_pads(before, after)), [0] * axes


def _flat_pads(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """Return paddings as torch takes them: the last axis first, each with both its ends."""
    return [size for pair in reversed(list(zip(before, after, strict=True))) for size in pair]


def _max_pool(
    value: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    ceil_mode: int = 0,
) -> Tensor:
    axes = len(kernel_shape)
    sizes = list(pads or [0] * 2 * axes)
    if any(sizes):
        value = functional.pad(value, _flat_pads(sizes[:axes], sizes[axes:]), value=-torch.inf)
    function = (functional.max_pool1d, functional.max_pool2d)[axes - 1]
    return function(value, list(kernel_shape), list(strides or [1] * axes), ceil_mode=bool(ceil_mode))


def _average_pool(
    value: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    ceil_mode: int = 0,
    count_include_pad: int = 0,
) -> Tensor:
    axes = len(kernel_shape)
    sizes = list(pads or [0] * 2 * axes)
    if sizes[:axes] != sizes[axes:]:
        raise NotImplementedError("another padding at the end than at the beginning")
    function = (functional.avg_pool1d, functional.avg_pool2d)[axes - 1]
    steps = list(strides or [1] * axes)
    return function(value, list(kernel_shape), steps, sizes[:axes], bool(ceil_mode), bool(count_include_pad))


def _gemm(
    value: Tensor,
    weight: Value,
    bias: Value | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803 - ONNX's name
    transB: int = 0,  # noqa: N803
) -> Tensor:
    rows = value.T if transA else value
    kernel = tensor(weight)
    product = alpha * functional.linear(rows, kernel if transB else kernel.T)
    return product if bias is None else product + beta * tensor(bias)


def _matmul(left: Value, right: Value) -> Tensor:
    if right.ndim == 2:  # a layer, which the converter knows to be one
        return functional.linear(tensor(left), tensor(right.T))
    return torch.matmul(tensor(left), tensor(right))


def _normalise(
    value: Tensor, scale: Value, bias: Value, mean: Value, variance: Value, *, epsilon: float = 1e-5
) -> Tensor:
    statistics = (tensor(mean), tensor(variance), tensor(scale), tensor(bias))
    return functional.batch_norm(value, *statistics, training=False, eps=epsilon)


def _normalise_layer(
    value: Tensor, scale: Value, bias: Value | None = None, *, axis: int = -1, epsilon: float = 1e-5, **_: object
) -> Tensor:
    shape = list(value.shape[axis:])
    return functional.layer_norm(value, shape, tensor(scale), None if bias is None else tensor(bias), epsilon)


def _reshape(value: Tensor, shape: Value, *, allowzero: int = 0) -> Tensor:
    kept = [value.shape[axis] if size == 0 and not allowzero else int(size) for axis, size in enumerate(shape)]
    return value.reshape(kept)


def _flatten(value: Tensor, *, axis: int = 1) -> Tensor:
    return value.reshape([int(np.prod(value.shape[:axis], dtype=np.int64)), -1])


def _transpose(value: Tensor, *, perm: Sequence[int] | None = None) -> Tensor:
    return value.permute(*(perm if perm is not None else reversed(range(value.ndim))))


def _concat(*values: Value, axis: int) -> Tensor:
    return torch.cat([tensor(value) for value in values], axis)


def _unsqueeze(value: Tensor, axes: Value) -> Tensor:
    rank = value.ndim + len(axes)
    for axis in sorted(int(axis) % rank for axis in axes):
        value = value.unsqueeze(axis)
    return value


def _squeeze(value: Tensor, axes: Value | None = None) -> Tensor:
    named = [axis for axis, size in enumerate(value.shape) if size == 1] if axes is None else axes
    for axis in sorted((int(axis) % value.ndim for axis in named), reverse=True):
        value = value.squeeze(axis)
    return value


def _slice(value: Tensor, starts: Value, ends: Value, axes: Value | None = None, steps: Value | None = None) -> Tensor:
    count = len(starts)
    over = range(count) if axes is None else (int(axis) for axis in axes)
    by = [1] * count if steps is None else [int(step) for step in steps]
    for start, end, axis, step in zip(starts, ends, over, by, strict=True):
        value = _sliced(value, slice(int(start), int(end) if end > -END else None, step), axis % value.ndim)
    return value


def _sliced(value: Tensor, wanted: slice, axis: int) -> Tensor:
    """Return a part of one axis; backwards, the part and then its mirror, as torch has no negative steps."""
    places = range(value.shape[axis])[wanted]
    if places.step < 0:
        return _sliced(value, slice(places[-1], places[0] + 1, -places.step), axis).flip(axis)
    parts: list[slice] = [slice(None)] * value.ndim
    parts[axis] = slice(places.start, places.stop, places.step)
    return value[tuple(parts)]


def _pad(
    value: Tensor, pads: Value, fill: Value | None = None, axes: Value | None = None, *, mode: bytes = b"constant"
) -> Tensor:
    sizes = np.zeros((2, value.ndim), np.int64)
    sizes[:, list(range(value.ndim)) if axes is None else [int(axis) for axis in axes]] = np.reshape(pads, (2, -1))
    for axis, (before, after) in enumerate(np.minimum(sizes, 0).T):
        if before or after:  # what is negative is left out
            value = value.narrow(axis, int(-before), int(value.shape[axis] + before + after))
    before, after = np.maximum(sizes, 0).tolist()
    if not any((*before, *after)):
        return value
    flat = _flat_pads(before, after)
    if mode != b"constant":
        return functional.pad(value, flat, mode=mode.decode())
    return functional.pad(value, flat, value=0.0 if fill is None else float(fill))


def _clip(value: Tensor, low: Value | None = None, high: Value | None = None) -> Tensor:
    bounds = (None if bound is None else float(bound) for bound in (low, high))
    return torch.clamp(value, *bounds)


def _gather(value: Value, indices: Value, *, axis: int = 0) -> Tensor:
    source, places = tensor(value), tensor(indices).long()
    axis %= source.ndim
    if places.ndim == 0:
        return source.select(axis, int(places))
    found = source.index_select(axis, places.reshape(-1) % source.shape[axis])
    return found.reshape([*source.shape[:axis], *places.shape, *source.shape[axis + 1 :]])


def _cast(value: Tensor, *, to: int) -> Tensor:
    if to not in _DTYPES:
        raise NotImplementedError(f"a cast to ONNX's type {to}")
    return value.to(_DTYPES[to])


_RESIZES = {
    (b"linear", b"half_pixel", b""): "bilinear",
    (b"nearest", b"asymmetric", b"floor"): "nearest",
}
"""Of ONNX's ways to resize, those that torch has too, and what it calls them."""


def _resize(
    value: Tensor,
    _roi: Value | None = None,
    scales: Value | None = None,
    sizes: Value | None = None,
    *,
    mode: bytes = b"nearest",
    coordinate_transformation_mode: bytes = b"half_pixel",
    nearest_mode: bytes = b"round_prefer_floor",
) -> Tensor:
    if scales is not None or sizes is None or value.ndim != 4:
        raise NotImplementedError("scales in place of sizes, or what is no picture")
    how = (mode, coordinate_transformation_mode, nearest_mode if mode == b"nearest" else b"")
    if how not in _RESIZES:
        raise NotImplementedError(f"the mode {' '.join(part.decode() for part in how).strip()}")
    return functional.interpolate(value, [int(size) for size in sizes[2:]], mode=_RESIZES[how])


def _smallest_or_largest(value: Tensor, count: Value, *, axis: int = -1, largest: int = 1) -> Any:
    # One after the other: of torch's own topk the converter makes a sort, which LiteRT does not know.
    rest = (value if largest else -value).movedim(axis, -1)
    order = torch.arange(rest.shape[-1])
    found, places = [], []
    for _ in range(int(np.ravel(count)[0])):
        places.append(rest.argmax(-1, keepdim=True))
        found.append(rest.amax(-1, keepdim=True))
        rest = torch.where(order == places[-1], -torch.inf, rest)
    values = torch.cat(found, -1).movedim(-1, axis)
    return (values if largest else -values), torch.cat(places, -1).movedim(-1, axis)


def _hard_sigmoid(value: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    return torch.clamp(alpha * value + beta, 0.0, 1.0)


def _mean(value: Tensor, over: tuple[int, ...], *, keepdim: bool) -> Tensor:
    return value.mean(over, keepdim=keepdim)


def _sum(value: Tensor, over: tuple[int, ...], *, keepdim: bool) -> Tensor:
    return value.sum(over, keepdim=keepdim)


def _square_sum(value: Tensor, over: tuple[int, ...], *, keepdim: bool) -> Tensor:
    return (value * value).sum(over, keepdim=keepdim)


IDLE: Mapping[str, object] = {
    "auto_pad": b"NOTSET",
    "noop_with_empty_axes": 0,
    "storage_order": 0,
    "training_mode": 0,
    "antialias": 0,
    "sorted": 1,
    "saturate": 1,
    "block_size": 0,
}
"""Attributes, and the values at which they change nothing."""

OPERATORS: Mapping[str, Operator] = {
    "Abs": torch.abs,
    "Add": _binary(torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _normalise,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _convolve,
    "Div": _binary(torch.div),
    "Exp": torch.exp,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda value: value.mean(tuple(range(2, value.ndim)), keepdim=True),
    "Greater": _binary(torch.gt),
    "GreaterOrEqual": _binary(torch.ge),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": functional.hardswish,
    "Identity": lambda value: value,
    "LayerNormalization": _normalise_layer,
    "Less": _binary(torch.lt),
    "LessOrEqual": _binary(torch.le),
    "Log": torch.log,
    "MatMul": _matmul,
    "Max": _folded(torch.maximum),
    "MaxPool": _max_pool,
    "Min": _folded(torch.minimum),
    "Mul": _binary(torch.mul),
    "Neg": torch.neg,
    "Pad": _pad,
    "Pow": _binary(torch.pow),
    "Reciprocal": torch.reciprocal,
    "ReduceMax": _reduction(torch.amax),
    "ReduceMean": _reduction(_mean),
    "ReduceMin": _reduction(torch.amin),
    "ReduceSum": _reduction(_sum),
    "ReduceSumSquare": _reduction(_square_sum),
    "Relu": torch.relu,
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": torch.sigmoid,
    "Slice": _slice,
    "Softmax": lambda value, axis=-1: torch.softmax(value, axis),
    "Sqrt": torch.sqrt,
    "Squeeze": _squeeze,
    "Sub": _binary(torch.sub),
    "Sum": _folded(torch.add),
    "Tanh": torch.tanh,
    "TopK": _smallest_or_largest,
    "Transpose": _transpose,
    "TreeEnsembleRegressor": sum_of_trees,
    "Unsqueeze": _unsqueeze,
}
"""By ONNX's names."""
