"""YAMNet as a one-file model, from the weights in its TensorFlow Lite files.

The network is MobileNet v1 on log-mel patches of 96 frames by 64 bands, one patch each 0.48 s
(tensorflow/models, research/audioset/yamnet). Both published TFLite forms are read: the quantised classification model,
whose activations carry scales, and the one with quantised weights alone.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import ModelFormatError
from earmark.features.graph import add_logmel, add_padded_size
from earmark.features.logmel import PRESETS
from earmark.features.nodes import END, Nodes
from earmark.model.audioset import audioset_labels
from earmark.model.backends import open_session
from earmark.model.card import DecisionRule, ModelCard
from earmark.model.modelfile import seal
from earmark.model.quantisation import Activations, Probe, Scale, fit, stored_scales
from earmark.model.registry import Precision
from earmark.model.tflitefile import Activation, Layer, TFLiteFile, real_values

if TYPE_CHECKING:
    import onnx

FRAME_SECONDS, HOP_SECONDS = 0.975, 0.48
PATCH_FRAMES, PATCH_HOP_FRAMES = 96, 48
EMBEDDING_SIZE = 1024
SEGMENT_SECONDS = FRAME_SECONDS + 15 * HOP_SECONDS
"""Sixteen patches: enough to keep a core's vector units busy, few enough for its cache."""

# Kind and weight shape of every layer with weights after the front end, as Table 1 of the MobileNet paper has them:
# (stride, filters) of the depthwise-separable blocks that follow the first convolution.
_BLOCKS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024))


def import_yamnet(
    tflite: bytes,
    *,
    precision: Precision = "float32",
    name: str = "yamnet",
    calibration: Iterable[NDArray[np.float32]] = (),
) -> bytes:
    """Convert a YAMNet `.tflite` file into the bytes of a one-file model.

    Parameters
    ----------
    tflite : bytes
        Either published form; see `DESIGN.md`, section 5.
    precision : {"float32", "int8"}
        Float arithmetic on the weights read back, or the integer arithmetic of the source.
    name : str
        Name in the card.
    calibration : iterable of float32 waveforms, shape (samples,), 16 kHz
        Sound to take activation ranges from; needed for int8 from a file whose activations carry no scales.

    Raises
    ------
    ModelFormatError
        If the file is no YAMNet.
    OptionError
        If int8 needs calibration clips and there are none.
    """
    source = TFLiteFile(tflite)
    layers = _network_layers(source)
    if precision == "int8":
        return seal(_build(*_eight_bit(layers, calibration)), _card(name, precision, source))
    return seal(_build(layers, []), _card(name, precision, source))


def _network_layers(source: TFLiteFile) -> tuple[Layer, ...]:
    """Return the layers after the mel matrix, having checked that they are YAMNet's.

    Raises
    ------
    ModelFormatError
        If kinds, strides or sizes differ.
    """
    layers = tuple(layer for layer in source.layers if layer.weights.shape != (64, 257))
    expected: list[tuple[str, int, int]] = [("convolution", 2, 32)]
    channels = 32
    for stride, filters in _BLOCKS:
        expected += [("depthwise", stride, channels), ("convolution", 1, filters)]
        channels = filters
    expected.append(("dense", 1, len(audioset_labels())))
    found = [(layer.kind, layer.stride, layer.bias.shape[0]) for layer in layers]
    if found != expected or any(layer.activation == "none" for layer in layers[:-1]):
        wrong = next((i for i, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), len(found))
        raise ModelFormatError(
            f"this .tflite file is not YAMNet: layer {wrong} of {len(found)} differs from YAMNet's {len(expected)}; "
            "give yamnet_classification_int8.tflite or the dynamic-range YAMNet"
        )
    return layers


def _eight_bit(
    layers: tuple[Layer, ...], calibration: Iterable[NDArray[np.float32]]
) -> tuple[tuple[Layer, ...], list[Scale]]:
    """Return layers, and a scale for the input, each convolution, the embedding, the logits and the scores."""
    activations = [layers[0].input, *(layer.output for layer in layers[:-1]), layers[-1].input, layers[-1].output]
    stored = stored_scales(activations)
    return (layers, stored) if stored else fit(layers, calibration, _probe)


