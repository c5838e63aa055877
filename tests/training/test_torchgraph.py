"""Torch networks as graphs: every network and every head gives in ONNX Runtime what it gives in torch."""

import time

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from earmark.errors import NetworkError
from earmark.features.nodes import IR_VERSION, OPSET
from earmark.model.backends import open_session
from earmark.training.joining import join
from earmark.training.networks import EmbeddingNetwork, build_head, list_heads
from earmark.training.networks.network import Field, Network
from earmark.training.torchgraph import export_tail, export_trunk
from tests.training.test_networks import FROM_SCRATCH, PLAIN_HEADS, noise, small, warmed


def run(model, **inputs):
    session = open_session(model.SerializeToString())
    return session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})


def assert_portable(model):
    """Hold a graph to what phones and browsers load: one file, old operators, known shapes."""
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == IR_VERSION
    assert {(opset.domain, opset.version) for opset in model.opset_import} == {("", OPSET)}
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in model.graph.initializer)
    assert "/work" not in str(model.graph.node)


def assert_same_trunk(network, rng):
    trunk = export_trunk(network)
    assert_portable(trunk)
    network.eval()
    length, hop = network.geometry.frame_length, network.geometry.frame_hop
    for batch, samples in ((1, 1), (1, length), (2, length + 2 * hop + 5), (3, length + 9)):
        waveform = noise(rng, batch, samples)
        with torch.no_grad():
            expected = network.embed(network.features(waveform)).numpy()
        (found,) = run(trunk, waveform=waveform)
        assert found.shape == (batch, network.geometry.frame_count(samples), network.embedding_size)
        np.testing.assert_allclose(found, expected, atol=1e-4)
    return trunk


@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_every_network(name, rng):
    network = warmed(small(name)).train()
    began = time.perf_counter()
    assert_same_trunk(network, rng)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
@pytest.mark.parametrize("head", list_heads())
def test_every_head(head, task, rng):
    network = EmbeddingNetwork(24, 6, task, head, **({} if head in PLAIN_HEADS else {"width": 32}))
    warmed(network).train()
    tail = export_tail(network, task=task, outputs=6)
    assert_portable(tail)
    assert network.head.training
    network.eval()
    for batch, frames in ((1, 1), (2, 5), (3, 40)):
        embeddings = noise(rng, batch, frames, 24)
        with torch.no_grad():
            logits = network(embeddings)
        expected = [part.softmax(-1) if task == "single-label" else part.sigmoid() for part in logits]
        for found, scores in zip(run(tail, embeddings=embeddings), expected, strict=True):
            np.testing.assert_allclose(found, scores.numpy(), atol=1e-5)
            if task == "single-label":
                np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_joined(name, rng):
    """Trunk and tail together are the network: waveform in, probabilities out."""
    network = warmed(small(name))
    model = join(export_trunk(network), export_tail(network, task="single-label", outputs=5))
    waveform = noise(rng, 2, network.geometry.frame_length + 100)
    clip, frames, embeddings = run(model, waveform=waveform)
    with torch.no_grad():
        prediction = network(waveform)
    np.testing.assert_allclose(clip, prediction.clip.softmax(-1).numpy(), atol=1e-4)
    np.testing.assert_allclose(frames, prediction.frames.softmax(-1).numpy(), atol=1e-4)
    assert embeddings.shape == (2, 2, network.embedding_size)


def test_the_background_class_is_cut_off(rng):
    network = EmbeddingNetwork(8, 4, "single-label", "mean")
    tail = export_tail(network, task="single-label", outputs=3)
    embeddings = noise(rng, 2, 3, 8)
    clip, frames = run(tail, embeddings=embeddings)
    assert clip.shape == (2, 3)
    assert frames.shape == (2, 3, 3)
    np.testing.assert_allclose(clip, network(embeddings).clip.softmax(-1).detach()[:, :3].numpy(), atol=1e-6)
    for outputs in (0, 5):
        with pytest.raises(NetworkError, match=rf"outputs={outputs} is not allowed: the head has 4 classes"):
            export_tail(network, task="single-label", outputs=outputs)


def test_networks_stay_as_they_were():
    network = small("conv").train()
    network.encoder[0].eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    export_trunk(network)
    assert network.training
    assert network.encoder[1].training
    assert not network.encoder[0].training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


class Foreign(nn.Module):
    """An encoder of somebody else's, with an activation that earmark does not write itself."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(400, 6)

    def forward(self, windows):
        return nn.functional.gelu(self.layer(windows))


def test_encoders_of_others_are_exported_by_torch(rng, capfd):
    network = Network(
        Foreign(), build_head("mean", 6, 3, "single-label"), field=Field(400, 200), windowed=True, front_end=8_000
    )
    assert_same_trunk(network, rng)
    assert "".join(capfd.readouterr()) == ""


class Odd(nn.Module):
    """A head that cannot be written."""

    embedding_size, classes = 4, 2

    def forward(self, embeddings):
        return embeddings.mean(1).cumsum(1), embeddings


def test_what_cannot_be_written_is_named():
    network = nn.Module()
    network.head = Odd()
    with pytest.raises(NetworkError, match=r"Odd calls cumsum, which .* cannot write; it knows add, amax"):
        export_tail(network, task="single-label", outputs=2)
