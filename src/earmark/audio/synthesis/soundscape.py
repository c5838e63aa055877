"""A minute of sound whose truth is known."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earmark.audio.synthesis.catalogue import SILENCE, SOUNDS, SPEECH
from earmark.audio.synthesis.speech import voice
from earmark.audio.synthesis.waves import SAMPLE_RATE_HZ, Wave, faded

ORDER = (
    *(
        "church_bells",
        "rain",
        "car_horn",
        "chirping_birds",
        "helicopter",
        "clock_alarm",
        "sea_waves",
        "door_wood_knock",
    ),
    *("siren", "wind", "music", SILENCE, "engine", "crickets", "thunderstorm", "clock_tick", "crackling_fire"),
)
"""What follows what, after the voice: neighbours are unlike each other."""

_SECONDS = 2.6  # of each sound
_GAP_SECONDS = 0.5
_PEAK = 0.5
_ROOM_TONE = 1e-4  # RMS: a pause in a recording is never digital silence


class Passage(NamedTuple):
    """One sound of a scene: what it is, and from when to when, in seconds."""

    label: str
    onset: float
    offset: float


def scene(rng: np.random.Generator) -> tuple[NDArray[np.float32], list[Passage]]:
    """Make a recording of about a minute: a voice where espeak-ng is installed, then one sound after the other.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where its noise, its bird and its drops come from.

    Returns
    -------
    waveform : ndarray of float32, shape (samples,)
        In [-1, 1], at `SAMPLE_RATE_HZ`.
    truth : list of Passage
        What sounds when, by onset; passages do not overlap.
    """
    pause = np.zeros(round(_GAP_SECONDS * SAMPLE_RATE_HZ))
    parts, truth, samples = [pause], [], len(pause)
    for label, wave in _sounds(rng):
        truth.append(Passage(label, samples / SAMPLE_RATE_HZ, (samples + len(wave)) / SAMPLE_RATE_HZ))
        parts += [wave, pause]
        samples += len(wave) + len(pause)
    waveform = np.concatenate(parts)
    return (waveform + _ROOM_TONE * rng.standard_normal(len(waveform))).astype(np.float32), truth


def _sounds(rng: np.random.Generator) -> Iterator[tuple[str, Wave]]:
    """Yield labels and their sounds, all of one peak; silence is as long as any of them."""
    spoken = voice()
    if spoken is not None:
        yield SPEECH, _level(spoken)
    for label in ORDER:
        if label == SILENCE:
            yield label, np.zeros(round(_SECONDS * SAMPLE_RATE_HZ))
        else:
            yield label, _level(SOUNDS[label](rng, _SECONDS))


def _level(wave: Wave) -> Wave:
    return faded(wave * (_PEAK / np.abs(wave).max()))
