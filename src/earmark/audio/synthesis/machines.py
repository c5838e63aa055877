"""What turns: an engine, a rotor."""

import numpy as np

from earmark.audio.synthesis.waves import SAMPLE_RATE_HZ, Wave, drift, in_room, noise, resonant, time_of


def engine(rng: np.random.Generator, seconds: float) -> Wave:
    """Run: a pulse of pressure for each firing, none quite like the last, through the pipe and the body of a car."""
    firings = np.cumsum(66 * (1 + 0.05 * drift(rng, seconds, 2))) / SAMPLE_RATE_HZ
    each = rng.uniform(0.9, 1.0, int(firings[-1]) + 1)
    each *= 1 + np.resize([0, 0.06, -0.04, 0.02], len(each))  # four cylinders
    pulses = each[firings.astype(int)] * np.exp(-9 * (firings % 1))
    puffs = pulses - pulses.mean() + 1.9 * pulses * noise(rng, seconds, low_hz=80, high_hz=2000)
    modes_hz = 98 * np.array([1, 1.8, 3.1, 5.4, 9.7, 17])
    body = resonant(puffs, modes_hz, 0.25 * modes_hz + 20)
    hiss = noise(rng, seconds, low_hz=200, high_hz=3000, slope=0.5)
    return np.asarray(np.tanh(2.7 * body / np.abs(body).max()) + 0.02 * hiss)


def helicopter(rng: np.random.Generator, seconds: float) -> Wave:
    """Chop low noise with the blades of a rotor, 13 a second."""
    blades = np.exp(-5 * (13 * time_of(seconds) % 1))
    chopped = np.tanh(6 * blades * noise(rng, seconds, low_hz=60, high_hz=900, slope=0.6))
    return in_room(rng, chopped + 0.1 * noise(rng, seconds, low_hz=300, high_hz=3000), 0.1, 0.1)
