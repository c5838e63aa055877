"""Every network and every head: shapes, gradients, frames that depend on their own samples alone, clear refusals."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import nn

from earmark.errors import NetworkError, OptionError
from earmark.model.card import ModelCard
from earmark.training.networks import (
    NETWORKS,
    EmbeddingNetwork,
    build_head,
    build_network,
    find_network,
    list_heads,
    list_networks,
    parameters_of,
)
from earmark.training.networks.cvxtz import LIBROSA_DEFAULTS
from earmark.training.networks.residual import Residual, field_of
from tests.tinymodel import LABELS

# Small where they can be: a sweep is about every layer once, not about size. YAMNet has a test file of its own.
PLAIN_HEADS = ("mean", "mean+max")
SMALL = {"conv": {"widths": (8, 8, 12, 16)}, "wave": {"widths": (8, 8, 12, 16), "filters": 16}}
SMALL["compact"] = {"widths": (8, 8, 12, 16), "depths": (1, 1, 1, 1)}
FROM_SCRATCH = [name for name in NETWORKS if name != "yamnet"]
CONVOLUTIONAL = ["conv", "wave", "compact"]


def small(name, *, classes=5, task="single-label", seed=3, **more):
    return build_network(name, classes=classes, task=task, seed=seed, **SMALL.get(name, {}), **more)


def warmed(network):
    """Give every normalisation statistics that are not those of a new one, as training does."""
    generator = torch.Generator().manual_seed(5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return network.eval()


def noise(rng, *shape):
    return torch.tensor(0.1 * rng.standard_normal(shape), dtype=torch.float32)


@torch.no_grad()
def embeddings(network, waveform):
    return network.embed(network.features(waveform))


@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_every_network_learns(name, rng):
    network = small(name)
    samples = network.geometry.frame_length + network.geometry.frame_hop + 17
    prediction = network(noise(rng, 4, samples))
    assert prediction.clip.shape == (4, 5)
    assert prediction.frames.shape == (4, 3, 5)
    (prediction.clip.square().sum() + prediction.frames.square().sum()).backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().sum() > 0 or parameter_name.endswith("bias"), parameter_name


@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_mixed_precision(name, rng):
    """Features stay in float32, and logits are those of single precision but for bfloat16's three digits."""
    network = warmed(small(name))
    waveform = noise(rng, 2, network.geometry.frame_length)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert network.features(waveform).dtype == torch.float32
        mixed = network(waveform).clip.float()
    single = network(waveform).clip.detach()
    torch.testing.assert_close(mixed, single, rtol=0.1, atol=0.1 * float(single.abs().max()))


@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_silence_and_short_clips(name):
    network = warmed(small(name))
    for samples in (1, 700, network.geometry.frame_length):
        prediction = network(torch.zeros(1, samples))
        assert prediction.frames.shape == (1, 1, 5)
        assert prediction.clip.isfinite().all()


@pytest.mark.parametrize("name", FROM_SCRATCH)
@given(samples=st.integers(1, 200_000))
@hypothesis_settings(max_examples=5, deadline=None)
def test_frames_as_the_card_counts_them(name, samples):
    network = warmed(small(name))
    geometry = network.geometry
    card = ModelCard(
        *("n", "1", LABELS, geometry.sample_rate_hz, geometry.frame_length_seconds, geometry.frame_hop_seconds, 60.0)
    )
    assert (card.frame_length, card.frame_hop) == (geometry.frame_length, geometry.frame_hop)
    count = embeddings(network, torch.zeros(1, samples)).shape[1]
    assert count == geometry.frame_count(samples) == card.frame_count(samples)


