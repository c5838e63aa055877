"""The warm start: YAMNet from its model file, frame by frame."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from earmark.errors import ModelFormatError, ModelNotFoundError, NetworkError
from earmark.model.backends import load_backend
from earmark.training.networks import build_network, parameter_count
from earmark.training.torchgraph import export_tail, export_trunk
from tests.golden.generate_yamnet import CLIPS, sound
from tests.training.test_networks import noise
from tests.training.test_torchgraph import assert_portable, run


@pytest.fixture(scope="module")
def network(yamnet):
    return build_network("yamnet", classes=521, task="multi-label", seed=0, weights=yamnet).eval()


@pytest.mark.parametrize("clip", CLIPS[:2])
def test_embeddings_of_the_file(network, yamnet, shared, clip):
    waveform = sound(clip, shared)[None]
    expected = load_backend(yamnet).run(waveform)
    with torch.no_grad():
        embeddings = network.embed(network.features(torch.tensor(waveform)))
    np.testing.assert_allclose(embeddings.numpy(), expected.embeddings, atol=1e-3)


def test_frames_of_the_file(network, yamnet, shared):
    """With the file's classifier in the head, scores are the file's."""
    graph = onnx.load(yamnet).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    dense = next(node for node in graph.node if node.op_type == "Gemm")
    with torch.no_grad():
        network.head.classifier.weight.copy_(torch.tensor(constants[dense.input[1]]))
        network.head.classifier.bias.copy_(torch.tensor(constants[dense.input[2]]))
    waveform = sound(CLIPS[2], shared)[None]
    expected = load_backend(yamnet).run(waveform).frames
    with torch.no_grad():
        found = network(torch.tensor(waveform)).frames.sigmoid().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)
    trunk, tail = export_trunk(network), export_tail(network, task="multi-label", outputs=521)
    assert_portable(trunk)
    (embeddings,) = run(trunk, waveform=torch.tensor(waveform))
    np.testing.assert_allclose(run(tail, embeddings=torch.tensor(embeddings))[1], expected, atol=1e-3)


def test_geometry_and_layers(network):
    assert (network.geometry.frame_length, network.geometry.frame_hop) == (15_600, 7_680)
    assert network.embedding_size == 1_024
    layers = network.layers()
    assert len(layers) == 15
    assert [parameter_count(layer) for layer in layers[:2]] == [9 * 32 + 32, 9 * 32 + 32 + 32 * 64 + 64]
    assert 3.1e6 < parameter_count(network.encoder) < 3.3e6


def test_fine_tuning_reaches_every_layer(network, rng):
    network.train()
    network(noise(rng, 2, 20_000)).clip.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    network.zero_grad()
    network.eval()


def test_files_that_are_not_yamnet_in_float(yamnet_int8, tiny_model, tmp_path):
    arguments = {"classes": 3, "task": "single-label", "seed": 0}
    for path in (yamnet_int8, tiny_model):
        with pytest.raises(NetworkError, match=r"is not YAMNet in float: 0 of 27 convolutions"):
            build_network("yamnet", weights=path, **arguments)
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ModelFormatError, match=r"broken.onnx cannot be read"):
        build_network("yamnet", weights=tmp_path / "broken.onnx", **arguments)
    with pytest.raises(ModelNotFoundError, match=r"nowhere.onnx"):
        build_network("yamnet", weights=tmp_path / "nowhere.onnx", **arguments)
