"""What sings: birds, crickets."""

import numpy as np

from earmark.audio.synthesis.waves import Wave, in_room, noise, time_of, tone


def chirping_birds(rng: np.random.Generator, seconds: float) -> Wave:
    """Sing like a bird: phrases of short whistles around 4 kHz, each of which glides and warbles."""
    time = time_of(seconds)
    wave = np.zeros_like(time)
    at = 0.1
    while at < seconds - 0.6:
        pitch_hz = rng.uniform(3000, 5000)
        for _ in range(rng.integers(3, 6)):
            length = rng.uniform(0.05, 0.12)
            glide, warbles = rng.uniform(-0.3, 0.3), rng.integers(1, 4)
            inside = (time >= at) & (time < at + length)
            part = (time[inside] - at) / length
            note_hz = pitch_hz * (1 + glide * part + 0.08 * np.sin(2 * np.pi * warbles * part))
            wave[inside] = tone(note_hz) * np.sin(np.pi * part) ** 1.5
            at += length + rng.uniform(0.02, 0.06)
        at += rng.uniform(0.1, 0.3)
    return in_room(rng, wave, 0.5, 0.2)


def crickets(rng: np.random.Generator, seconds: float) -> Wave:
    """Chirp: a comb drawn over an edge rings near 6 kHz, five strokes a chirp; three crickets, two of them far."""
    time = time_of(seconds)
    wave = np.zeros_like(time)
    for level in (1.0, 0.2, 0.1):
        chirps_hz, pitch_hz, start = 7.9 * rng.uniform(0.9, 1.1), 5900 * rng.uniform(0.95, 1.05), rng.uniform(0, 0.4)
        part = (time + start) * chirps_hz % 1 / 0.3
        strokes = np.where(part < 1, np.sin(np.pi * (5 * part % 1)) ** 2, 0.0)
        glide = 1 + 0.02 * np.sin(2 * np.pi * 5 / 0.3 * chirps_hz * time)
        wave += level * strokes * tone(pitch_hz * glide, 1, 0.07)
    return in_room(rng, wave, 0.3, 0.35) + 0.025 * noise(rng, seconds, low_hz=200, high_hz=5000)
