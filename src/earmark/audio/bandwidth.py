"""Where the sound of a recording ends in frequency, and whether it ends as if cut with a knife."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bandwidth"]

_WINDOW_SAMPLES = 2048
_WINDOWS_PER_SECOND = 1.0
_BAND_HZ = 250.0
# An edge is a fall by this much from two bands to everything above. Of 400 ESC-50 clips 2 have one (they were telephone
# recordings before somebody resampled them; the next is at 20 dB), of the same clips sent over a telephone line 399.
_EDGE_DB = 30.0
# What is further below the loudest band is leakage of the window, not sound.
_LEAKAGE_DB = 70.0
# Below 2.5 kHz sounds may well end by themselves. Above 8 kHz it is MP3 and its like that cut, and near the model's own
# limit a cut takes nothing away from it.
_LOWEST_EDGE_HZ, _HIGHEST_EDGE_HZ = 2500.0, 8000.0
_HIGHEST_EDGE_SHARE = 0.7

_FEWEST_BANDS = 5
_TINY = np.finfo(float).tiny
_HANN = np.hanning(_WINDOW_SAMPLES).astype(np.float32)


class Bandwidth:
    """Collects the spectrum of a few windows a second.

    Parameters
    ----------
    rate_hz : int
        Of the blocks.
    limit_hz : float
        The highest frequency that the model listens to.
    """

    def __init__(self, rate_hz: int, limit_hz: float) -> None:
        self._rate_hz, self._limit_hz = rate_hz, min(limit_hz, rate_hz / 2)
        self._power = np.zeros(_WINDOW_SAMPLES // 2 + 1)

    def feed(self, mono: NDArray[np.float32]) -> None:
        """Add windows spread over a block of shape (samples,); a block shorter than a window adds none."""
        if len(mono) < _WINDOW_SAMPLES:
            return
        count = max(1, min(len(mono) // _WINDOW_SAMPLES, round(len(mono) / self._rate_hz * _WINDOWS_PER_SECOND)))
        starts = np.linspace(0, len(mono) - _WINDOW_SAMPLES, count).astype(int)
        windows = np.stack([mono[start : start + _WINDOW_SAMPLES] for start in starts]) * _HANN
        spectrum = np.fft.rfft(windows)
        self._power += (spectrum.real**2 + spectrum.imag**2).sum(axis=0)

    def edge_hz(self) -> float | None:
        """Return where the sound ends abruptly, far below the limit; None if it does not."""
        bands = int(self._limit_hz // _BAND_HZ)
        if bands < _FEWEST_BANDS or self._rate_hz > _WINDOW_SAMPLES * _BAND_HZ:
            return None
        first_bins = np.ceil(np.arange(bands + 1) * (_BAND_HZ * _WINDOW_SAMPLES / self._rate_hz)).astype(int)
        sums = np.add.reduceat(self._power, first_bins)[:bands]
        levels_db = 10 * np.log10(sums / np.diff(first_bins) + _TINY)
        # For an edge at the bottom of band b: the quieter of bands b-3 and b-2, less the loudest from b+1 on. Band b-1
        # and b are left to the slope of the filter that made the edge.
        below_db = np.minimum(levels_db[:-4], levels_db[1:-3])
        above_db = np.maximum.accumulate(levels_db[::-1])[::-1][4:]
        edges_hz = np.arange(3, bands - 1) * _BAND_HZ
        highest_hz = min(_HIGHEST_EDGE_HZ, _HIGHEST_EDGE_SHARE * self._limit_hz)
        possible = (edges_hz >= _LOWEST_EDGE_HZ) & (edges_hz <= highest_hz) & (below_db > levels_db.max() - _LEAKAGE_DB)
        falls_db = np.where(possible, below_db - above_db, -np.inf)
        best = int(falls_db.argmax())
        return float(edges_hz[best]) if falls_db[best] >= _EDGE_DB else None
