"""What is struck or ticks in a house: a clock, a door."""

import numpy as np

from earmark.audio.synthesis.waves import Wave, dying, in_room, noise, put, struck, time_of


def clock_tick(rng: np.random.Generator, seconds: float) -> Wave:
    """Tick and tock, three strokes a second: a tooth on a pallet, which bounces once, over the whirr of the works."""
    modes_hz = np.linspace(940, 4280, 20) * (1 + 0.04 * rng.uniform(-1, 1, 20))
    levels, decays = np.full(20, 0.22), 70 * np.sqrt(modes_hz / 2000)
    wave, after = np.zeros_like(time_of(seconds)), time_of(0.12)
    for stroke, at in enumerate(np.arange(0.05, seconds - 0.05, 1 / 3)):
        force, pitch = ((1.0, 1.05), (0.35, 1.0))[stroke % 2]
        click = 0.3 * dying(after, 350) * rng.standard_normal(len(after))
        hit = force * (struck(after, pitch * modes_hz, levels, decays) + click)
        put(wave, hit, at)
        put(wave, 0.5 * hit, at + 0.018)
    return wave / float(np.abs(wave).max()) + 0.008 * noise(rng, seconds, low_hz=460, high_hz=2600)


def door_wood_knock(rng: np.random.Generator, seconds: float) -> Wave:
    """Knock on a door with the knuckles, four at a time: a panel's many damped modes, and the knuckle's click."""
    modes_hz = np.linspace(147, 1432, 22) * (1 + 0.04 * rng.uniform(-1, 1, 22))
    levels, decays = (modes_hz / 147) ** -0.75, 48 + 0.144 * modes_hz
    wave, after = np.zeros_like(time_of(seconds)), time_of(0.25)
    for at in [start + 0.214 * knock for start in np.arange(0.1, seconds - 0.6, 1.3) for knock in range(4)]:
        panel = struck(after, modes_hz * rng.uniform(0.98, 1.02), levels, decays)
        click = dying(after, 394) * rng.standard_normal(len(after))
        put(wave, rng.uniform(0.75, 1.0) * (panel + 0.115 * click), at + rng.uniform(0, 0.015))
    return in_room(rng, wave, 0.27, 0.35)
