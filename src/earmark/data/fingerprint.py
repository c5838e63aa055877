"""A short description of a sound that survives another rate, level or codec, and tells it from every other."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["RATE_HZ", "SPAN_SECONDS", "fingerprint", "similar_pairs"]

RATE_HZ = 8_000
"""Of the waveform that `fingerprint` takes: what even a telephone keeps."""

SPAN_SECONDS = 10.0
"""What is looked at, from the beginning."""

_FRAME, _HOP = 1024, 256
_BANDS = 16
_LOW_HZ, _HIGH_HZ = 200.0, 3400.0
_FLOOR = 1e-6  # of the loudest band energy: what is below is taken as silence
_CLIP_DB = 6.0
_LEAST_CHANGE_DB, _LEAST_CHANGES = 1.0, 60  # or a steady tone would be told by its rounding errors
_LAGS = (0, -1, 1, -2, 2)  # frames; codecs delay a sound by up to 50 ms
_BLOCK = 256

Fingerprint = NDArray[np.int8]


def fingerprint(waveform: NDArray[np.float32]) -> Fingerprint | None:
    """Return how the slope of the spectrum changes from frame to frame, or None where nothing changes.

    Parameters
    ----------
    waveform : ndarray of float32, shape (samples,)
        At `RATE_HZ`; `SPAN_SECONDS` of it are used.

    Returns
    -------
    ndarray of int8, shape (frames, bands - 1), or None
        Differences over bands and frames of the energy in dB, limited to 6 dB, which is 127; None for silence, a steady
        tone, or less than two frames.

    Notes
    -----
    After Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002, which keeps the signs alone.
    A level, a filter and an envelope fall out in the differences.
    """
    samples = waveform[: round(SPAN_SECONDS * RATE_HZ)]
    if len(samples) < _FRAME + _HOP:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP] * np.hanning(_FRAME).astype(np.float32)
    energies = (np.abs(np.fft.rfft(frames, axis=1)) ** 2).astype(np.float32) @ _band_matrix()
    peak = float(energies.max())
    if peak <= np.finfo(np.float32).tiny / _FLOOR:
        return None
    level_db = 10.0 * np.log10(np.maximum(energies / peak, _FLOOR))
    change_db = np.diff(np.diff(level_db, axis=1), axis=0)
    if np.count_nonzero(np.abs(change_db) > _LEAST_CHANGE_DB) < _LEAST_CHANGES:
        return None
    change = np.clip(change_db / _CLIP_DB, -1.0, 1.0)
    return np.asarray(np.rint(change * 127), np.int8)


def similar_pairs(
    fingerprints: Sequence[Fingerprint | None], seconds: Sequence[float], *, threshold: float = 0.75
) -> list[tuple[int, int]]:
    """Return the pairs of sounds that are one sound, as indices, the smaller first.

    Parameters
    ----------
    fingerprints : sequence of ndarray or None
        Of each sound; those without one are like no other.
    seconds : sequence of float
        Of each sound. Only sounds that last about as long are compared: to a quarter of a second, or 2 %.
    threshold : float
        Correlation in [-1, 1] from which on two are one. Copies in the usual codecs come above it; different sounds
        stay far below, the shortest ones the least.
    """
    known = sorted((i for i, one in enumerate(fingerprints) if one is not None), key=lambda index: seconds[index])
    lengths = np.array([seconds[index] for index in known])
    found: list[tuple[int, int]] = []
    for first in range(0, len(known), _BLOCK):
        rows = known[first : first + _BLOCK]
        longest = lengths[first : first + len(rows)].max() + _slack(lengths[first : first + len(rows)].max())
        last = int(np.searchsorted(lengths, longest, side="right"))
        for start in range(first, last, _BLOCK):
            columns = known[start : min(start + _BLOCK, last)]
            likeness = _correlations([fingerprints[i] for i in rows], [fingerprints[i] for i in columns])
            found += _alike(rows, columns, likeness >= threshold, seconds)
    return sorted(set(found))


def _alike(
    rows: Sequence[int], columns: Sequence[int], is_alike: NDArray[np.bool_], seconds: Sequence[float]
) -> Iterator[tuple[int, int]]:
    for row, column in zip(*np.nonzero(is_alike), strict=True):
        one, other = rows[row], columns[column]
        if one != other and abs(seconds[one] - seconds[other]) <= _slack(min(seconds[one], seconds[other])):
            yield min(one, other), max(one, other)


def _slack(seconds: float) -> float:
    return max(0.25, 0.02 * seconds)


def _correlations(rows: Sequence[Fingerprint | None], columns: Sequence[Fingerprint | None]) -> NDArray[np.float32]:
    """Return the correlation of each row with each column at the best of a few lags."""
    length = max(len(one) for one in (*rows, *columns) if one is not None)
    left, right = _stack(rows, length), _stack(columns, length)
    best = np.full((len(left), len(right)), -1.0, np.float32)
    for lag in _LAGS:
        if length > abs(lag):
            ahead, behind = left[:, max(lag, 0) : length + min(lag, 0)], right[:, max(-lag, 0) : length + min(-lag, 0)]
            np.maximum(best, ahead.reshape(len(left), -1) @ behind.reshape(len(right), -1).T, out=best)
    return best


def _stack(fingerprints: Sequence[Fingerprint | None], length: int) -> NDArray[np.float32]:
    """Return fingerprints of norm 1, zeros behind the shorter ones, shape (sounds, length, bands - 1)."""
    stacked = np.zeros((len(fingerprints), length, _BANDS - 1), np.float32)
    for row, one in zip(stacked, fingerprints, strict=True):
        if one is not None:
            row[: len(one)] = one / np.linalg.norm(one.astype(np.float32))
    return stacked


def _band_matrix() -> NDArray[np.float32]:
    """Return what sums spectral lines into bands of equal ratio, shape (lines, bands)."""
    line_hz = np.fft.rfftfreq(_FRAME, 1 / RATE_HZ)[:, None]
    edges_hz = np.geomspace(_LOW_HZ, _HIGH_HZ, _BANDS + 1)
    return ((line_hz >= edges_hz[:-1]) & (line_hz < edges_hz[1:])).astype(np.float32)
