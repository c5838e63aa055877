"""What calls for attention: bells, alarms, sirens, horns."""

import numpy as np

from earmark.audio.synthesis.waves import Wave, drift, dying, in_room, noise, put, struck, time_of, tone

_PARTIALS = np.array([0.5, 0.503, 1, 1.2, 1.5, 2, 2.02, 2.67, 3, 4.1, 5.4, 6.8, 8.2])
"""Of a bell, relative to its prime: hum, prime, tierce, quint, nominal and above."""
_LEVELS = np.array([0.4, 0.3, 0.9, 0.8, 0.3, 1, 0.5, 0.6, 0.5, 0.6, 0.4, 0.3, 0.25])
_DECAYS = np.array([0.4, 0.4, 0.9, 1, 1.5, 1.2, 1.2, 2.5, 2.5, 3.5, 5, 7, 9])  # high ones are gone first


def bell(rng: np.random.Generator, seconds: float) -> Wave:
    """Strike a bell: inharmonic partials, and the clapper."""
    time = time_of(seconds)
    wave = np.zeros_like(time)
    for at in np.arange(0.05, seconds - 0.5, 1.4):
        wave += struck(time - at, 523 * _PARTIALS, _LEVELS, _DECAYS)
        wave += 0.8 * dying(time - at, 120) * rng.standard_normal(len(time))  # the clapper
    return in_room(rng, wave, 1.5, 0.3)


def church_bells(rng: np.random.Generator, seconds: float) -> Wave:
    """Ring a peal of four bells, each cast a little off, across a churchyard: far away, with air between."""
    wave, after = np.zeros_like(time_of(seconds)), time_of(2.5)
    levels = _LEVELS * _PARTIALS**0.25
    for stroke, at in enumerate(np.arange(0.05, seconds - 0.2, 1.2)):
        prime_hz = 540 * (1, 0.87, 0.78, 0.71)[stroke % 4]
        cast = 1 + 0.04 * rng.uniform(-1, 1, len(_PARTIALS))
        clapper = 0.15 * dying(after, 120) * rng.standard_normal(len(after))
        put(
            wave, struck(after, prime_hz * cast * _PARTIALS, levels, 0.9 * _DECAYS) + clapper, at + rng.uniform(0, 0.05)
        )
    wave = in_room(rng, wave, 3.7, 0.87)
    return wave / float(np.abs(wave).max()) + 0.05 * noise(rng, seconds, low_hz=100, high_hz=2000, slope=0.3)


def clock_alarm(rng: np.random.Generator, seconds: float) -> Wave:
    """Beep like a cheap digital clock: four short beeps of a piezo disc, then a rest, each second."""
    time = time_of(seconds)
    beeping = ((time % 1.0) < 0.5) & ((time % 0.125) < 0.0625)
    return in_room(rng, beeping * tone(np.full_like(time, 2048.0), 1, 0.05, 0.35), 0.2, 0.1)


def siren(rng: np.random.Generator, seconds: float) -> Wave:
    """Yelp like a police car: three upward sweeps a second through an overdriven horn."""
    sweep_hz = 600 + 900 * (3 * time_of(seconds) % 1)
    return in_room(rng, np.tanh(2 * tone(sweep_hz, 1, 0.4, 0.3, 0.15)), 0.4, 0.25)


def car_horn(rng: np.random.Generator, seconds: float) -> Wave:
    """Blow a car's two horns, about a third apart, three times; a membrane's pitch is not quite steady."""
    time = time_of(seconds)
    levels = 0.8 ** np.arange(12)
    horns = sum(tone(hz * (1 + 0.01 * drift(rng, seconds, 30)), *levels) for hz in (404.0, 505.0))
    blown = (time % (seconds / 3)) < 0.8 * seconds / 3
    return in_room(rng, np.tanh(0.82 * horns) * blown, 0.72, 0.14)