@pytest.mark.parametrize("name", FROM_SCRATCH)
@given(data=st.data())
@hypothesis_settings(max_examples=8, deadline=None)
def test_locality(name, data):
    """Any cut between two frames gives the frames of the whole."""
    network = warmed(small(name))
    length, hop = network.geometry.frame_length, network.geometry.frame_hop
    samples = data.draw(st.integers(length + hop, length + 6 * hop), "samples")
    cut = data.draw(st.integers(1, network.geometry.frame_count(samples) - 1), "frame")
    waveform = noise(np.random.default_rng(samples), 1, samples)
    before, after = waveform[:, : length + (cut - 1) * hop], waveform[:, cut * hop :]
    joined = torch.cat([embeddings(network, before), embeddings(network, after)], dim=1)
    torch.testing.assert_close(joined, embeddings(network, waveform), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_a_frame_sees_all_its_samples_and_no_others(name, rng):
    network = warmed(small(name))
    length, hop = network.geometry.frame_length, network.geometry.frame_hop
    waveform = noise(rng, 1, length + 2 * hop).requires_grad_()
    network.embed(network.features(waveform))[:, 1].square().sum().backward()
    touched = torch.nonzero(waveform.grad[0]).flatten()
    assert hop <= touched.min() <= hop + 64  # a Hann window begins with zero, a maximum picks one of its inputs
    assert hop + length - 320 <= touched.max() < hop + length


@pytest.mark.parametrize(("name", "hop_seconds"), [("conv", 0.256), ("wave", 0.256), ("compact", 0.32)])
def test_the_frames_of_our_networks(name, hop_seconds):
    geometry = build_network(name, classes=50, task="single-label", seed=0).geometry
    assert 1.0 < geometry.frame_length_seconds < 2.5
    assert geometry.frame_hop_seconds == pytest.approx(hop_seconds)
    assert 3e5 < parameters_of(name, 50) < 3e6


def test_published_sizes():
    assert parameters_of("cvxtz-1d", 41) == 360_513
    # 2-D: normalisation 2; convolutions 352, 5392, 4640, 9248, 36992; dense 16512 and 256, twice; 41 classes 5289.
    assert parameters_of("cvxtz-2d", 41) == 2 + 352 + 5_392 + 4_640 + 9_248 + 36_992 + 2 * (16_512 + 256) + 5_289
    # tutorial: convolutions 320 and 18496; dense 14 * 14 * 64 to 128; 8 words. Resizing and normalising learn nothing.
    assert parameters_of("simple-audio", 8) == 320 + 18_496 + 12_544 * 128 + 128 + 129 * 8


def lengths(encoder, inputs, kinds, axis=2):
    """Return the length in time after each layer of some kinds."""
    seen = []
    hooks = [
        module.register_forward_hook(lambda _, __, output: seen.append(output.shape[axis]))
        for module in encoder.modules()
        if isinstance(module, kinds)
    ]
    encoder.eval()(inputs)
    for hook in hooks:
        hook.remove()
    return seen


def test_lengths_of_the_1d_network():
    encoder = small("cvxtz-1d").encoder
    found = lengths(encoder, torch.zeros(1, 32_000), (nn.Conv1d, nn.MaxPool1d))
    assert found == [31992, 31984, 1999, 1997, 1995, 498, 496, 494, 123, 121, 119]


def test_shapes_of_the_2d_networks():
    assert LIBROSA_DEFAULTS.frame_count(small("cvxtz-2d").geometry.frame_length) == 157
    encoder = small("cvxtz-2d").encoder
    picture = torch.zeros(1, 157, 320)
    assert lengths(encoder, picture, (nn.Conv2d, nn.MaxPool2d)) == [155, 153, 51, 49, 47, 15, 13]
    assert lengths(encoder, picture, (nn.Conv2d, nn.MaxPool2d), axis=3) == [314, 308, 44, 42, 40, 13, 11]
    tutorial = small("simple-audio").encoder
    assert tutorial[0](torch.zeros(1, 16_000)).shape == (1, 1, 124, 129)
    assert lengths(tutorial, torch.zeros(1, 16_000), (nn.Conv2d, nn.MaxPool2d)) == [30, 28, 14]
    assert lengths(small("sb-cnn").encoder, torch.zeros(1, 72, 32), (nn.Conv2d, nn.MaxPool2d)) == [72, 24, 24, 8, 4]


def test_normalised_windows(rng):
    """What the published networks do to a window first, against NumPy and librosa."""
    windows = rng.standard_normal((3, 32_000)).astype(np.float32)
    stretched = small("cvxtz-1d").encoder[0](torch.tensor(windows))[:, 0].numpy()
    low, high = windows.min(axis=1, keepdims=True), windows.max(axis=1, keepdims=True)
    np.testing.assert_allclose(stretched, (windows - low) / (high - low + 1e-4) - 0.5, atol=1e-6)
    import librosa

    power = rng.gamma(0.3, size=(320, 157)) * 10.0 ** rng.uniform(-9, 1, (320, 1))
    expected = (librosa.power_to_db(power, ref=np.max) + 40) / 40
    logarithm = torch.tensor(np.log(power.T + 1e-10), dtype=torch.float32)[None]
    np.testing.assert_allclose(small("cvxtz-2d").encoder[0](logarithm)[0].numpy().T, expected, atol=1e-4)
    standard = small("sb-cnn").encoder[0](torch.tensor(windows).reshape(3, 1_000, 32))
    np.testing.assert_allclose(standard.mean(dim=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(dim=(1, 2)), 1, atol=1e-3)


def test_residual_blocks_add_what_they_skip(rng):
    """With convolutions of zero a block is its middle: the crop keeps input and output frame by frame together."""
    block = Residual(3, 3)
    nn.init.zeros_(block.second[2].weight)
    maps = noise(rng, 2, 3, 11, 4)
    torch.testing.assert_close(block(maps), maps[:, :, 2:-2])


def test_fields():
    assert field_of([]) == (1, 1)
    assert field_of([(3, 1), (3, 1)]) == (5, 1)
    assert field_of([(3, 2), (2, 2), (5, 1)]) == (3 + 2 + 16, 4)


@pytest.mark.parametrize("name", [*FROM_SCRATCH])
def test_seeds(name):
    state = torch.random.get_rng_state()
    first, same, other = (small(name, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_layers_by_depth(name):
    network = small(name)
    layers = network.layers()
    assert layers[-1] is network.head
    listed = [parameter for layer in layers for parameter in layer.parameters()]
    assert {id(parameter) for parameter in listed} == {id(parameter) for parameter in network.parameters()}
    assert len(listed) == len({id(parameter) for parameter in listed})


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
@pytest.mark.parametrize("head", list_heads())
def test_every_head_learns(head, task, rng):
    network = EmbeddingNetwork(12, 4, task, head, **({} if head in PLAIN_HEADS else {"width": 16}))
    prediction = network(noise(rng, 6, 7, 12))
    assert prediction.clip.shape == (6, 4)
    assert prediction.frames.shape == (6, 7, 4)
    assert prediction.clip.isfinite().all()
    prediction.clip.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.embedding_size == 12
    assert network.classes == 4


def pooled(head, task, rng, frames=7):
    network = EmbeddingNetwork(12, 4, task, head, width=16, seed=2).eval()
    x = noise(rng, 3, frames, 12) * 10
    with torch.no_grad():
        clip, logits = network(x)
    single = task == "single-label"
    return (clip.exp() if single else clip.sigmoid()), (logits.softmax(-1) if single else logits.sigmoid())


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_pooled_decisions(task, rng):
    clip, frames = pooled("decision-max", task, rng)
    torch.testing.assert_close(clip, frames.amax(dim=1), rtol=1e-4, atol=1e-6)
    clip, frames = pooled("decision-average", task, rng)
    torch.testing.assert_close(clip, frames.mean(dim=1), rtol=1e-4, atol=1e-6)
    clip, frames = pooled("attention", task, rng)
    assert (clip <= frames.amax(dim=1) + 1e-5).all()
    assert (clip >= frames.amin(dim=1) - 1e-5).all()
    clip, frames = pooled("attention", task, rng, frames=1)
    torch.testing.assert_close(clip, frames[:, 0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("head", ["mean", "multi-level-attention", "feature-attention"])
def test_a_clip_of_one_frame_is_that_frame(head, rng):
    network = EmbeddingNetwork(12, 4, "single-label", head, **({} if head in PLAIN_HEADS else {"width": 16})).eval()
    clip, frames = network(noise(rng, 3, 1, 12))
    torch.testing.assert_close(clip, frames[:, 0], rtol=1e-4, atol=1e-5)


def test_the_mean_head_is_the_mean_of_its_frames(rng):
    clip, frames = build_head("mean", 12, 4, "multi-label")(noise(rng, 3, 9, 12))
    torch.testing.assert_close(clip, frames.mean(dim=1))


def test_attention_ignores_order_and_repetition(rng):
    network = EmbeddingNetwork(12, 4, "multi-label", "attention", width=16).eval()
    x = noise(rng, 2, 5, 12)
    torch.testing.assert_close(network(x).clip, network(torch.cat([x, x.flip(1)], dim=1)).clip, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", list_heads())
def test_heads_on_a_network(head, rng):
    options = {} if head in PLAIN_HEADS else {"width": 16}
    network = small("conv", head=head, head_options=options, task="multi-label")
    prediction = network(noise(rng, 3, 50_000))
    assert prediction.clip.shape == (3, 5)
    prediction.clip.sum().backward()


def test_the_list():
    assert {spec.name for spec in list_networks("wave")} == {"wave", "cvxtz-1d"}
    assert len(list_networks()) == len(NETWORKS) == len(list_networks("cnn")) + 2
    assert all(spec.description.endswith(".") and spec.source for spec in list_networks())
    assert find_network("timm:resnet18").options == ("pretrained", "hop_seconds")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cnvo"}, r"network 'cnvo' is not known; allowed: conv, .*timm:NAME"),
        ({"name": "timm:"}, r"network 'timm:' is not known"),
        ({"name": "conv", "width": 3}, r"network 'conv' has no option 'width'; allowed: widths, depth, bands"),
        ({"name": "conv", "head": "max"}, r"head 'max' is not known; allowed: mean, mean\+max, decision-max"),
        ({"name": "conv", "head_options": {"width": 3}}, r"head 'mean' has no option 'width'; allowed: dropout"),
    ],
)
def test_unknown_names(arguments, message):
    with pytest.raises(OptionError, match=message):
        build_network(**({"classes": 4, "task": "single-label", "seed": 0} | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "conv", "classes": 0}, r"a head for 0 classes on embeddings of 320: both must be at least 1"),
        ({"name": "conv", "widths": ()}, r"0 stages of 1 blocks on 64 bands"),
        ({"name": "conv", "bands": 40}, r"4 stages of 1 blocks on 40 bands: .*multiple of 16"),
        ({"name": "sb-cnn", "hop_seconds": 0.03}, r"hop_seconds=0.03 is not allowed: .*multiple of 0.02 s, 1.44 s at"),
        ({"name": "cvxtz-1d", "hop_seconds": 3.0}, r"hop_seconds=3 is not allowed: .* 2 s at most"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(NetworkError, match=message):
        build_network(**({"classes": 4, "task": "single-label", "seed": 0} | arguments))
