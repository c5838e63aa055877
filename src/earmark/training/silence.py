"""Silence: the embeddings that mean that nothing sounds, for which a model gives no score at all."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from earmark.model.backends import open_session
from earmark.training.candidate import Candidate, HeldOut
from earmark.training.familiarity import Rows
from earmark.training.scalings import Scores

FAINT_DBFS = (-100.0, -80.0)
"""RMS levels of the noise that is to count as silence: a converter at rest, a codec's rounding."""

FARTHEST = 0.5
"""Radius over the distance to the nearest clip at most: a silent frame is nearer to silence than to that clip."""

NEAREST = 0.01
"""The same at least: runtimes round each in their own way."""

_FRAMES = 10  # that are heard of each: those in the middle know no edge


@dataclass(frozen=True, slots=True, eq=False)
class Silence:
    """A ball of embeddings around that of digital silence.

    Parameters
    ----------
    embedding : ndarray of float32, shape (size,)
        Of a frame of zeros between such frames.
    radius : float
        At least 0, a Euclidean distance: what is no farther is silent.
    """

    embedding: Rows
    radius: float

    @classmethod
    def around(cls, embedding: Rows, faint: Rows, clips: Rows) -> Self:
        """Choose the radius.

        Parameters
        ----------
        embedding : ndarray of float32, shape (size,)
            Of digital silence.
        faint : ndarray of float32, shape (frames,)
            Distances of frames that are to be silent.
        clips : ndarray of float32, shape (clips,)
            Distances of clips that are not: at least one.
        """
        nearest = float(clips.min())
        return cls(embedding, float(np.clip(faint.max(), NEAREST * nearest, FARTHEST * nearest)))

    def covers(self, embeddings: Rows) -> NDArray[np.bool_]:
        """Return which of the embeddings (..., size) are silent, shape (...)."""
        return np.asarray(_squared_distances(embeddings, self.embedding) <= np.float32(self.radius**2))

    def apply(self, embeddings: Rows, clip: Scores, frames: Scores) -> tuple[Scores, Scores]:
        """Return the scores of clips (..., classes), and of their frames (..., frames, classes), 0 where all is silent.

        Parameters
        ----------
        embeddings : ndarray of float32, shape (..., frames, size)
        clip, frames : ndarray of float32
        """
        silent = self.covers(embeddings)
        hushed_clip = np.where(silent.all(axis=-1, keepdims=True), np.float32(0), clip)
        return hushed_clip, np.where(silent[..., None], np.float32(0), frames)

    def hush(self, candidate: Candidate) -> HeldOut:
        """Return what a candidate said about held-out clips as it says it with this silence."""
        held = candidate.held_out
        frames = held.frames or (np.empty((1, 0), np.float32),) * len(held.indices)
        hushed = [
            self.apply(candidate.embeddings[index], *scores)
            for index, *scores in zip(held.indices, held.clip, frames, strict=True)
        ]
        clip = np.stack([scores for scores, _ in hushed]) if hushed else held.clip
        return replace(held, clip=clip, frames=tuple(rows for _, rows in hushed) if held.frames else ())

    def to_dict(self) -> dict[str, Any]:
        """Return the radius as JSON-ready data."""
        return {"radius": round(self.radius, 6)}


def fit_silence(candidate: Candidate, targets: NDArray[np.float32]) -> Silence | None:
    """Learn what silence is to a candidate; None where it was taught as one of the classes.

    Parameters
    ----------
    candidate : Candidate
        Its trunk hears zeros, and white and pink noise of `FAINT_DBFS`.
    targets : ndarray of float32, shape (clips, classes)
        1 where a clip has a label. A class is silence where half of its clips or more are silent throughout.

    Notes
    -----
    The radius reaches as far as the faint noise, but no farther than half the way to the nearest labelled clip, of
    which the frame counts that is farthest from silence: clips begin and end in silence. Where a trunk evens out
    levels, faint noise is as far as any sound; a clip counts as silent only within half of the usual distance.
    """
    zeros, *faint = _embedded(candidate)
    embedding = zeros[len(zeros) // 2]
    reach = np.concatenate([_distances(rows, embedding) for rows in (zeros, *faint)])
    labelled = targets.any(axis=1)
    clips = np.array([_distances(rows, embedding).max() for rows in candidate.embeddings])
    silent = clips <= min(reach.max(), FARTHEST * np.median(clips[labelled]))
    if (2 * targets[silent].sum(axis=0) >= np.maximum(targets.sum(axis=0), 1)).any():
        return None
    return Silence.around(embedding, reach, clips[labelled & ~silent])


def _embedded(candidate: Candidate) -> Iterator[Rows]:
    """Yield the embeddings of zeros, then those of faint noise, each of shape (frames, size)."""
    session = open_session(candidate.trunk.SerializeToString())
    for waveform in _waveforms(candidate.frame_length + (_FRAMES - 1) * candidate.frame_hop):
        yield session.run(["embeddings"], {"waveform": waveform[None].astype(np.float32)})[0][0]


def _waveforms(samples: int) -> Iterator[Rows]:
    """Yield zeros, then white and pink noise of each level; the noise is always the same."""
    yield np.zeros(samples)
    white = np.random.default_rng(0).standard_normal(samples)
    spectrum = np.fft.rfft(white)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), samples)
    for level_db in FAINT_DBFS:
        for noise in (white, pink):
            yield noise / noise.std() * 10 ** (level_db / 20)


def _distances(embeddings: Rows, embedding: Rows) -> Rows:
    return np.sqrt(_squared_distances(embeddings, embedding))


def _squared_distances(embeddings: Rows, embedding: Rows) -> Rows:
    return np.asarray(((embeddings - embedding) ** 2).sum(axis=-1))
