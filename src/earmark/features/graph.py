"""The log-mel front end as ONNX nodes, so that it travels inside the model.

Two forms give the same numbers. The plain one is a strided convolution of the waveform with the windowed DFT matrix.
The folded one needs half of its multiplications, rounds less, and is taken whenever the sizes allow it: a periodic Hann
window is symmetric about its centre, so with time counted from there cosines see only the sum, and sines only the
difference, of the two samples at equal distance. (Counting from the centre turns each bin's phase, which magnitude and
power do not see.) The samples are mirrored once, in blocks that window and hop are made of, not once a frame.

Bins could be paired too, m with N/2 - m, which halves the products again. Measured, that is 10 % faster and ten times
less accurate where a loud low tone meets quiet high bands: not worth it.
"""

import math
from collections.abc import Iterable

import numpy as np

from earmark.features.logmel import LogMel
from earmark.features.nodes import END, Nodes

_SMALLEST_BLOCK = 8  # below this the copies cost more than the folding saves


def add_padding(nodes: Nodes, waveform: str, length: int, hop: int) -> str:
    """Add nodes that pad the end of a waveform with zeros up to a whole number of frames, at least one.

    Parameters
    ----------
    nodes : Nodes
        The graph under construction.
    waveform : str
        Tensor of shape [batch, samples].
    length, hop : int
        Samples in a frame of the model and between two frames.

    Returns
    -------
    str
        Tensor of shape [batch, length + (frames - 1) * hop].
    """
    samples = nodes.size(waveform, 1)
    beyond = nodes("Max", nodes("Sub", samples, nodes.integers(length)), nodes.integers(0))
    hops = nodes("Div", nodes("Add", beyond, nodes.integers(hop - 1)), nodes.integers(hop))
    wanted = nodes("Add", nodes("Mul", hops, nodes.integers(hop)), nodes.integers(length))
    pads = nodes("Concat", nodes.integers(0, 0, 0), nodes("Sub", wanted, samples), axis=0)
    return nodes("Pad", waveform, pads)


def add_logmel(nodes: Nodes, waveform: str, settings: LogMel) -> str:
    """Add the nodes of a log-mel spectrogram.

    Parameters
    ----------
    nodes : Nodes
        The graph under construction.
    waveform : str
        Tensor of shape [batch, samples], float32, of at least one window.
    settings : LogMel
        Every number of the front end.

    Returns
    -------
    str
        Tensor of shape [batch, frames, bands]: ``ln(mel + log_offset)``.
    """
    mel = _folded_mel(nodes, waveform, settings) if is_foldable(settings) else _convolved_mel(nodes, waveform, settings)
    return nodes("Log", nodes("Add", mel, nodes.constant(settings.log_offset, np.float32)))


def is_foldable(settings: LogMel) -> bool:
    """Return whether the folded form exists: half a window and a hop are made of common blocks."""
    return settings.window_length % 2 == 0 and _block(settings) >= _SMALLEST_BLOCK


def _block(settings: LogMel) -> int:
    """Return the length of the blocks, in samples, that both half a window and a hop are made of."""
    return math.gcd(settings.window_length // 2, settings.hop_length)


def _convolved_mel(nodes: Nodes, waveform: str, settings: LogMel) -> str:
    """Add the plain form: one convolution gives real and imaginary parts of the bins that some band uses."""
    used = _used_bins(settings)
    kernel = np.concatenate([part[:, used].T for part in settings.dft])[:, None, :]
    channels = nodes("Unsqueeze", waveform, nodes.integers(1))
    parts = nodes("Conv", channels, nodes.constant(kernel, np.float32), strides=[settings.hop_length])
    by_frame = nodes("Transpose", parts, perm=[0, 2, 1])
    real, imaginary = (nodes.slice(by_frame, start, start + len(used), axis=2) for start in (0, len(used)))
    return _banded(nodes, real, imaginary, settings)


def _folded_mel(nodes: Nodes, waveform: str, settings: LogMel) -> str:
    """Add the folded form: cosines of the sums and sines of the differences about each window's centre."""
    half = settings.window_length // 2
    distance = np.arange(half)[:, None]
    phase = 2 * np.pi * distance * _used_bins(settings) / settings.fft_size
    window = settings.window[half:, None]
    folded_once = np.where(distance == 0, 0.5, 1.0)  # the centre sample meets itself
    after, before = _halves(nodes, _whole_windows(nodes, waveform, settings), settings)
    cosines = nodes.constant(np.cos(phase) * window * folded_once, np.float32)
    sines = nodes.constant(np.sin(phase) * window, np.float32)
    real = nodes("MatMul", nodes("Add", after, before), cosines)
    imaginary = nodes("MatMul", nodes("Sub", after, before), sines)
    return _banded(nodes, real, imaginary, settings)


def _used_bins(settings: LogMel) -> np.ndarray:
    """Return the bins that some band uses."""
    return np.flatnonzero(settings.mel.any(axis=1))


def _banded(nodes: Nodes, real: str, imaginary: str, settings: LogMel) -> str:
    """Add the bands' sums of magnitude or power; parts have shape [batch, frames, used bins]."""
    power = nodes("Add", nodes("Mul", real, real), nodes("Mul", imaginary, imaginary))
    spectrum = nodes("Sqrt", power) if settings.spectrum == "magnitude" else power
    return nodes("MatMul", spectrum, nodes.constant(settings.mel[_used_bins(settings)], np.float32))


def _whole_windows(nodes: Nodes, waveform: str, settings: LogMel) -> str:
    """Add nodes that leave out the samples after the last whole window."""
    window, hop = settings.window_length, settings.hop_length
    beyond = nodes("Sub", nodes.size(waveform, 1), nodes.integers(window))
    hops = nodes("Div", beyond, nodes.integers(hop))
    end = nodes("Add", nodes("Mul", hops, nodes.integers(hop)), nodes.integers(window))
    return nodes("Slice", waveform, nodes.integers(0), end, nodes.integers(1))


def _halves(nodes: Nodes, waveform: str, settings: LogMel) -> tuple[str, str]:
    """Add nodes for the samples after and before each window's centre, both by rising distance from it.

    Each tensor has shape [batch, frames, window / 2]. At distance 0 both are the first sample after the centre.
    """
    block = _block(settings)
    half = settings.window_length // (2 * block)
    blocks = nodes("Reshape", waveform, nodes.integers(0, -1, block))
    shifted = nodes("Pad", nodes.slice(waveform, 1, END, axis=1), nodes.integers(0, 0, 0, 1))
    mirrored = nodes.slice(nodes("Reshape", shifted, nodes.integers(0, -1, block)), block - 1, -END, axis=2, step=-1)
    after = _windows(nodes, blocks, range(half, 2 * half), settings)
    before = _windows(nodes, mirrored, reversed(range(half)), settings)
    return after, before


def _windows(nodes: Nodes, blocks: str, order: Iterable[int], settings: LogMel) -> str:
    """Add nodes that lay the blocks of each window, in `order`, side by side."""
    per_window = settings.window_length // _block(settings)
    per_hop = settings.hop_length // _block(settings)
    parts = []
    for first in order:
        last = first + 1 - per_window  # the same block of the last window, counted from the end
        parts.append(nodes.slice(blocks, first, last if last < 0 else END, axis=1, step=per_hop))
    return nodes("Concat", *parts, axis=2)
