"""Where the sound of a recording ends in frequency, and whether it ends as if cut with a knife."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bandwidth"]

_WINDOW_SAMPLES = 2048
_WINDOWS_PER_SECOND = 2.0
_BAND_HZ = 250.0
# An edge is a fall by this much from two bands to everything above. Of 400 ESC-50 clips 2 have one (they were telephone
# recordings before somebody resampled them; the next is at 20 dB), of the same clips sent over a telephone line 399.
_EDGE_DB = 30.0
# Below 2.5 kHz sounds may well end by themselves; an edge near the model's own limit takes nothing away from it.
_LOWEST_EDGE_HZ = 2500.0
_HIGHEST_EDGE_SHARE = 0.7

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
        first_bins = np.ceil(np.arange(0, self._limit_hz, _BAND_HZ) * _WINDOW_SAMPLES / self._rate_hz).astype(int)
        widths = np.diff(np.append(first_bins, int(self._limit_hz * _WINDOW_SAMPLES / self._rate_hz) + 1))
        mean_power = np.add.reduceat(self._power[: first_bins[-1] + widths[-1]], first_bins) / widths
        levels_db = 10 * np.log10(mean_power + np.finfo(float).tiny)
        falls_db = {
            band * _BAND_HZ: levels_db[band - 3 : band - 1].min() - levels_db[band + 1 :].max()
            for band in range(3, len(levels_db) - 1)
            if _LOWEST_EDGE_HZ <= band * _BAND_HZ <= _HIGHEST_EDGE_SHARE * self._limit_hz
        }
        edge = max(falls_db, key=lambda hz: falls_db[hz], default=None)
        return edge if edge is not None and falls_db[edge] >= _EDGE_DB else None
