"""The worst mistakes: where a model is most sure of what is wrong, with the sound to hear and its picture to see."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.audio.decode import read_audio
from earmark.errors import EarmarkError
from earmark.evaluation.inline import playable
from earmark.evaluation.outcome import Outcome
from earmark.evaluation.spectrogram import spectrogram_png

MOST_MISTAKES = 20
EXCERPT_SECONDS = 10.0
SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class Mistake:
    """A clip that was answered wrongly.

    Parameters
    ----------
    row : int
        Its place in the outcome.
    truth : tuple of str
        What it is; empty for none of the labels.
    answer : str
        The label that is most wrong: one that was given and is not there, or one that is there and was not given.
    score : float
        That the model gave to `answer`.
    missed : bool
        Whether `answer` is there and was not given.
    """

    row: int
    truth: tuple[str, ...]
    answer: str
    score: float
    missed: bool


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A stretch of sound for a page.

    Parameters
    ----------
    sound, picture : bytes
        A file of `sound_type`, and a PNG.
    sound_type : str
        The media type.
    seconds : float
        Its length.
    start_seconds : float
        Where it begins in the clip.
    whole : bool
        Whether it is all of the clip.
    """

    sound: bytes
    picture: bytes
    sound_type: str
    seconds: float
    start_seconds: float
    whole: bool


def worst_mistakes(outcome: Outcome, most: int = MOST_MISTAKES) -> tuple[Mistake, ...]:
    """Return the most confident mistakes, the worst first, at most one a clip.

    Single-label, by the score of the wrong answer. Multi-label, by how far a score is on the wrong side of its
    threshold, as a share of how far it could be. Clips that are refused as none of these are not answered.
    """
    found = _single(outcome) if outcome.task == "single-label" else _multi(outcome)
    return tuple(mistake for _, mistake in sorted(found, key=lambda pair: -pair[0])[:most])


def _single(outcome: Outcome) -> list[tuple[float, Mistake]]:
    if not len(outcome.scores):
        return []
    answers = outcome.scores.argmax(axis=1)
    wrong = (outcome.targets[np.arange(len(answers)), answers] == 0) & ~outcome.refused
    found = []
    for row in np.flatnonzero(wrong).tolist():
        score = float(outcome.scores[row, answers[row]])
        found.append((score, Mistake(row, outcome.truth_of(row), outcome.labels[answers[row]], score, False)))
    return found


def _multi(outcome: Outcome) -> list[tuple[float, Mistake]]:
    limits = outcome.limits
    alarms = np.where(outcome.targets == 0, (outcome.scores - limits) / np.maximum(1 - limits, 1e-6), -1.0)
    misses = np.where(outcome.targets > 0, (limits - outcome.scores) / np.maximum(limits, 1e-6), -1.0)
    wrong = np.maximum(
        np.where(outcome.scores >= limits, alarms, -1.0), np.where(outcome.scores < limits, misses, -1.0)
    )
    found = []
    for row in np.flatnonzero((wrong >= 0).any(axis=1)).tolist():
        column = int(wrong[row].argmax())
        missed = bool(outcome.targets[row, column])
        score = float(outcome.scores[row, column])
        mistake = Mistake(row, outcome.truth_of(row), outcome.labels[column], score, missed)
        found.append((float(wrong[row, column]), mistake))
    return found


def cut_excerpt(outcome: Outcome, row: int) -> Excerpt | None:
    """Return the loudest stretch of a clip, small enough for a page; None where the clip cannot be read any more."""
    start = outcome.starts[row] if outcome.starts else None
    end = outcome.ends[row] if outcome.ends else None
    try:
        waveform, _ = read_audio(outcome.clips[row], SAMPLE_RATE_HZ, start=start or 0.0, end=end)
    except EarmarkError:
        return None
    kept, first = _loudest(waveform, round(EXCERPT_SECONDS * SAMPLE_RATE_HZ))
    sound, sound_type = playable(kept, SAMPLE_RATE_HZ)
    return Excerpt(
        sound=sound,
        picture=spectrogram_png(kept, SAMPLE_RATE_HZ),
        sound_type=sound_type,
        seconds=len(kept) / SAMPLE_RATE_HZ,
        start_seconds=first / SAMPLE_RATE_HZ,
        whole=len(kept) == len(waveform),
    )


def _loudest(waveform: NDArray[np.float32], samples: int) -> tuple[NDArray[np.float32], int]:
    """Return the stretch of so many samples with the most energy, and where it begins."""
    if len(waveform) <= samples:
        return waveform, 0
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    first = int(np.argmax(energy[samples:] - energy[:-samples]))
    return waveform[first : first + samples], first
