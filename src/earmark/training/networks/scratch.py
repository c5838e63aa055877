"""earmark's own networks from scratch: one residual network on pictures of sound, computed or learned."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from earmark.features.logmel import LogMel
from earmark.training.networks.heads import HeadMaker
from earmark.training.networks.layers import channels_last
from earmark.training.networks.network import Network
from earmark.training.networks.residual import field_of, residual_layers, stage_steps

RATE_HZ = 16_000


def conv(
    make_head: HeadMaker, *, widths: Sequence[int] = (32, 64, 160, 320), depth: int = 1, bands: int = 64
) -> Network:
    """Return a residual network on the log-mel spectrogram.

    Frames of 32 ms each 16 ms; an embedding sees 1.2 s and there is one each 0.256 s, with four stages of depth 1.

    Parameters
    ----------
    make_head : callable
        Makes the head for embeddings of a given length.
    widths : sequence of int
        Channels of each stage; the last is the embedding's length.
    depth : int
        Residual blocks in each stage; each makes frames longer.
    bands : int
        Of the spectrogram.
    """
    settings = spectrogram(bands, window_seconds=0.032, hop_seconds=0.016)
    encoder = channels_last(nn.Sequential(*residual_layers(bands, widths, depth)))
    field = field_of(stage_steps([depth] * len(widths)))
    return Network(encoder, make_head(widths[-1]), field=field, windowed=False, front_end=settings)


def spectrogram(bands: int, *, window_seconds: float, hop_seconds: float, **more: Any) -> LogMel:
    """Return the log-mel spectrogram of our networks: Slaney's bands from 50 Hz to half the rate.

    Parameters
    ----------
    bands : int
        How many.
    window_seconds, hop_seconds : float
        Whole numbers of samples; the Fourier transform is as long as the window.
    **more
        Other settings of `LogMel`.
    """
    return LogMel(
        sample_rate=RATE_HZ,
        window_seconds=window_seconds,
        hop_seconds=hop_seconds,
        fft_size=round(window_seconds * RATE_HZ),
        bands=bands,
        low_hz=50.0,
        high_hz=RATE_HZ / 2,
        mel_formula="slaney",
        area_normalised=True,
        **more,
    )


def wave(
    make_head: HeadMaker, *, widths: Sequence[int] = (24, 48, 96, 192), depth: int = 1, filters: int = 64
) -> Network:
    """Return a residual network on a picture that it learns from the waveform (after AclNet and ACDNet).

    Two strided convolutions and a maximum give `filters` channels each 16 ms, in place of the log-mel's bands.

    Parameters
    ----------
    make_head : callable
        Makes the head for embeddings of a given length.
    widths : sequence of int
        Channels of each stage; the last is the embedding's length.
    depth : int
        Residual blocks in each stage; each makes frames longer.
    filters : int
        Channels that stand for bands.
    """
    encoder = channels_last(nn.Sequential(_Filters(filters), *residual_layers(filters, widths, depth)))
    field = field_of([*_FILTER_STEPS, *stage_steps([depth] * len(widths))])
    return Network(encoder, make_head(widths[-1]), field=field, windowed=False, front_end=RATE_HZ)


_BLOCK = 16
_FILTER_STEPS = ((4 * _BLOCK, _BLOCK), (3, 1), (16, 16))
"""Size and stride, in samples and then in steps of the layer before: two convolutions, a maximum."""


class _Filters(nn.Module):
    """The waveform [B, samples] as a picture of learned filters' maxima [B, frames, filters].

    Filters of 64 samples, one value each 16, are filters of 4 blocks of 16 samples, one value a block: the same,
    several times as fast. Time is the first of two axes and the second has one value, as processors have their
    best kernels for pictures.
    """

    def __init__(self, filters: int) -> None:
        super().__init__()
        (first, _), (second, _), (pool, _) = _FILTER_STEPS
        self.layers = nn.Sequential(
            nn.Conv2d(_BLOCK, filters, (first // _BLOCK, 1), bias=False),
            *(nn.BatchNorm2d(filters), nn.ReLU()),
            nn.Conv2d(filters, filters, (second, 1), bias=False),
            *(nn.BatchNorm2d(filters), nn.ReLU()),
            nn.MaxPool2d((pool, 1)),
        )

    def forward(self, waveform: Tensor) -> Tensor:
        blocks = torch.unflatten(waveform, 1, (-1, _BLOCK)).transpose(1, 2)
        picture: Tensor = self.layers(blocks.unsqueeze(3))
        return picture.flatten(2).transpose(1, 2)
