"""Views: five seconds as a microphone could have heard them, mixed from sounds, and what share each class has in them.

No view mixes clips of two folds, so that those of one fold can be left out of a training whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from everyday.channel import at_peak, distort
from everyday.labels import LABELS
from everyday.sound import Waveform
from everyday.waves import decibels

SAMPLES = 80_400
"""Twelve frames of the student: five seconds and what its last frame needs."""

NONE = len(LABELS)
"""The column of what is none of the classes."""

_CLEAN_SHARE = 0.45
_BACKGROUND_SHARE = 0.2
_DISTORTED_SHARE = 0.4
_LEVEL_SHARE = 0.7
_SPEEDS = (0.88, 1.14)
_LEVELS_DB = (-46.0, 6.0)
_MIX_DB = (-9.0, 9.0)
_SIGNAL_TO_BACKGROUND_DB = (8.0, 30.0)
_QUIETEST = 1e-7


@dataclass(frozen=True, eq=False)
class Heap:
    """Sounds that a view may be mixed from.

    Parameters
    ----------
    waveforms : sequence of ndarray of int16
        Kept in 16 bits: thousands of them stay in memory.
    columns : ndarray of int64
        Each one's class; `NONE` for sound that is none of them.
    """

    waveforms: Sequence[NDArray[np.int16]]
    columns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.waveforms)


@dataclass(frozen=True, eq=False)
class View:
    """What is heard, shape (SAMPLES,), and the share of each class in it, shape (NONE + 1,), of sum 1."""

    waveform: Waveform
    target: NDArray[np.float32]


def draw_view(own: Heap, common: Heap, noises: Heap, rng: np.random.Generator) -> View:
    """Draw a view.

    Parameters
    ----------
    own : Heap
        The clips of one fold; the view is about one or two of these, or of `common`.
    common : Heap
        Sound that is in no fold.
    noises : Heap
        Backgrounds, which have no share in the view.
    rng : numpy.random.Generator
        Draws everything.
    """
    waveform, column = _draw_sound(own, rng)
    target = _one_hot(column)
    if rng.random() > _CLEAN_SHARE:
        other, its_column = _draw_sound(own if rng.random() < 0.6 else common, rng)
        waveform, share = _mix(waveform, other, rng.uniform(*_MIX_DB))
        target = share * target + (1 - share) * _one_hot(its_column)
    return View(_as_heard(waveform, noises, rng), target)


def draw_common_view(common: Heap, noises: Heap, rng: np.random.Generator) -> View:
    """Draw a view of one sound that is in no fold."""
    waveform, column = _draw_sound(common, rng)
    return View(_as_heard(waveform, noises, rng), _one_hot(column))


def plain_view(waveform: NDArray[np.int16], column: int) -> View:
    """Return a clip as it is, in as many samples as a view has."""
    return View(_fitted(waveform, 0), _one_hot(column))


def _draw_sound(heap: Heap, rng: np.random.Generator) -> tuple[Waveform, int]:
    """Draw a clip, a little faster or slower, from anywhere in it."""
    index = int(rng.integers(len(heap)))
    waveform = heap.waveforms[index]
    speed = rng.uniform(*_SPEEDS) if rng.random() < 0.5 else 1.0
    if speed != 1.0:
        places = np.arange(0, len(waveform) - 1, speed)
        waveform = np.interp(places, np.arange(len(waveform)), waveform).astype(np.int16)
    return _fitted(waveform, int(rng.integers(SAMPLES))), int(heap.columns[index])


def _fitted(waveform: NDArray[np.int16], shift: int) -> Waveform:
    """Return a clip turned round by `shift` samples: a short one with silence behind it, a part of a long one."""
    start = 0 if len(waveform) <= SAMPLES else shift % (len(waveform) - SAMPLES + 1)
    cut = waveform[start : start + SAMPLES].astype(np.float32) / 32768
    return np.roll(np.pad(cut, (0, SAMPLES - len(cut))), shift)


def _mix(waveform: Waveform, other: Waveform, ratio_db: float) -> tuple[Waveform, float]:
    """Add two sounds, the first so much louder; return their sum and the first one's share of the amplitude."""
    loud, soft = _loudness(waveform), _loudness(other)
    if min(loud, soft) < _QUIETEST:  # one is silence: the other is all there is to hear
        return (waveform, 1.0) if loud >= soft else (other, 0.0)
    ratio = decibels(ratio_db)
    mixed = waveform + other * (loud / soft / ratio)
    mixed = mixed / max(1.0, float(np.abs(mixed).max()))
    return mixed.astype(np.float32), ratio / (1 + ratio)


def _as_heard(waveform: Waveform, noises: Heap, rng: np.random.Generator) -> Waveform:
    """Put a sound into a place, through a channel, at a level."""
    if rng.random() < _BACKGROUND_SHARE:
        background, _ = _draw_sound(noises, rng)
        waveform, _ = _mix(waveform, background, rng.uniform(*_SIGNAL_TO_BACKGROUND_DB))
    if rng.random() < _DISTORTED_SHARE:
        waveform = distort(waveform, rng)
    if rng.random() < _LEVEL_SHARE:
        waveform = at_peak(waveform, rng.uniform(*_LEVELS_DB))
    return np.clip(waveform, -1.0, 1.0).astype(np.float32)


def _loudness(waveform: Waveform) -> float:
    """Return the root mean square of the part that is there, so that a short sound is not drowned by a long one."""
    blocks = waveform[: len(waveform) // 800 * 800].reshape(-1, 800)
    levels = np.sqrt((blocks**2).mean(axis=1))
    return float(np.sqrt((levels[levels >= 0.1 * levels.max()] ** 2).mean()))


def _one_hot(column: int) -> NDArray[np.float32]:
    target = np.zeros(NONE + 1, np.float32)
    target[column] = 1
    return target
