"""The log-mel front end as ONNX nodes, so that it travels inside the model.

Two forms give the same numbers. The plain one is a strided convolution of the waveform with the windowed DFT matrix.
The folded one needs half of its multiplications, rounds less, and is taken whenever the sizes allow it: a periodic Hann
window is symmetric about its centre, so with time counted from there cosines see only the sum, and sines only the
difference, of the two samples at equal distance. (Counting from the centre turns each bin's phase, which magnitude and
power do not see.) The waveform is laid out in rows of one hop, so that each half of all windows is a few blocks of it.

Bins could be paired too, m with N/2 - m, which halves the products again. Measured, that is 10 % faster and ten times
less accurate where a loud low tone meets quiet high bands: not worth it.
"""

import math

import numpy as np

from earmark.features.logmel import LogMel
from earmark.features.nodes import END, Nodes

_MOST_ROWS = 16  # of hops in a window; with more of them the copies cost more than the folding saves


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
    beyond = nodes("Sub", add_padded_size(nodes, waveform, length, hop), nodes.size(waveform, 1))
    return _padded(nodes, waveform, beyond)


def add_padded_size(nodes: Nodes, waveform: str, length: int, hop: int) -> str:
    """Add nodes for the size that `add_padding` pads to, for `add_logmel`, which then need not copy the waveform twice.

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
        A vector of one int64: ``length + (frames - 1) * hop``.
    """
    samples = nodes.size(waveform, 1)
    beyond = nodes("Max", nodes("Sub", samples, nodes.integers(length)), nodes.integers(0))
    hops = nodes("Div", nodes("Add", beyond, nodes.integers(hop - 1)), nodes.integers(hop))
    return nodes("Add", nodes("Mul", hops, nodes.integers(hop)), nodes.integers(length))


def add_logmel(nodes: Nodes, waveform: str, settings: LogMel, size: str | None = None) -> str:
    """Add the nodes of a log-mel spectrogram.

    Parameters
    ----------
    nodes : Nodes
        The graph under construction.
    waveform : str
        Tensor of shape [batch, samples], float32.
    settings : LogMel
        Every number of the front end.
    size : str, optional
        A vector of one int64: how many samples there are with the zeros that are added to the end; by default as many
        as the waveform has. At least one window.

    Returns
    -------
    str
        Tensor of shape [batch, frames, bands]: ``ln(mel + log_offset)``.
    """
    if is_foldable(settings):
        mel = _folded_mel(nodes, waveform, size or nodes.size(waveform, 1), settings)
    else:
        whole = _padded(nodes, waveform, nodes("Sub", size, nodes.size(waveform, 1))) if size else waveform
        mel = _convolved_mel(nodes, whole, settings)
    return nodes("Log", nodes("Add", mel, nodes.constant(settings.log_offset, np.float32)))


def is_foldable(settings: LogMel) -> bool:
    """Return whether the folded form exists, for an even window, and is the faster one."""
    return settings.window_length % 2 == 0 and _rows_per_window(settings) <= _MOST_ROWS


def _rows_per_window(settings: LogMel) -> int:
    return math.ceil(settings.window_length / settings.hop_length)


def _padded(nodes: Nodes, waveform: str, beyond: str, skipped: int = 0) -> str:
    """Add a node that adds so many zeros to the end, and leaves out so many samples of the beginning.

    Fewer than no zeros leave out samples of the end.
    """
    return nodes("Pad", waveform, nodes("Concat", nodes.integers(0, -skipped, 0), beyond, axis=0))


def _convolved_mel(nodes: Nodes, waveform: str, settings: LogMel) -> str:
    """Add the plain form: one convolution gives real and imaginary parts of the bins that some band uses."""
    used = _used_bins(settings)
    kernel = np.concatenate([part[:, used].T for part in settings.dft])[:, None, :]
    channels = nodes("Unsqueeze", waveform, nodes.integers(1))
    parts = nodes("Conv", channels, nodes.constant(kernel, np.float32), strides=[settings.hop_length])
    by_frame = nodes("Transpose", parts, perm=[0, 2, 1])
    real, imaginary = (nodes.slice(by_frame, start, start + len(used), axis=2) for start in (0, len(used)))
    return _banded(nodes, real, imaginary, settings)


def _folded_mel(nodes: Nodes, waveform: str, size: str, settings: LogMel) -> str:
    """Add the folded form: cosines of the sums and sines of the differences about each window's centre."""
    half = settings.window_length // 2
    distance = np.arange(half)[:, None]
    phase = 2 * np.pi * distance * _used_bins(settings) / settings.fft_size
    window = settings.window[half:, None]
    folded_once = np.where(distance == 0, 0.5, 1.0)  # the centre sample meets itself
    after, before = _halves(nodes, waveform, size, settings)
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


def _halves(nodes: Nodes, waveform: str, size: str, settings: LogMel) -> tuple[str, str]:
    """Add nodes for the samples after and before each window's centre, both by rising distance from it.

    Each tensor has shape [batch, frames, window / 2]. At distance 0 both are the first sample after the centre, so the
    samples before it are taken from a waveform that begins one sample later.
    """
    window, hop = settings.window_length, settings.hop_length
    hops = nodes("Div", nodes("Sub", size, nodes.integers(window)), nodes.integers(hop))
    rows = nodes("Add", hops, nodes.integers(_rows_per_window(settings)))
    beyond = nodes("Sub", nodes("Mul", rows, nodes.integers(hop)), nodes.size(waveform, 1))
    shape = nodes.integers(0, -1, hop)
    later = _padded(nodes, waveform, nodes("Add", beyond, nodes.integers(1)), skipped=1)
    after = _stretch(nodes, nodes("Reshape", _padded(nodes, waveform, beyond), shape), window // 2, window, settings)
    before = _stretch(nodes, nodes("Reshape", later, shape), window // 2 - 1, -1, settings)
    return after, before


def _stretch(nodes: Nodes, rows: str, start: int, end: int, settings: LogMel) -> str:
    """Add nodes for the samples ``[start:end]`` of every window, which end before they start where they are mirrored.

    Parameters
    ----------
    nodes : Nodes
        The graph under construction.
    rows : str
        Tensor of shape [batch, frames - 1 + rows of a window, hop].
    start, end : int
        Samples from the window's first, the end not included.
    settings : LogMel
        Says how long window and hop are.
    """
    hop, count = settings.hop_length, _rows_per_window(settings)
    step = 1 if start < end else -1
    parts = []
    for row in range(count)[::step]:
        columns = [sample - row * hop for sample in range(start, end, step) if sample // hop == row]
        if columns:
            last_row = row + 1 - count  # of the last window, counted from the end
            ends = (last_row or END, columns[-1] + step if columns[-1] + step >= 0 else -END)
            bounds = ((row, columns[0]), ends, (1, 2), (1, step))
            parts.append(nodes("Slice", rows, *(nodes.integers(*bound) for bound in bounds)))
    return nodes("Concat", *parts, axis=2) if len(parts) > 1 else parts[0]
