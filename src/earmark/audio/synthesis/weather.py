"""What falls, blows and flows: rain, wind, thunder, fire, water."""

import numpy as np

from earmark.audio.synthesis.waves import SAMPLE_RATE_HZ, Wave, convolved, drift, dying, in_room, noise, time_of


def rain(rng: np.random.Generator, seconds: float) -> Wave:
    """Fall on leaves and stone: drops of all sizes close by, over the hiss of those far off."""
    near = _hits(rng, seconds, 98, splash_decay=1900, rarity=2.9)
    return near + 0.25 * noise(rng, seconds, low_hz=430, high_hz=4400, slope=0.46)


def wind(rng: np.random.Generator, seconds: float) -> Wave:
    """Blow: low, broad turbulence that swells and sinks, and the howl of an edge, which rises with it."""
    gust = 0.3 + 0.7 * drift(rng, seconds, 1.8)
    slow = 0.5 + 0.5 * drift(rng, seconds, 1)
    air = noise(rng, seconds, low_hz=112, high_hz=330, slope=0.05)
    narrow = noise(rng, seconds, low_hz=1, high_hz=15)
    howl = narrow * np.cos(2 * np.pi * np.cumsum(310 + 80 * slow) / SAMPLE_RATE_HZ)
    return slow * gust**1.4 * air + 0.45 * slow**2 * howl


def thunderstorm(rng: np.random.Generator, seconds: float) -> Wave:
    """Crack, then roll: the same bang from ever farther along the bolt, each echo duller than the last."""
    time = time_of(seconds)
    wave = np.zeros_like(time)
    for at in np.concatenate([[0.15], 0.15 + rng.gamma(2.0, 0.25, 14)]):
        far = 1 + 6 * (at - 0.15)
        bang = noise(rng, seconds, low_hz=25, high_hz=1800 / far**1.5, slope=0.8)
        wave += dying(time - at, 6 / far) * (1 - np.exp(-60 * np.maximum(time - at, 0))) * bang / far**0.7
    return np.asarray(np.tanh(1.5 * wave)) + 0.02 * rain(rng, seconds)


def sea_waves(rng: np.random.Generator, seconds: float) -> Wave:
    """Break on a beach: noise that swells, brightens as it breaks, and runs back hissing."""
    time = time_of(seconds)
    part = np.clip((time + 0.1) / (seconds + 0.2), 0, 1)
    swell = np.sin(np.pi * part**0.8) ** 2
    roar = noise(rng, seconds, low_hz=120, high_hz=900, slope=0.4)
    spray = noise(rng, seconds, low_hz=900, high_hz=6000, slope=0.2)
    return np.asarray((0.15 + swell) * roar + 0.7 * (0.08 + np.roll(swell, SAMPLE_RATE_HZ // 4) ** 2) * spray)


def crackling_fire(rng: np.random.Generator, seconds: float) -> Wave:
    """Crackle: sharp snaps of all sizes at random, over a low rush of flame."""
    flame = noise(rng, seconds, low_hz=240, high_hz=530, slope=0.5)
    snaps = _hits(rng, seconds, 27, splash_decay=2500, rarity=1.7, after_decay=310)
    return snaps + 0.03 * flame * (0.5 + drift(rng, seconds, 8))


def _hits(
    rng: np.random.Generator,
    seconds: float,
    rate_hz: float,
    *,
    splash_decay: float,
    rarity: float,
    after_decay: float | None = None,
) -> Wave:
    """Return bursts of noise at random times, peak 1; the larger, the fewer, by the power of `rarity`.

    `after_decay` is that of a fainter part which lasts longer.
    """
    samples = round(seconds * SAMPLE_RATE_HZ)
    hits = np.zeros(samples)
    places = rng.integers(0, samples, round(rate_hz * seconds))
    np.add.at(hits, places, rng.pareto(rarity, len(places)).clip(0, 12) * rng.choice([-1, 1], len(places)))
    after = time_of(0.03)
    shape = dying(after, splash_decay) + (0.3 * dying(after, after_decay) if after_decay else 0)
    splashes = convolved(hits, shape * rng.standard_normal(len(after)))
    return np.asarray(splashes / np.abs(splashes).max())


def waterfall(rng: np.random.Generator, seconds: float) -> Wave:
    """Rush like falling water: steady noise, most of it from 500 Hz to 7 kHz."""
    return noise(rng, seconds, low_hz=500, high_hz=7000, slope=0.5)


def water_drops(rng: np.random.Generator, seconds: float) -> Wave:
    """Drip into water: each drop traps a bubble, whose tone rises as it dies."""
    time = time_of(seconds)
    wave = np.zeros_like(time)
    for at in np.arange(0.1, seconds - 0.2, 0.45):
        after, bubble_hz = time - at, rng.uniform(700, 1100)
        wave += dying(after, 35) * np.sin(2 * np.pi * bubble_hz * (after + 4 * after**2))
    return in_room(rng, wave, 0.5, 0.3)
