"""Residual convolutions over a picture of sound that never look beyond their frame: no padding in time.

A convolution of 3 frames without padding gives 2 frames less than it takes. So a skip connection leaves out one frame
at both ends for each convolution that it passes. In frequency, pictures are padded as usual.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from earmark.errors import NetworkError
from earmark.features.nodes import Nodes
from earmark.training.networks.network import Field

_STEM_SIZE, _STEM_STRIDE = 5, 2


class Residual(nn.Module):
    """Two convolutions with their normalisation and ReLU before them, and a skip (He et al., 2016).

    Maps [B, inputs, frames, bands] to [B, outputs, frames - 2 * (frames seen - 1), bands].

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    seen : {1, 3}
        Frames that a convolution sees at once; of bands it sees 3.
    """

    def __init__(self, inputs: int, outputs: int, seen: int = 3) -> None:
        super().__init__()
        self.lost = seen - 1
        self.first = _Convolution(inputs, outputs, seen)
        self.second = _Convolution(outputs, outputs, seen)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """Add what the convolutions make of the maps to the maps."""
        skipped: Tensor = self.skip(maps[:, :, self.lost : -self.lost] if self.lost else maps)
        convolved: Tensor = self.second(self.first(maps))
        return skipped + convolved


class _Convolution(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, seen: int) -> None:
        convolution = nn.Conv2d(inputs, outputs, (seen, 3), padding=(0, 1), bias=False)
        super().__init__(nn.BatchNorm2d(inputs), nn.ReLU(), convolution)


class BandNorm(nn.Module):
    """Features [B, frames, bands] as a picture, each band with mean 0 and deviation 1 over the training clips.

    Parameters
    ----------
    bands : int
        Of the features.
    """

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(bands, affine=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return the picture [B, 1, frames, bands]."""
        picture: Tensor = self.norm(features.transpose(1, 2)).transpose(1, 2)
        return picture.unsqueeze(1)

    def add_nodes(self, nodes: Nodes, tensor: str) -> str:
        """Add a product and a sum: a normalisation of ONNX would want the bands turned to the front, and back."""
        mean, variance = self.norm.running_mean, self.norm.running_var
        assert mean is not None, "statistics are kept"
        assert variance is not None, "statistics are kept"
        scale = 1 / torch.sqrt(variance + self.norm.eps)
        scaled = nodes("Mul", tensor, nodes.constant(scale.cpu().numpy(), np.float32))
        shifted = nodes("Add", scaled, nodes.constant((-mean * scale).cpu().numpy(), np.float32))
        return nodes("Unsqueeze", shifted, nodes.integers(1))


class _Readout(nn.Module):
    """The mean over frequency: [B, channels, T, bands] to embeddings [B, T, channels]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, maps: Tensor) -> Tensor:
        normed: Tensor = self.norm(maps)
        return normed.relu().mean(dim=3).transpose(1, 2)


def residual_layers(bands: int, widths: Sequence[int], depth: int) -> list[nn.Module]:
    """Return the layers from features [B, frames, bands] to embeddings [B, T, widths[-1]].

    Parameters
    ----------
    bands : int
        Of the features; halved by the stem and between two stages.
    widths : sequence of int
        Channels of each stage.
    depth : int
        Residual blocks in each stage.

    Raises
    ------
    NetworkError
        If there are no stages, or more than the bands can be halved.
    """
    return [*stages(bands, widths, depth, stem, Residual), _Readout(widths[-1])]


def stages(
    bands: int,
    widths: Sequence[int],
    depths: int | Sequence[int],
    make_stem: Callable[[int], nn.Module],
    make_block: Callable[[int, int, int], nn.Module],
) -> list[nn.Module]:
    """Return the layers from features [B, frames, bands] to maps [B, widths[-1], T, bands left].

    Parameters
    ----------
    bands : int
        Of the features; halved by the stem and between two stages.
    widths : sequence of int
        Channels of each stage.
    depths : int or sequence of int
        Blocks in each stage, or in all alike.
    make_stem : callable
        Makes the first layer for so many channels, of the size and stride of `stem`.
    make_block : callable
        Makes a block for channels that come in, channels that go out, and the frames that its two convolutions see.

    Raises
    ------
    NetworkError
        If there are no stages, more than the bands can be halved, or not as many depths as widths.
    """
    each = [depths] * len(widths) if isinstance(depths, int) else list(depths)
    if not widths or len(each) != len(widths) or min(each) < 1 or bands % 2 ** len(widths):
        raise NetworkError(
            f"{len(widths)} stages of {depths} blocks on {bands} bands: there must be at least one of each, "
            f"and bands are halved once a stage: give a multiple of {2 ** max(1, len(widths))}"
        )
    layers: list[nn.Module] = [BandNorm(bands), make_stem(widths[0])]
    inputs = widths[0]
    for stage, (width, depth) in enumerate(zip(widths, each, strict=True)):
        seen = frames_seen(stage, len(widths))
        blocks = [make_block(inputs if block == 0 else width, width, seen) for block in range(depth)]
        layers.append(nn.Sequential(*([nn.MaxPool2d(2)] if stage else []), *blocks))
        inputs = width
    return layers


def stem(channels: int) -> nn.Conv2d:
    """Return the convolution that looks at the picture first, and halves it both ways."""
    return nn.Conv2d(1, channels, _STEM_SIZE, stride=_STEM_STRIDE, padding=(0, _STEM_SIZE // 2), bias=False)


def stage_steps(depths: Sequence[int]) -> list[tuple[int, int]]:
    """Return size and stride in time of every layer that `stages` makes."""
    steps = [(_STEM_SIZE, _STEM_STRIDE)]
    for stage, depth in enumerate(depths):
        blocks = [(frames_seen(stage, len(depths)), 1)] * (2 * depth)
        steps += [*([(2, 2)] if stage else []), *blocks]
    return steps


def frames_seen(stage: int, stages: int) -> int:
    """Return how many frames the convolutions of a stage see at once: one in the last of several.

    There three would double what an embedding sees, and leave a short clip with few embeddings.
    """
    return 1 if stage and stage == stages - 1 else 3


def field_of(steps: Iterable[tuple[int, int]]) -> Field:
    """Return what one value sees after convolutions or pools of the given sizes and strides, one after another."""
    length, stride = 1, 1
    for size, step in steps:
        length += (size - 1) * stride
        stride *= step
    return Field(length, stride)
