"""How right a network is on clips held out, in one number, which training reports and chooses epochs by."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from earmark.model.card import Task

Score = Callable[[NDArray[np.float32], NDArray[np.float32]], float]


def score_for(task: Task) -> Score:
    """Return the score of logits and targets, both of shape (clips, classes): accuracy, or mean average precision."""
    return _accuracy if task == "single-label" else _mean_average_precision


def _accuracy(logits: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
    return float((logits.argmax(axis=1) == targets.argmax(axis=1)).mean())


def _mean_average_precision(logits: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
    """Return the mean over the classes that some clip has; 0 where all clips are negatives."""
    present = np.flatnonzero(targets.any(axis=0))
    if not len(present):
        return 0.0
    return float(np.mean([average_precision_score(targets[:, index], logits[:, index]) for index in present]))
