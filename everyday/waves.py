"""What every made sound needs: cutting, levels, coloured noise."""

import numpy as np
from numpy.typing import NDArray

from everyday.sound import RATE_HZ, Waveform

Wave = NDArray[np.float64]


def samples_of(seconds: float) -> int:
    """Return how many samples last so long."""
    return round(seconds * RATE_HZ)


def cut(waveform: Waveform, seconds: float, start: float) -> Waveform:
    """Return so many seconds of a waveform, repeated if it is shorter; `start` is 0 at its begin, 1 at its end."""
    wanted = samples_of(seconds)
    first = round(start * max(0, len(waveform) - wanted))
    return np.resize(waveform[first:], wanted)


def peak_at(peak: float, wave: NDArray[np.floating]) -> Waveform:
    """Return a wave at the level where its largest sample is `peak`."""
    return (wave * (peak / max(float(np.abs(wave).max()), 1e-9))).astype(np.float32)


def rms(wave: NDArray[np.floating]) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))


def decibels(level_db: float) -> float:
    """Return the factor of an amplitude."""
    return float(10 ** (level_db / 20))


def coloured(samples: int, slope: float, rng: np.random.Generator, *, low_hz: float = 20.0) -> Wave:
    """Return Gaussian noise, shape (samples,), whose power falls as frequency to the power of `slope`; its rms is 1.

    Below `low_hz` it rises no further.
    """
    hz = np.maximum(np.fft.rfftfreq(samples, 1 / RATE_HZ), low_hz)
    return shaped(samples, hz ** (-slope / 2), rng)


def shaped(samples: int, gain: Wave, rng: np.random.Generator) -> Wave:
    """Return Gaussian noise through a filter of this gain, shape (samples // 2 + 1,); its rms is 1."""
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * gain, samples)
    return np.asarray(noise / rms(noise))
