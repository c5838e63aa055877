"""A street made from arithmetic: rumble, engines that pass, and voices too far off to be understood."""

import numpy as np

from everyday.sound import RATE_HZ, Waveform
from everyday.waves import Wave, coloured, decibels, peak_at, rms, samples_of, shaped

VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""Formants of a, i, u, e, o (after Peterson and Barney, 1952)."""

_PEAK = 0.7
_VEHICLES_A_SECOND = 0.4
_VOICES = 6
_SYLLABLES_A_SECOND = 4.0


def street(seconds: float, rng: np.random.Generator) -> Waveform:
    """Return a street, shape (samples,), of any length.

    Parameters
    ----------
    seconds : float
        How long.
    rng : numpy.random.Generator
        Draws everything.
    """
    samples = samples_of(seconds)
    rumble = coloured(samples, 2.0, rng, low_hz=40.0) + 0.3 * coloured(samples, 1.0, rng)
    traffic = sum(
        (_vehicle(samples, rng) for _ in range(1 + rng.poisson(_VEHICLES_A_SECOND * seconds))), np.zeros(samples)
    )
    vowels = [np.sum([_hump(samples, hz, 0.15) for hz in formants], axis=0) for formants in VOWELS_HZ]
    babble = sum((_voice(vowels, samples, rng) for _ in range(_VOICES)), np.zeros(samples))
    parts = [(rumble, 0.0), (traffic, rng.uniform(-3, 6)), (babble, rng.uniform(-20, -8))]
    return peak_at(_PEAK, sum((decibels(level_db) / rms(part) * part for part, level_db in parts), np.zeros(samples)))


def _vehicle(samples: int, rng: np.random.Generator) -> Wave:
    """Let one pass: its engine and its tyres swell and die away, the pitch falls as it goes by."""
    time = np.arange(samples) / RATE_HZ
    passes, width = rng.uniform(-0.5, time[-1] + 0.5), rng.uniform(0.4, 1.5)
    away = (time - passes) / width
    pitch_hz = rng.uniform(28, 90) * (1 - 0.06 * np.tanh(away))
    turns = np.cumsum(pitch_hz) / RATE_HZ
    harmonics = range(1, int(rng.integers(6, 20)))
    engine = sum(
        (rng.uniform(0.3, 1) / k * np.sin(2 * np.pi * (k * turns + rng.random())) for k in harmonics), time * 0
    )
    tyres = shaped(samples, _hump(samples, rng.uniform(600, 1200), 1.0), rng)
    loudness = rng.uniform(0.3, 1) / (1 + away**2)
    return np.asarray(loudness * (engine / rms(engine) + rng.uniform(0.3, 1) * tyres))


def _voice(vowels: list[Wave], samples: int, rng: np.random.Generator) -> Wave:
    """Let one talk: a pitch that wanders, through the gain of another vowel each syllable, now and then a pause."""
    syllables = 2 + round(samples / RATE_HZ * _SYLLABLES_A_SECOND)
    place = np.arange(samples) / RATE_HZ * _SYLLABLES_A_SECOND + rng.random()
    wander = np.interp(place, np.arange(syllables), rng.normal(0, 0.12, syllables))
    turns = np.cumsum(rng.choice([110.0, 200.0]) * rng.uniform(0.8, 1.25) * np.exp(wander)) / RATE_HZ
    buzz = np.fft.rfft(2 * (turns % 1) - 1)
    sung = np.array([np.fft.irfft(buzz * gain, samples) for gain in vowels])
    spoken = rng.integers(len(vowels), size=syllables)
    loudness = np.where(rng.random(syllables) < 0.25, 0.0, rng.uniform(0.4, 1, syllables))
    which = np.minimum(place.astype(int), syllables - 1)
    syllable = np.sin(np.pi * (place % 1)) ** 0.7
    return np.asarray(sung[spoken[which], np.arange(samples)] * loudness[which] * syllable)


def _hump(samples: int, centre_hz: float, octaves: float) -> Wave:
    """Return the gain of a band, shape (samples // 2 + 1,), 1 at its centre."""
    hz = np.maximum(np.fft.rfftfreq(samples, 1 / RATE_HZ), 1.0)
    return np.asarray(np.exp(-((np.log2(hz / centre_hz) / octaves) ** 2)))
