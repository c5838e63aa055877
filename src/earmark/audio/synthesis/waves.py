"""What sounds are made of: tones, strokes, noise, resonance, rooms.

All are float64 of shape (samples,) at `SAMPLE_RATE_HZ`; of no particular level unless they say so.
"""

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
"""Of everything made here."""

Wave = NDArray[np.float64]


def time_of(seconds: float) -> Wave:
    """Return the time of each sample, in seconds."""
    return np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def tone(pitch_hz: Wave, *levels: float) -> Wave:
    """Return harmonics of a pitch that may change, the first of level 1 unless told."""
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    return np.asarray(sum(level * np.sin(k * phase) for k, level in enumerate(levels or (1.0,), start=1)))


def dying(after: Wave, decay: float) -> Wave:
    """Return 0 before a stroke, then 1 falling by `decay` nepers a second; `after` is seconds since the stroke."""
    return np.where(after >= 0, np.exp(-decay * np.maximum(after, 0)), 0.0)


def struck(after: Wave, partials_hz: Wave, levels: Wave, decays: Wave) -> Wave:
    """Return the partials of a struck body, each with a level and a decay."""
    partials = zip(partials_hz, levels, decays, strict=True)
    return np.asarray(
        sum(level * dying(after, decay) * np.sin(2 * np.pi * hz * after) for hz, level, decay in partials)
    )


def put(wave: Wave, part: Wave, at_seconds: float) -> None:
    """Add a part to a wave, in place, from that time on; what does not fit is left out."""
    first = round(at_seconds * SAMPLE_RATE_HZ)
    fitting = part[: max(0, len(wave) - first)]
    wave[first : first + len(fitting)] += fitting


def noise(rng: np.random.Generator, seconds: float, *, low_hz: float, high_hz: float, slope: float = 0.0) -> Wave:
    """Return noise of a band, peak 1, whose amplitude falls with the frequency to the power of `slope`."""
    samples = round(seconds * SAMPLE_RATE_HZ)
    hz = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ), 1.0)
    gain = 1 / (1 + (low_hz / hz) ** 2) / (1 + (hz / high_hz) ** 2) / np.maximum(hz, low_hz) ** slope
    shaped = np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * gain, samples)
    return np.asarray(shaped / np.abs(shaped).max())


def drift(rng: np.random.Generator, seconds: float, rate_hz: float) -> Wave:
    """Return a curve that wanders between 0 and 1, about `rate_hz` times a second."""
    knots = rng.uniform(0, 1, max(4, round(seconds * rate_hz) + 4))
    place = np.linspace(1, len(knots) - 2, round(seconds * SAMPLE_RATE_HZ))
    before, part = place.astype(int), place % 1
    ease = (1 - np.cos(np.pi * part)) / 2
    return np.asarray(knots[before] * (1 - ease) + knots[before + 1] * ease)


def resonant(wave: Wave, modes_hz: Wave, decays: Wave) -> Wave:
    """Return the wave as a body of these modes gives it back, each of equal energy."""
    after = time_of(6.9 / float(np.min(decays)))  # to -60 dB
    modes = [dying(after, decay) * np.sin(2 * np.pi * hz * after) for hz, decay in zip(modes_hz, decays, strict=True)]
    return convolved(wave, np.asarray(sum(mode / np.linalg.norm(mode) for mode in modes)))


def convolved(wave: Wave, response: Wave) -> Wave:
    """Return what a filter of that impulse response makes of a wave, cut where the wave ends."""
    samples = len(wave) + len(response)
    return np.asarray(np.fft.irfft(np.fft.rfft(wave, samples) * np.fft.rfft(response, samples), samples)[: len(wave)])


def in_room(rng: np.random.Generator, wave: Wave, decay_seconds: float, wet: float) -> Wave:
    """Add the reverberation of a room, decaying by 60 dB in so many seconds, cut where the sound ends."""
    tail = round(decay_seconds * SAMPLE_RATE_HZ)
    echoes = rng.standard_normal(tail) * 10 ** (-3 * np.arange(tail) / tail)
    return wave + wet * convolved(wave, echoes) / float(np.linalg.norm(echoes))


def faded(wave: Wave, seconds: float = 0.005) -> Wave:
    """Return the wave without a click at its ends."""
    ramp = np.sin(np.linspace(0, np.pi / 2, round(seconds * SAMPLE_RATE_HZ))) ** 2
    soft = wave.copy()
    soft[: len(ramp)] *= ramp
    soft[-len(ramp) :] *= ramp[::-1]
    return soft
