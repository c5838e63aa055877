"""How far a model in another format is from the model itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from earmark.model.backends import Backend


@dataclass(frozen=True, slots=True)
class Parity:
    """Scores of sounds by both.

    Parameters
    ----------
    sounds : int
        How many were compared.
    largest, mean : float
        The largest difference between two scores of a class, and the mean of each sound's largest.
    agreement : float
        On which share of the sounds both have the same best class; within 1e-6, classes are equally good.
    """

    sounds: int
    largest: float
    mean: float
    agreement: float

    @classmethod
    def of(cls, reference: NDArray[np.float32], scores: NDArray[np.float32]) -> Self:
        """Compare two arrays of shape (sounds, classes)."""
        apart = np.abs(scores - reference).max(axis=1)
        best = np.take_along_axis(scores, reference.argmax(axis=1)[:, None], axis=1)[:, 0]
        same = best >= scores.max(axis=1) - _EQUALLY_GOOD
        return cls(len(apart), float(apart.max()), float(apart.mean()), float(same.mean()))

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON-ready data."""
        return {
            "sounds": self.sounds,
            "largest_difference": self.largest,
            "mean_difference": self.mean,
            "top1_agreement": self.agreement,
        }


_EQUALLY_GOOD = 1e-6


def compare(reference: Backend, other: Backend, waveforms: Iterable[NDArray[np.float32]]) -> Parity:
    """Run two models on the same waveforms, each of shape (samples,), and compare what they say of each as a whole."""
    pairs = [(reference.run(waveform[None]).clip[0], other.run(waveform[None]).clip[0]) for waveform in waveforms]
    return Parity.of(np.stack([first for first, _ in pairs]), np.stack([second for _, second in pairs]))
