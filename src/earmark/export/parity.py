"""How far a model in another format is from the model itself."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from earmark.model.backends import Backend, Outputs
from earmark.model.card import ModelCard


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
    refusals : float or None
        Of which share of the sounds both say, or neither says, that it is of no class; None where they cannot tell.
    """

    sounds: int
    largest: float
    mean: float
    agreement: float
    refusals: float | None = None

    @property
    def is_finite(self) -> bool:
        """Whether all scores are numbers."""
        return math.isfinite(self.largest)

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
            **({} if self.refusals is None else {"refusal_agreement": self.refusals}),
        }


_EQUALLY_GOOD = 1e-6


def compare(reference: Backend, other: Backend, waveforms: Iterable[NDArray[np.float32]]) -> Parity:
    """Run two models on the same waveforms, each of shape (samples,), and compare what they say of each as a whole."""
    pairs = [(reference.run(waveform[None]), other.run(waveform[None])) for waveform in waveforms]
    scores = (np.stack([outputs.clip[0] for outputs in side]) for side in zip(*pairs, strict=True))
    refused = [(_refuses(first, reference.card), _refuses(second, other.card)) for first, second in pairs]
    known = [first == second for first, second in refused if first is not None and second is not None]
    return replace(Parity.of(*scores), refusals=float(np.mean(known)) if known else None)


def _refuses(outputs: Outputs, card: ModelCard) -> bool | None:
    """Return whether a sound is refused for its novelty, None where there is none."""
    if outputs.novelty is None or card.novelty_threshold is None:
        return None
    return bool(outputs.novelty.mean() >= card.novelty_threshold)
