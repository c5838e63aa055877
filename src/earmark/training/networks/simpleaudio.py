"""The network of TensorFlow's tutorial "Simple audio recognition": a spectrogram, made small, and two convolutions."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from earmark.features.logmel import LogMel
from earmark.features.nodes import END, Nodes
from earmark.training.networks.heads import HeadMaker
from earmark.training.networks.layers import initialise_as_keras
from earmark.training.networks.network import Network, window_field

RATE_HZ = 16_000
SAMPLES = 16_000
WINDOW, STEP, FFT_SIZE = 255, 128, 256
SIDE, EMBEDDING_SIZE = 32, 128


def simple_audio(make_head: HeadMaker, *, hop_seconds: float = 0.5) -> Network:
    """Return the tutorial's network for 1 s of sound: magnitudes of 124 frames and 129 bins, resized to 32 x 32.

    Parameters
    ----------
    make_head : callable
        Makes the head for embeddings of a given length.
    hop_seconds : float
        Between the starts of two windows.
    """
    encoder = nn.Sequential(
        _Magnitudes(),
        _Resize(SIDE),
        nn.BatchNorm2d(1, affine=False),  # the tutorial adapts mean and variance before it trains
        *(nn.Conv2d(1, 32, 3), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3), nn.ReLU()),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        *(nn.Linear(64 * (SIDE // 2 - 2) ** 2, EMBEDDING_SIZE), nn.ReLU()),
        nn.Dropout(0.5),
    )
    initialise_as_keras(encoder)
    field = window_field(SAMPLES, hop_seconds, RATE_HZ)
    return Network(encoder, make_head(EMBEDDING_SIZE), field=field, windowed=True, front_end=RATE_HZ)


class _Magnitudes(nn.Module):
    """The magnitude spectrogram of windows [N, samples], in float32: [N, 1, frames, bins]."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        sizes: dict[str, Any] = {
            "window_seconds": WINDOW / RATE_HZ,
            "hop_seconds": STEP / RATE_HZ,
            "fft_size": FFT_SIZE,
        }
        settings = LogMel(sample_rate=RATE_HZ, bands=1, low_hz=0.0, high_hz=RATE_HZ / 2, **sizes)
        kernel = torch.cat([torch.tensor(part.T, dtype=torch.float32) for part in settings.dft])
        self.register_buffer("kernel", kernel[:, None], persistent=False)

    def forward(self, windows: Tensor) -> Tensor:
        with torch.autocast(windows.device.type, enabled=False):
            parts = functional.conv1d(windows.float().unsqueeze(1), self.kernel, stride=STEP)
            real, imaginary = parts.chunk(2, dim=1)
            magnitudes = (real.square() + imaginary.square()).sqrt()
        return magnitudes.transpose(1, 2).unsqueeze(1)

    def add_nodes(self, nodes: Nodes, windows: str) -> str:
        """Add nodes that do the same."""
        channels = nodes("Unsqueeze", windows, nodes.integers(1))
        parts = nodes("Conv", channels, nodes.constant(self.kernel.cpu().numpy()), strides=[STEP])
        squares, bins = nodes("Mul", parts, parts), len(self.kernel) // 2
        power = nodes("Add", nodes.slice(squares, 0, bins, axis=1), nodes.slice(squares, bins, END, axis=1))
        frames = nodes("Transpose", nodes("Sqrt", power), perm=[0, 2, 1])
        return nodes("Unsqueeze", frames, nodes.integers(1))


class _Resize(nn.Module):
    """Pictures made square, bilinearly."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, pictures: Tensor) -> Tensor:
        return functional.interpolate(pictures, size=(self.side, self.side), mode="bilinear", align_corners=False)

    def add_nodes(self, nodes: Nodes, pictures: str) -> str:
        """Add a node that does the same."""
        sizes = nodes(
            "Concat", *(nodes.size(pictures, axis) for axis in (0, 1)), nodes.integers(self.side, self.side), axis=0
        )
        return nodes("Resize", pictures, "", "", sizes, mode="linear", coordinate_transformation_mode="half_pixel")