def _probe(layers: Sequence[Layer]) -> Probe:
    """Return a function that runs layers in float on a waveform and returns every activation before the scores."""
    session = open_session(_build(layers, [], probes=True).SerializeToString())
    names = [_probe_name(index) for index in range(len(layers) + 2)]

    def run(waveform: NDArray[np.float32]) -> Activations:
        values: Activations = session.run(names, {"waveform": np.asarray(waveform, np.float32)[None]})
        return values

    return run


def _probe_name(index: int) -> str:
    return f"activation_{index}"


def _build(layers: Sequence[Layer], scales: list[Scale], *, probes: bool = False) -> "onnx.ModelProto":
    """Build the graph: float where `scales` is empty, else quantised.

    With `probes`, every activation that int8 needs a scale for is an output of the graph too.
    """
    nodes = Nodes()
    patches, count = _patches(nodes)
    network = _Network(nodes, scales, probes=probes)
    embeddings, scores = network.outputs(patches, layers)
    classes = len(audioset_labels())
    frames = _by_clip(nodes, scores, count, classes, "frames")
    _by_clip(nodes, embeddings, count, EMBEDDING_SIZE, "embeddings")
    nodes("ReduceMean", frames, nodes.integers(1), output="clip", keepdims=0)
    outputs: dict[str, list[Any]] = {
        "clip": ["batch", classes],
        "frames": ["batch", "frames", classes],
        "embeddings": ["batch", "frames", EMBEDDING_SIZE],
    }
    if probes:
        pictures = {_probe_name(index): ["rows", f"c{index}", f"y{index}", f"x{index}"] for index in range(len(layers))}
        outputs |= pictures | {_probe_name(len(layers) + index): ["rows", f"v{index}"] for index in range(2)}
    return nodes.model({"waveform": ["batch", "samples"]}, outputs)


def _patches(nodes: Nodes) -> tuple[str, str]:
    """Add the front end: patches of shape [batch * frames, 1, 96, 64], and the number of frames."""
    settings = PRESETS["yamnet"]
    length, hop = (round(seconds * settings.sample_rate) for seconds in (FRAME_SECONDS, HOP_SECONDS))
    logmel = add_logmel(nodes, "waveform", settings, add_padded_size(nodes, "waveform", length, hop))
    halves = nodes("Reshape", logmel, nodes.integers(0, -1, PATCH_HOP_FRAMES, settings.bands))
    patches = nodes("Concat", nodes.slice(halves, 0, -1, axis=1), nodes.slice(halves, 1, END, axis=1), axis=2)
    pictures = nodes("Reshape", patches, nodes.integers(-1, 1, PATCH_FRAMES, settings.bands))
    return pictures, nodes.size(patches, 1)


def _by_clip(nodes: Nodes, rows: str, count: str, size: int, output: str) -> str:
    """Add nodes that part rows [batch * frames, size] into [batch, frames, size]."""
    shape = nodes("Concat", nodes.integers(-1), count, nodes.integers(size), axis=0)
    return nodes("Reshape", rows, shape, output=output)


