"""How far scores can be taken for probabilities, in three figures."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from earmark.evaluation.metrics import brier, expected_calibration_error, log_loss
from earmark.model.card import Task


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far scores can be taken for probabilities.

    Parameters
    ----------
    expected_calibration_error : float
        Mean distance of scores from the share that is right.
    log_loss, brier : float
        As `earmark.evaluation.metrics` has them.
    """

    expected_calibration_error: float
    log_loss: float
    brier: float

    @classmethod
    def of(cls, scores: NDArray[np.float32], targets: NDArray[np.float32], task: Task) -> Self:
        """Measure scores of shape (clips, classes) against targets of the same shape."""
        measures = (expected_calibration_error, log_loss, brier)
        return cls(*(float(measure(scores, targets, task=task)) for measure in measures))

    def to_dict(self) -> dict[str, float | None]:
        """Return the measures as JSON-ready data."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: None if np.isnan(value) else round(value, 6) for name, value in values.items()}
