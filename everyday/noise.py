"""Sound of no class: coloured noise, hum and room tone; and silence, which is a class."""

from dataclasses import dataclass

import numpy as np

from everyday.labels import SILENCE
from everyday.sound import NO_LABEL, RATE_HZ, Waveform
from everyday.waves import Wave, coloured, decibels, peak_at, samples_of, shaped

SECONDS = 5.0
NOISES = ("colour", "resonance", "hum", "tone", "room")
SILENCE_DB = (-95.0, -60.0)
"""Peak of silence that is not digital, in dB of full scale."""

_SLOPE = (-0.5, 2.5)  # blue to brown
_PEAK_DB = (-30.0, -3.0)
_HELD_OUT_SHARE = 0.15


@dataclass(frozen=True)
class Noise:
    """A noise that is none of the classes.

    Parameters
    ----------
    kind : str
        One of `NOISES`.
    seed : int
        Of everything about it.
    held_out : bool
        Whether it is kept for the test.
    """

    kind: str
    seed: int
    held_out: bool

    label = NO_LABEL

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Noise":
        """Draw one."""
        return cls(str(rng.choice(NOISES)), int(rng.integers(2**31)), bool(rng.random() < _HELD_OUT_SHARE))

    @property
    def group(self) -> str:
        """Of its own: nothing is common to two noises of one kind."""
        return f"noise:{self.kind}-{self.seed}"

    def render(self) -> Waveform:
        """Return five seconds of it."""
        rng = np.random.default_rng(self.seed)
        wave = _MAKERS[self.kind](samples_of(SECONDS), rng)
        return peak_at(decibels(rng.uniform(*_PEAK_DB)), wave)


@dataclass(frozen=True)
class Silence:
    """Nothing to hear: digital zero, or noise too faint.

    Parameters
    ----------
    peak_db : float or None
        In dB of full scale; None for digital zero.
    slope : float
        Of the noise; 0 is white, as dither is.
    seed : int
        Of the noise.
    held_out : bool
        Whether it is kept for the test. Digital zero never is: there is but one.
    """

    peak_db: float | None
    slope: float
    seed: int
    held_out: bool

    label = SILENCE

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Silence":
        """Draw one: a tenth are digital zero, a third dither."""
        peak_db = None if rng.random() < 0.1 else float(rng.uniform(*SILENCE_DB))
        slope = 0.0 if rng.random() < 1 / 3 else float(rng.uniform(*_SLOPE))
        seed, held_out = int(rng.integers(2**31)), bool(rng.random() < _HELD_OUT_SHARE)
        return cls(peak_db, slope, seed, held_out and peak_db is not None)

    @property
    def group(self) -> str:
        """Of its own, or the one of all digital zeros."""
        return "silence:zero" if self.peak_db is None else f"silence:{self.seed}"

    def render(self) -> Waveform:
        """Return five seconds of it."""
        samples = samples_of(SECONDS)
        if self.peak_db is None:
            return np.zeros(samples, np.float32)
        return peak_at(decibels(self.peak_db), coloured(samples, self.slope, np.random.default_rng(self.seed)))


def _colour(samples: int, rng: np.random.Generator) -> Wave:
    return coloured(samples, rng.uniform(*_SLOPE), rng)


def _resonance(samples: int, rng: np.random.Generator) -> Wave:
    """Return coloured noise with one to four broad humps, as of ducts, boxes and microphones."""
    hz = np.maximum(np.fft.rfftfreq(samples, 1 / RATE_HZ), 20.0)
    gain = hz ** (-rng.uniform(0, 2) / 2)
    for _ in range(rng.integers(1, 5)):
        centre_hz, octaves, boost_db = 80 * 75 ** rng.random(), rng.uniform(0.2, 1.0), rng.uniform(4, 14)
        gain = gain * 10 ** (boost_db / 20 * np.exp(-((np.log2(hz / centre_hz) / octaves) ** 2)))
    return shaped(samples, gain, rng)


def _hum(samples: int, rng: np.random.Generator) -> Wave:
    """Return the hum or buzz of the mains: harmonics of 50 or 60 Hz, a little noise."""
    time = np.arange(samples) / RATE_HZ
    base_hz = rng.choice([50.0, 60.0]) * rng.uniform(0.998, 1.002)
    fall, odd = rng.uniform(0.5, 2.5), rng.uniform(1, 4)
    wave = np.zeros(samples)
    for harmonic in range(1, int(rng.integers(4, 60))):
        level = harmonic**-fall * (odd if harmonic % 2 else 1) * rng.uniform(0.5, 1.5)
        wave += level * np.sin(2 * np.pi * (harmonic * base_hz * time + rng.random()))
    return wave + decibels(rng.uniform(-30, -10)) * coloured(samples, 1.0, rng)


def _tone(samples: int, rng: np.random.Generator) -> Wave:
    """Return a steady tone, as of a measurement or a whistling coil, in a little noise. It never beeps: alarms do."""
    time = np.arange(samples) / RATE_HZ
    pitch_hz = 60 * 100 ** rng.random()
    drift = 1 + rng.uniform(0, 0.01) * np.sin(2 * np.pi * rng.uniform(0.05, 0.5) * time)
    wave = np.sin(2 * np.pi * np.cumsum(pitch_hz * drift) / RATE_HZ)
    return np.asarray(wave + decibels(rng.uniform(-50, -10)) * _colour(samples, rng))


def _room(samples: int, rng: np.random.Generator) -> Wave:
    """Return the tone of a room: low noise that swells slowly, and the hum of what stands in it."""
    swell = 1 + 0.05 * coloured(samples, 2.0, rng, low_hz=0.5)
    noise = coloured(samples, rng.uniform(1.0, 2.0), rng, low_hz=rng.uniform(30, 120))
    hum = _hum(samples, rng)
    return np.asarray(noise * swell + decibels(rng.uniform(-40, -6)) * hum / np.abs(hum).max())


_MAKERS = dict(zip(NOISES, (_colour, _resonance, _hum, _tone, _room), strict=True))