class _Network:
    """Layers as nodes, in float or, with scales, as quantise-dequantise pairs that runtimes turn into integer kernels.

    Activations are numbered: 0 the input, one for each convolution, then embedding, logits and scores.
    """

    def __init__(self, nodes: Nodes, scales: list[Scale], *, probes: bool) -> None:
        self.nodes, self.scales, self.probes = nodes, scales, probes

    def outputs(self, patches: str, layers: Sequence[Layer]) -> tuple[str, str]:
        """Add all layers; return embeddings and scores, a row a patch."""
        tensor = self._activation(patches, 0)
        for index, layer in enumerate(layers[:-1]):
            tensor = self._activation(self._convolution(tensor, layer, index), index + 1)
        pooled = len(layers)
        embeddings = self._activation(self.nodes("ReduceMean", tensor, self.nodes.integers(2, 3), keepdims=0), pooled)
        weights, bias = self._parameters(layers[-1], pooled)
        logits = self._activation(self.nodes("Gemm", embeddings, weights, bias, transB=1), pooled + 1)
        return embeddings, self._activation(self.nodes("Sigmoid", logits), pooled + 2)

    def _activation(self, tensor: str, index: int) -> str:
        """Add an activation's quantisation, its probe, or nothing."""
        if self.scales:
            scale = self.nodes.constant(self.scales[index].scale, np.float32)
            zero = self.nodes.constant(self.scales[index].zero_point, np.uint8)
            return self.nodes("DequantizeLinear", self.nodes("QuantizeLinear", tensor, scale, zero), scale, zero)
        return self.nodes("Identity", tensor, output=_probe_name(index)) if self.probes else tensor

    def _convolution(self, tensor: str, layer: Layer, source: int) -> str:
        """Add a convolution with TensorFlow's SAME padding of even sizes, and its activation function."""
        weights, bias = self._parameters(layer, source)
        size = layer.weights.shape[1]
        before = (size - 1) // 2 if layer.stride == 1 else 0
        after = size - layer.stride - before
        result = self.nodes(
            "Conv",
            *(tensor, weights, bias),
            kernel_shape=[size, size],
            strides=[layer.stride] * 2,
            pads=[before, before, after, after],
            group=layer.weights.shape[3] if layer.kind == "depthwise" else 1,
        )
        return self._rectified(result, layer.activation)

    def _rectified(self, tensor: str, activation: Activation) -> str:
        if self.scales:  # unsigned quantisation clips at 0 and at the range's top by itself
            return tensor
        if activation == "relu6":
            return self.nodes("Clip", tensor, *(self.nodes.constant(bound, np.float32) for bound in (0.0, 6.0)))
        return self.nodes("Relu", tensor)

    def _parameters(self, layer: Layer, source: int) -> tuple[str, str]:
        """Add a layer's weights, in ONNX's layout, and its bias; `source` is the activation it reads."""
        weights, bias = real_values(layer.weights, layer.kind), real_values(layer.bias)
        if not self.scales:
            return self.nodes.constant(weights, np.float32), self.nodes.constant(bias, np.float32)
        scale = _weight_scale(layer)
        shaped = scale.reshape(-1, *[1] * (weights.ndim - 1))
        bias_scale = (self.scales[source].scale * scale.astype(np.float64)).astype(np.float32)
        return (
            self._dequantised(np.round(weights / shaped).astype(np.int8), scale),
            self._dequantised(np.round(bias / bias_scale).astype(np.int32), bias_scale),
        )

    def _dequantised(self, stored: NDArray[Any], scale: NDArray[np.float32]) -> str:
        """Add stored integers with their scale, one for all or one per output channel.

        The zero points of a dense layer's channels, all 0, are written out: ONNX Runtime fails where it must turn such
        weights into unsigned ones and finds none.
        """
        if scale.size == 1:
            return self.nodes("DequantizeLinear", self.nodes.constant(stored), self.nodes.constant(scale[0]))
        numbers = [stored, scale] + [np.zeros(len(scale), np.int8)] * (stored.ndim == 2)
        return self.nodes("DequantizeLinear", *map(self.nodes.constant, numbers), axis=0)


def _weight_scale(layer: Layer) -> NDArray[np.float32]:
    """Return the scale of a layer's weights as stored, or one per channel that fits them where they are floats."""
    if layer.weights.quantisation is not None:
        return layer.weights.quantisation.scale
    weights = real_values(layer.weights, layer.kind)
    largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
    return np.asarray(np.maximum(largest, 1e-9) / 127, np.float32)


def _card(name: str, precision: Precision, source: TFLiteFile) -> ModelCard:
    return ModelCard(
        name=name,
        version=f"1-{precision}",
        labels=audioset_labels(),
        sample_rate=PRESETS["yamnet"].sample_rate,
        frame_length_seconds=FRAME_SECONDS,
        frame_hop_seconds=HOP_SECONDS,
        segment_seconds=SEGMENT_SECONDS,
        calibrated=False,
        decision=DecisionRule(on=0.3, off=0.15, merge_gap_seconds=1.5 * HOP_SECONDS),  # bridges one frame
        embedding_size=EMBEDDING_SIZE,
        tolerance=_TOLERANCE[precision],
        licence="Apache-2.0",
        description="YAMNet: 521 AudioSet classes, one frame each 0.48 s. Scores are not calibrated across classes.",
        citation="M. Plakal, D. Ellis: YAMNet, tensorflow/models, research/audioset/yamnet",
        source=f"YAMNet .tflite, SHA-256 {hashlib.sha256(source.data).hexdigest()}",
        training_data="AudioSet (Gemmeke et al., 2017)",
    )


# Float kernels of other processors differ in the last bits. Where an integer kernel rounds otherwise, a logit moves by
# one step of its scale, 0.347, and a score by up to a quarter of that.
_TOLERANCE: dict[Precision, float] = {"float32": 1e-3, "int8": 0.1}
