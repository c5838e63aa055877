"""The two networks of "Audio Classification: A Convolutional Neural Network Approach" (CVxTz/audio_classification)."""

import math

from torch import Tensor, nn

from earmark.features.logmel import LogMel
from earmark.training.networks.heads import HeadMaker
from earmark.training.networks.layers import AsPicture, GlobalMaxPool, initialise_as_keras
from earmark.training.networks.network import Network, window_field

RATE_HZ = 16_000
WAVE_SAMPLES = 32_000
WAVE_EMBEDDING_SIZE = 1_028
PICTURE_FRAMES, PICTURE_BANDS = 157, 320
PICTURE_EMBEDDING_SIZE = 128

LIBROSA_DEFAULTS = LogMel(
    sample_rate=RATE_HZ,
    window_seconds=2048 / RATE_HZ,
    hop_seconds=512 / RATE_HZ,
    fft_size=2048,
    bands=PICTURE_BANDS,
    low_hz=0.0,
    high_hz=RATE_HZ / 2,
    mel_formula="slaney",
    area_normalised=True,
    log_offset=1e-10,
)
"""What `librosa.feature.melspectrogram` takes where nothing is said, with 320 bands."""


def cvxtz_1d(make_head: HeadMaker, *, hop_seconds: float = 1.0) -> Network:
    """Return the 1-D network: 2 s of waveform, normalised by its extremes, through a cascade of 1-D convolutions.

    With 41 classes it has 360,513 parameters. A clip that is longer than a window is scored window by window, where the
    source takes a random crop.

    Parameters
    ----------
    make_head : callable
        Makes the head for embeddings of a given length.
    hop_seconds : float
        Between the starts of two windows.
    """
    encoder = nn.Sequential(
        _MinMax(),
        *_convolutions(1, 16, 9),
        nn.MaxPool1d(16),
        nn.Dropout(0.1),
        *_convolutions(16, 32, 3),
        nn.MaxPool1d(4),
        nn.Dropout(0.1),
        *_convolutions(32, 32, 3),
        nn.MaxPool1d(4),
        nn.Dropout(0.1),
        *_convolutions(32, 256, 3),
        GlobalMaxPool(),
        nn.Dropout(0.2),
        *(nn.Linear(256, 64), nn.ReLU()),
        *(nn.Linear(64, WAVE_EMBEDDING_SIZE), nn.ReLU()),
    )
    initialise_as_keras(encoder)
    field = window_field(WAVE_SAMPLES, hop_seconds, RATE_HZ)
    return Network(encoder, make_head(WAVE_EMBEDDING_SIZE), field=field, windowed=True, front_end=RATE_HZ)


def _convolutions(inputs: int, outputs: int, size: int) -> tuple[nn.Module, ...]:
    """Return two convolutions without padding, each with its ReLU."""
    return nn.Conv1d(inputs, outputs, size), nn.ReLU(), nn.Conv1d(outputs, outputs, size), nn.ReLU()


class _MinMax(nn.Module):
    """Stretches each window [N, samples] to [-0.5, 0.5], as one channel: [N, 1, samples]."""

    def forward(self, windows: Tensor) -> Tensor:
        low, high = windows.amin(dim=1, keepdim=True), windows.amax(dim=1, keepdim=True)
        return ((windows - low) / (high - low + 1e-4) - 0.5).unsqueeze(1)


def cvxtz_2d(make_head: HeadMaker, *, hop_seconds: float = 2.56) -> Network:
    """Return the 2-D network: 157 frames of 320 mel bands, in decibels below the window's loudest.

    librosa centres its frames, so that 157 of them span 5 s and half a window more at both ends, mirrored. Here frames
    are not centred, and 157 span the 5.12 s that they need.

    Parameters
    ----------
    make_head : callable
        Makes the head for embeddings of a given length.
    hop_seconds : float
        Between the starts of two windows.
    """
    encoder = nn.Sequential(
        _DecibelsBelowMaximum(),
        AsPicture(),
        _norm2d(1),
        *_pictures(1, 16, (3, 7)),
        nn.MaxPool2d((3, 7)),
        nn.Dropout(0.1),
        *_pictures(16, 32, (3, 3)),
        nn.MaxPool2d(3),
        nn.Dropout(0.1),
        *(nn.Conv2d(32, 128, 3), nn.ReLU()),
        GlobalMaxPool(),
        nn.Dropout(0.1),
        *(nn.Linear(128, PICTURE_EMBEDDING_SIZE), nn.ReLU(), nn.BatchNorm1d(PICTURE_EMBEDDING_SIZE, eps=1e-3)),
        *(nn.Linear(128, PICTURE_EMBEDDING_SIZE), nn.ReLU(), nn.BatchNorm1d(PICTURE_EMBEDDING_SIZE, eps=1e-3)),
    )
    initialise_as_keras(encoder)
    field = window_field(PICTURE_FRAMES, hop_seconds, LIBROSA_DEFAULTS)
    head = make_head(PICTURE_EMBEDDING_SIZE)
    return Network(encoder, head, field=field, windowed=True, front_end=LIBROSA_DEFAULTS)


def _norm2d(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=1e-3)  # Keras' epsilon


def _pictures(inputs: int, outputs: int, size: tuple[int, int]) -> tuple[nn.Module, ...]:
    """Return two convolutions without padding, each with its ReLU."""
    return nn.Conv2d(inputs, outputs, size), nn.ReLU(), nn.Conv2d(outputs, outputs, size), nn.ReLU()


class _DecibelsBelowMaximum(nn.Module):
    """Turns ln(power) into decibels below each window's maximum, 80 at most, and those into [-1, 1]."""

    def forward(self, windows: Tensor) -> Tensor:
        decibels = (10 / math.log(10)) * (windows - windows.amax(dim=(1, 2), keepdim=True))
        return (decibels.clamp(min=-80.0) + 40.0) / 40.0
