"""Unknown sound: from which novelty on a model answers with none of its classes."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError
from earmark.model.backends import Backend, Outputs

OFF_SHARE = 0.75
"""An event of unknown sound opens at the novelty threshold and closes below this share of it."""

NoveltyMode = Literal["reject", "ignore"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Which sound is refused as none of a model's classes.

    Parameters
    ----------
    has_novelty : bool
        Whether the model gives novelty at all.
    mode : {"reject", "ignore"}
        What was asked for.
    threshold : float or None
        Novelty in [0, 1] at or above which sound is refused; None where none is.
    background : bool
        Whether sound is refused too whose scores leave more for none of the classes than the highest of them has.
    """

    has_novelty: bool
    mode: NoveltyMode
    threshold: float | None
    background: bool = False

    @classmethod
    def of(cls, backend: Backend, mode: NoveltyMode, threshold: float | None) -> Self:
        """Return what is refused with a model and the options of a call.

        Parameters
        ----------
        backend : Backend
            The loaded model; its card has the threshold that holds where none is given.
        mode : {"reject", "ignore"}
            Whether to refuse unknown sound, if the model can tell it, or to ask for the nearest classes all the same.
        threshold : float, optional
            In place of the card's.

        Raises
        ------
        OptionError
            If an option is out of range or contradicts the other, or a model without novelty is given a threshold.
        """
        if mode not in ("reject", "ignore"):
            raise OptionError(f"novelty={mode!r} is not allowed: give 'reject' or 'ignore'")
        has_novelty = bool(getattr(backend, "has_novelty", False))
        background = backend.card.background and mode == "reject"
        if threshold is None:
            return cls(has_novelty, mode, backend.card.novelty_threshold if mode == "reject" else None, background)
        if not 0.0 <= threshold <= 1.0:
            raise OptionError(f"novelty_threshold={threshold:g} is not allowed: a novelty lies in 0 to 1")
        if mode == "ignore":
            raise OptionError(f"novelty='ignore' and novelty_threshold={threshold:g} contradict each other: give one")
        if not has_novelty:
            raise OptionError(
                f"novelty_threshold={threshold:g} is for models that give novelty, and {backend.card.name!r} gives "
                "none; leave it out, or take another model"
            )
        return cls(has_novelty, mode, threshold, background)

    @property
    def parameters(self) -> dict[str, Any]:
        """The options that shaped a result, as JSON-ready data; nothing for a model without novelty."""
        return {"novelty": self.mode, "novelty_threshold": self.threshold} if self.has_novelty else {}

    def refuses(self, novelty: NDArray[np.float32] | float | None) -> NDArray[np.bool_]:
        """Return where novelty reaches the threshold, in the model's own type so that 0.7 reaches 0.7."""
        if self.threshold is None or novelty is None:
            return np.zeros(np.shape(novelty if novelty is not None else 0.0), dtype=bool)
        return np.asarray(np.asarray(novelty, np.float32) >= np.float32(self.threshold))

    def outweighs(self, scores: NDArray[np.floating[Any]]) -> bool:
        """Return whether what the scores of a clip, shape (classes,), lack to 1 is more than the highest of them.

        It is for a clip without any score, which is silence, whatever the model; for others with a background alone.
        """
        silent = self.mode == "reject" and not scores.any()
        return silent or (self.background and bool(1.0 - scores.sum(dtype=np.float64) > scores.max()))


def heard(outputs: Outputs) -> tuple[int, float]:
    """Return how many frames have any score, and their mean novelty, or 0; outputs are a batch of one.

    A model that earmark trained gives silence no score: silence then counts for nothing in what a recording is.
    """
    sounding = outputs.frames[0].any(axis=1)
    if outputs.novelty is None or not sounding.any():
        return int(sounding.sum()), 0.0
    return int(sounding.sum()), float(outputs.novelty[0][sounding].mean(dtype=np.float64))
