"""Eight bits: nearly the same scores, a quarter of the size, the float front end untouched."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from earmark.errors import OptionError
from earmark.export.int8 import to_int8
from earmark.export.integernodes import heard_weights, integer_nodes
from earmark.features.graph import add_logmel
from earmark.features.logmel import PRESETS
from earmark.features.nodes import Nodes
from earmark.model.backends import open_session
from earmark.training.joining import join
from earmark.training.networks import build_network, sbcnn
from earmark.training.resampling import Ratio, add_resampling
from earmark.training.torchgraph import export_tail, export_trunk

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def model():
    network = build_network("compact", classes=4, task="single-label", seed=3, head="mean+max").eval()
    return join(export_trunk(network), export_tail(network, task="single-label", outputs=4))


def sounds(count):
    rng = np.random.default_rng(5)
    for _ in range(count):
        slope = np.cumsum(rng.standard_normal(3 * RATE_HZ)) if rng.random() < 0.5 else rng.standard_normal(3 * RATE_HZ)
        yield (0.3 * slope / np.abs(slope).max()).astype(np.float32)


def scores(model, waveform):
    return open_session(model.SerializeToString()).run(["clip", "embeddings"], {"waveform": waveform[None]})


def test_nearly_the_same_in_a_third_of_the_size(model):
    quantised = to_int8(model, sounds(8))
    assert len(quantised.SerializeToString()) < 0.4 * len(model.SerializeToString())
    for waveform in sounds(3):
        (clip, embeddings), (small_clip, small_embeddings) = scores(model, waveform), scores(quantised, waveform)
        np.testing.assert_allclose(small_clip, clip, atol=0.05)
        likeness = (embeddings * small_embeddings).sum() / np.linalg.norm(embeddings) / np.linalg.norm(small_embeddings)
        assert likeness > 0.98


def test_what_computes_in_eight_bits(model):
    """Every convolution reads integers; what makes the spectrogram does not."""
    quantised = to_int8(model, sounds(2))
    producers = {name: node for node in quantised.graph.node for name in node.output}
    convolutions = [node for node in quantised.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == sum(node.op_type == "Conv" for node in model.graph.node)
    for node in convolutions:
        assert producers[node.input[0]].op_type == producers[node.input[1]].op_type == "DequantizeLinear"
    products = [node for node in quantised.graph.node if node.op_type == "MatMul"]
    assert products
    assert not [name for node in products for name in node.input if producers.get(name, node).op_type[:2] == "De"]
    assert not quantised.metadata_props
    assert {item.domain for item in quantised.opset_import} == {""}
    onnx.checker.check_model(quantised, full_check=True)


def test_every_processor_says_the_same(model):
    """Sums of two products of bytes fit 16 bits, in which some processors hold them."""
    quantised = to_int8(model, sounds(2))
    weights = [numpy_helper.to_array(tensor) for tensor in quantised.graph.initializer]
    assert max(np.abs(each.astype(int)).max() for each in weights if each.dtype == np.int8) == 64
    plain = open_session(quantised.SerializeToString(), optimise=False)  # computes in float32 what integers stand for
    for waveform in sounds(3):
        with_integers, with_floats = (
            scores(quantised, waveform)[0],
            plain.run(["clip"], {"waveform": waveform[None]})[0],
        )
        np.testing.assert_allclose(with_integers, with_floats, atol=1e-3)


def test_no_sound(model):
    with pytest.raises(OptionError, match="int8 needs sound to measure activations on, and there is none: give some"):
        to_int8(model, [])


@pytest.mark.parametrize("settings", [sbcnn.SETTINGS, PRESETS["general"]], ids=["sb-cnn", "general"])
def test_a_front_end_behind_a_resampling_filter_stays_in_float(settings, rng):
    """The filter is a convolution too, and bends nothing: what follows it hears the waveform itself."""
    nodes = Nodes()
    logmel = add_logmel(nodes, add_resampling(nodes, "waveform", Ratio(32_000, 16_000)), settings)
    picture = nodes("Unsqueeze", logmel, nodes.integers(1))
    kernel = nodes.constant(rng.standard_normal((4, 1, 3, 3)), np.float32)
    maxima = nodes("MaxPool", nodes("Relu", nodes("Conv", picture, kernel)), kernel_shape=[2, 2])
    nodes("ReduceMean", maxima, nodes.integers(2, 3), keepdims=0, output="clip")
    model = nodes.model({"waveform": ["batch", "samples"]}, {"clip": ["batch", 4]})
    assert [node.op_type for node in integer_nodes(model)] == ["Conv", "Relu", "MaxPool"]
    front = {name for node in model.graph.node if node.op_type == "MatMul" for name in node.input}
    assert front & {item.name for item in model.graph.initializer} <= heard_weights(model)
