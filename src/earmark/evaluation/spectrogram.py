"""A spectrogram as a small PNG, made with NumPy and zlib alone."""

import struct
import zlib

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from earmark.features.logmel import LogMel, picture_settings

FLOOR_DB = -75.0
COLUMNS = 500

# Points of a scale from black over violet and orange to pale yellow, even in lightness, like Matplotlib's magma.
_COLOURS: tuple[tuple[int, int, int], ...] = (
    *((0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122)),
    *((229, 80, 100), (251, 135, 97), (254, 194, 135), (252, 253, 191)),
)


def spectrogram_png(waveform: NDArray[np.float32], sample_rate_hz: int, *, columns: int = COLUMNS) -> bytes:
    """Return a log-mel spectrogram as a PNG: time across, low frequencies at the bottom, 0 dB the loudest.

    Parameters
    ----------
    waveform : ndarray of float32, shape (samples,)
    sample_rate_hz : int
    columns : int
        The picture is no wider; a step of time that is finer than a column is merged with its neighbours.
    """
    settings = picture_settings(sample_rate_hz)
    decibels = _decibels(_power(waveform, settings, columns))
    return png((decibels.T[::-1] / FLOOR_DB * -255 + 255).round().astype(np.uint8))


def png(values: NDArray[np.uint8]) -> bytes:
    """Return an image of one byte a dot in the colours of the scale; shape (rows, columns), the top row first."""
    rows, columns = values.shape
    scale = np.array(_COLOURS, np.float64)
    steps = np.linspace(0, len(scale) - 1, 256)
    palette = np.stack([np.interp(steps, np.arange(len(scale)), channel) for channel in scale.T], axis=1)
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), values], axis=1)  # each line says that it is not filtered
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette.round().astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _power(waveform: NDArray[np.float32], settings: LogMel, most_columns: int) -> NDArray[np.float64]:
    """Return mean mel power in at most so many columns: shape (columns, bands)."""
    padded = np.pad(waveform, (0, settings.window_length))
    frames = sliding_window_view(padded, settings.window_length)[:: settings.hop_length]
    spectrum = np.fft.rfft(frames * settings.window, settings.fft_size)
    power = np.square(np.abs(spectrum)) @ settings.mel
    merged = -(-len(power) // most_columns)
    starts = np.arange(0, len(power), merged)
    columns: NDArray[np.float64] = np.add.reduceat(power, starts, axis=0)
    return columns / np.diff(starts, append=len(power))[:, None]


def _decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    highest = power.max() or 1.0
    decibels: NDArray[np.float64] = 10 * np.log10(np.maximum(power / highest, 10 ** (FLOOR_DB / 10)))
    return decibels
