"""Measures of how far scores can be taken for probabilities."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from earmark.errors import OptionError
from earmark.evaluation.metrics.table import Booleans, Floats, checked, mean_of_known

Task = Literal["multi-label", "single-label"]

BINS = 15
"""Equal-width bins of the score, as Guo et al. (2017) and most papers since."""

_ROUNDING = 1e-3  # what scores that sum to 1 can lack to it

_SMALLEST = float(np.finfo(np.float32).eps)  # what a float32 score can be wrong by; keeps logarithms finite


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bin of a reliability diagram: scores above `low`, up to `high`.

    Parameters
    ----------
    low, high : float
        Edges, in [0, 1]. The first bin holds 0 as well.
    count : int
        How many scores fall into it.
    score : float
        Their mean; NaN in an empty bin.
    share_right : float
        How many of them were right, as a share; NaN in an empty bin.
    """

    low: float
    high: float
    count: int
    score: float
    share_right: float

    def to_dict(self) -> dict[str, Any]:
        """Return the bin as JSON-ready data; what is NaN becomes None."""
        known = self.count > 0
        return {
            "low": round(self.low, 6),
            "high": round(self.high, 6),
            "count": self.count,
            "score": round(self.score, 6) if known else None,
            "share_right": round(self.share_right, 6) if known else None,
        }


def reliability(
    scores: ArrayLike, targets: ArrayLike, *, task: Task = "single-label", bins: int = BINS
) -> tuple[ReliabilityBin, ...]:
    """Return the reliability diagram: how often answers of a given score are right.

    Single-label, the highest score of each clip counts, and it is right where the clip has that label. What the scores
    leave to 1 is the score of none of the labels: an answer like the others, right for a negative. Where they leave
    nothing in any clip, negatives are left out: such scores suppose that one of the labels is there.

    Multi-label, every score counts, and it is right where the clip has the label.
    """
    numbers, truth = checked(scores, targets)
    return _bins(*_answers(numbers, truth, task), bins)


def expected_calibration_error(
    scores: ArrayLike, targets: ArrayLike, *, task: Task = "single-label", bins: int = BINS
) -> float:
    """Return the mean distance of the score from the share that is right, over equal-width bins weighted by count.

    Single-label, of the answers of `reliability`, one a clip (Guo et al. 2017). Multi-label, the mean over classes of
    the error of each class by itself; classes without positives count too, for their scores should be near 0.
    """
    numbers, truth = checked(scores, targets)
    if task == "single-label":
        return _error(*_answers(numbers, truth, task), bins)
    return mean_of_known([_error(numbers[:, column], truth[:, column], bins) for column in range(truth.shape[1])])


def brier(scores: ArrayLike, targets: ArrayLike, *, task: Task = "single-label") -> float:
    """Return the mean squared distance of scores from the truth (Brier 1950).

    Single-label, summed over the classes of a clip: 0 to 2. Multi-label, the mean over classes: 0 to 1.
    """
    numbers, truth = checked(scores, targets)
    squared = np.square(numbers - truth)
    return mean_of_known(squared.sum(axis=1) if task == "single-label" else squared)


def log_loss(scores: ArrayLike, targets: ArrayLike, *, task: Task = "single-label") -> float:
    """Return the mean negative logarithm of the probability given to what is true, in nats.

    Single-label, of the label of each clip that has exactly one. Multi-label, of presence or absence, over clips and
    classes. Scores closer to 0 or 1 than float32 can say are moved there.
    """
    numbers, truth = checked(scores, targets)
    if task == "multi-label":
        return mean_of_known(-np.log(np.clip(np.where(truth, numbers, 1.0 - numbers), _SMALLEST, 1.0 - _SMALLEST)))
    single = truth.sum(axis=1) == 1
    return mean_of_known(-np.log(np.clip(numbers[single][truth[single]], _SMALLEST, 1.0 - _SMALLEST)))


def _answers(scores: Floats, truth: Booleans, task: Task) -> tuple[Floats, Booleans]:
    """Return the scores that are held to account, and whether each was right; both flat."""
    if not len(scores) or task == "multi-label":
        return scores.ravel(), truth.ravel()
    negative, rest = ~truth.any(axis=1), 1.0 - scores.sum(axis=1)
    if rest.max() > _ROUNDING:
        scores, truth = np.column_stack([scores, rest]), np.column_stack([truth, negative])
    else:
        scores, truth = scores[~negative], truth[~negative]
    best = scores.argmax(axis=1)[:, None]
    return np.take_along_axis(scores, best, axis=1)[:, 0], np.take_along_axis(truth, best, axis=1)[:, 0]


def _bins(scores: Floats, right: Booleans, bins: int) -> tuple[ReliabilityBin, ...]:
    if bins < 1:
        raise OptionError(f"bins={bins} is not allowed: give 1 or more")
    places = np.clip(np.ceil(scores * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    safe = np.where(counts, counts, np.nan)
    means = np.bincount(places, weights=scores, minlength=bins) / safe
    shares = np.bincount(places, weights=right, minlength=bins) / safe
    rows = enumerate(zip(counts.tolist(), means.tolist(), shares.tolist(), strict=True))
    return tuple(
        ReliabilityBin(number / bins, (number + 1) / bins, count, score, share)
        for number, (count, score, share) in rows
    )


def _error(scores: Floats, right: Booleans, bins: int) -> float:
    filled = [item for item in _bins(scores, right, bins) if item.count]
    if not filled:
        return float("nan")
    return sum(item.count * abs(item.score - item.share_right) for item in filled) / len(scores)
