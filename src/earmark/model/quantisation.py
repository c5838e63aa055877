"""Eight bits for activations: a scale for each, read from the source or measured on sound.

A network that was not trained for it loses its accuracy when one scale serves channels of very different ranges. So
channels are first equalised: what a rectified channel is divided by, the next layer's weights are multiplied with, and
the network computes the same (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
2019). Before a depthwise layer all channels get one range, as each keeps a weight scale of its own; before others the
range is shared between activation and weight (Xiao et al., "SmoothQuant", 2023).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError
from earmark.model.tflitefile import Layer, Tensor, real_values, with_real_values

Activations = list[NDArray[np.float32]]
Probe = Callable[[NDArray[np.float32]], Activations]
"""Runs layers on a waveform and returns the input, each convolution's output, the embedding and the logits."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Unsigned 8-bit quantisation of an activation: real = scale * (stored - zero_point)."""

    scale: float
    zero_point: int


SCORE_SCALE = Scale(1 / 256, 0)  # what TensorFlow Lite prescribes for the output of a sigmoid

_TOP_PERCENT = 99.99  # one value in ten thousand may be clipped, so that no outlier sets the scale
_SATURATED_LOGIT = 12.0  # beyond it a sigmoid is 0 or 1 in eight bits
_NARROWEST = 1e-6  # the range of an activation that is always zero
_SMALLEST_SHARE = 1e-3  # of the largest range: a channel that never sounded is left alone


def stored_scales(activations: Sequence[Tensor]) -> list[Scale] | None:
    """Return the scales that a source carries for its activations, and the scores'; None where one is missing."""
    stored = [activation.quantisation for activation in activations if activation.quantisation]
    if len(stored) < len(activations):
        return None
    # Signed in the file, unsigned here: ONNX Runtime has faster kernels for it, and the numbers are the same.
    return [*(Scale(float(q.scale[0]), int(q.zero_point[0]) + 128) for q in stored), SCORE_SCALE]


def fit(
    layers: Sequence[Layer], clips: Iterable[NDArray[np.float32]], probe: Callable[[Sequence[Layer]], Probe]
) -> tuple[tuple[Layer, ...], list[Scale]]:
    """Make rectified convolutions and a classifier fit for eight bits.

    Parameters
    ----------
    layers : sequence of Layer
        Convolutions with ReLU, then one dense layer.
    clips : iterable of float32 waveforms, shape (samples,)
        Sound to measure activations on. It is gone through twice.
    probe : callable
        Returns a `Probe` of layers.

    Returns
    -------
    layers : tuple of Layer
        Equalised: the same function.
    scales : list of Scale
        One for each activation that a probe returns, and the scores'.

    Raises
    ------
    OptionError
        If there are no clips.
    """
    clips = list(clips)
    if not clips:
        raise OptionError(
            "int8 from a .tflite file without activation scales needs sound to measure them on: "
            "give calibration clips (--calibrate-with FOLDER), or take precision float32"
        )
    equalised = _equalised(layers, _channel_ranges(probe(layers), clips))
    return equalised, [*_measured_scales(probe(equalised), clips), SCORE_SCALE]


def _channel_ranges(probe: Probe, clips: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Return the highest value of each channel of each activation over all clips."""
    each = ([value.max(axis=(0, 2, 3)[: value.ndim - 1]) for value in probe(clip)] for clip in clips)
    return list(reduce(lambda one, other: [np.maximum(*pair) for pair in zip(one, other, strict=True)], each))


def _measured_scales(probe: Probe, clips: Sequence[NDArray[np.float32]]) -> list[Scale]:
    """Return a scale for each activation that holds what all clips bring."""
    bounds = np.array([[_bounds(value) for value in probe(clip)] for clip in clips])
    lows, highs = np.minimum(bounds[:, :, 0].min(axis=0), 0.0), np.maximum(bounds[:, :, 1].max(axis=0), _NARROWEST)
    return [
        Scale(float(high - low) / 255, round(-low / (high - low) * 255)) for low, high in zip(lows, highs, strict=True)
    ]


def _bounds(value: NDArray[np.float32]) -> tuple[float, float]:
    low, high = float(value.min()), float(np.percentile(value, _TOP_PERCENT))
    if value.ndim == 2 and low < 0:  # logits
        return max(low, -_SATURATED_LOGIT), min(high, _SATURATED_LOGIT)
    return low, high


def _equalised(layers: Sequence[Layer], channel_ranges: Sequence[NDArray[np.float32]]) -> tuple[Layer, ...]:
    weights: list[NDArray[Any]] = [real_values(layer.weights, layer.kind) for layer in layers]
    biases = [real_values(layer.bias) for layer in layers]
    for index in range(len(layers) - 2):  # the last convolution's output is the embedding, which is left as it is
        depthwise = layers[index + 1].kind == "depthwise"
        ranges = _bounded(channel_ranges[index + 1].astype(np.float64))
        if not depthwise:
            ranges = _bounded(np.sqrt(ranges / _bounded(np.abs(weights[index + 1]).max(axis=(0, 2, 3)))))
        divisor = ranges / np.exp(np.log(ranges).mean())
        weights[index] = weights[index] / divisor.reshape(-1, 1, 1, 1)
        biases[index] = biases[index] / divisor
        weights[index + 1] = weights[index + 1] * divisor.reshape((-1, 1, 1, 1) if depthwise else (1, -1, 1, 1))
    return tuple(
        replace(
            layer, weights=with_real_values(layer.weights, weight, layer.kind), bias=with_real_values(layer.bias, bias)
        )
        for layer, weight, bias in zip(layers, weights, biases, strict=True)
    )


def _bounded(ranges: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.maximum(ranges, max(ranges.max() * _SMALLEST_SHARE, _NARROWEST)))
