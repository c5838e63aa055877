"""Soundscapes: clips on noise, so that it is known what sounds when.

A clip of ESC-50 is five seconds of which only a part may sound, the rest often digital silence. What is placed in a
scene is one stretch of it that sounds without a pause, so that onset and offset are those of the sound and not of the
file.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from earmark.data.manifest import LabelledEvent
from everyday.sound import RATE_HZ, Waveform
from everyday.waves import Wave, coloured, decibels, rms

SCENE_SECONDS = 20.0
MOST_EVENTS = 4
SHORTEST_SECONDS, LONGEST_SECONDS = 0.25, 4.0
APART_SECONDS = 0.5
SNR_DB = (0.0, 20.0)
NOISES = {"white": 0.0, "pink": 1.0, "brown": 2.0}
"""Colours, and by which power of the frequency their power falls."""

_NOISE_LEVEL = 0.01  # root mean square of the noise, 40 dB below full scale
_STEP_SECONDS = 0.02
_SOUNDS_DB = -30.0  # below the clip's loudest step: what is weaker is a tail, or the recording's own noise
_PAUSE_SECONDS = 0.3
_FADE_SECONDS = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A soundscape and what is heard in it.

    Parameters
    ----------
    waveform : ndarray of float32, shape (samples,)
        At `RATE_HZ`, in [-1, 1].
    events : tuple of LabelledEvent
        By onset; none overlap, and no label is there twice.
    noise : str
        Its colour.
    """

    waveform: Waveform
    events: tuple[LabelledEvent, ...]
    noise: str

    def spans(self) -> list[tuple[str, float, float]]:
        """Return label, onset and offset of every event."""
        return [(event.label, event.onset_seconds, event.offset_seconds) for event in self.events]


def make_scenes(clips: Iterable[tuple[str, Waveform]], count: int, rng: np.random.Generator) -> list[Scene]:
    """Return so many soundscapes of labelled clips, each class as likely as its share of them."""
    sounds = [(label, sound) for label, waveform in clips if (sound := longest_sound(waveform)) is not None]
    return [make_scene(sounds, rng) for _ in range(count)]


def make_scene(sounds: Sequence[tuple[str, Waveform]], rng: np.random.Generator) -> Scene:
    """Place one to four sounds of different labels on noise, one after the other, 0 to 20 dB above it.

    Parameters
    ----------
    sounds : sequence of (str, ndarray of float32)
        Labels, and what sounds without a pause.
    rng : numpy.random.Generator
        Draws everything.
    """
    colour = str(rng.choice(list(NOISES)))
    scene = _NOISE_LEVEL * coloured(round(SCENE_SECONDS * RATE_HZ), NOISES[colour], rng)
    chosen = _different_labels(sounds, int(rng.integers(1, MOST_EVENTS + 1)), rng)
    cut = [(label, _cut(sound, rng)) for label, sound in chosen]
    events = []
    for (label, sound), onset in zip(cut, _onsets([len(sound) for _, sound in cut], len(scene), rng), strict=True):
        level = _NOISE_LEVEL * decibels(rng.uniform(*SNR_DB))
        scene[onset : onset + len(sound)] += sound * (level / rms(sound))
        events.append(LabelledEvent(label, onset / RATE_HZ, (onset + len(sound)) / RATE_HZ))
    peak = max(1.0, float(np.abs(scene).max()))  # louder than full scale: all of it down, the ratio stays
    return Scene((scene / peak).astype(np.float32), tuple(events), colour)


def longest_sound(waveform: Waveform) -> Waveform | None:
    """Return the longest stretch that sounds without a pause, or None where none is long enough to be an event."""
    step = round(_STEP_SECONDS * RATE_HZ)
    steps = waveform[: len(waveform) // step * step].reshape(-1, step)
    levels = np.sqrt(np.mean(steps.astype(np.float64) ** 2, axis=1))
    loud = np.flatnonzero(levels > levels.max(initial=0.0) * decibels(_SOUNDS_DB))
    if not len(loud):
        return None
    breaks = np.flatnonzero(np.diff(loud) * _STEP_SECONDS > _PAUSE_SECONDS) + 1
    stretches = [(loud[first], loud[stop - 1] + 1) for first, stop in pairwise([0, *breaks, len(loud)])]
    begin, end = max(stretches, key=lambda stretch: stretch[1] - stretch[0])
    return waveform[begin * step : end * step] if (end - begin) * _STEP_SECONDS >= SHORTEST_SECONDS else None


def _different_labels(
    sounds: Sequence[tuple[str, Waveform]], count: int, rng: np.random.Generator
) -> list[tuple[str, Waveform]]:
    """Draw sounds until there are so many of different labels, or no other label is left."""
    chosen: dict[str, Waveform] = {}
    for index in rng.permutation(len(sounds)):
        if len(chosen) == count:
            break
        chosen.setdefault(*sounds[index])
    return list(chosen.items())


def _cut(sound: Waveform, rng: np.random.Generator) -> Wave:
    """Return a stretch of a sound, `LONGEST_SECONDS` at most, faded at both ends."""
    length = min(len(sound), round(LONGEST_SECONDS * RATE_HZ))
    begin = int(rng.integers(len(sound) - length + 1))
    part = sound[begin : begin + length].astype(np.float64)
    fade = np.linspace(0.0, 1.0, round(_FADE_SECONDS * RATE_HZ))
    part[: len(fade)] *= fade
    part[-len(fade) :] *= fade[::-1]
    return part


def _onsets(lengths: Sequence[int], samples: int, rng: np.random.Generator) -> list[int]:
    """Draw onsets, in samples, of events one after the other, with a pause between any two."""
    apart = round(APART_SECONDS * RATE_HZ)
    spare = samples - sum(lengths) - apart * (len(lengths) - 1)
    before = np.sort(rng.integers(0, spare + 1, len(lengths)))
    places = np.cumsum([0, *(length + apart for length in lengths[:-1])])
    return [int(place) for place in before + places]
