"""What distances and similarities say together about novelty: a logistic regression on clips that play the unknown."""

from typing import Literal, NamedTuple

import numpy as np

from earmark.evaluation.metrics import roc_auc
from earmark.training.logistic import Values, balanced, fit_logistic
from earmark.training.unknowns import Asked, clip_means

Method = Literal["auto", "mahalanobis", "neighbours", "both"]

METHODS: dict[str, tuple[int, ...]] = {"mahalanobis": (0, 1), "neighbours": (2, 3), "both": (0, 1, 2, 3)}
"""Columns of `earmark.training.familiarity.FEATURES` that each method weighs."""

_FAR = (1.0, 0.0, 0.0, -1.0)  # the sign of each feature where unknown classes do not teach it
_LEAST_SPREAD = 0.05  # of a feature, and of what features say together: less is rounding
_EDGE_ODDS = 19.0  # between the middle of the known and their edge


class Weighed(NamedTuple):
    """Weights of the features and a bias before the sigmoid, by which method, and how well that tells whole clips."""

    weights: Values
    bias: float
    method: str
    roc_auc: float | None


def weigh(asked: Asked, method: Method, quantile: float) -> Weighed:
    """Weigh features so that they tell unknown clips; without any, so that a half is at the edge of the known."""
    return _against_unknown(asked, method) if asked.unknown.any() else _by_the_known(asked, method, quantile)


def _against_unknown(asked: Asked, method: Method) -> Weighed:
    """Weigh features so that they tell clips of unknown classes, by the method that does so best."""
    clips = np.stack([clip_means(column, asked.clips) for column in asked.features.T], axis=1)
    unknown, rounds = clip_means(asked.unknown, asked.clips), clip_means(asked.rounds, asked.clips)
    centre, spread = clips.mean(axis=0), clips.std(axis=0) + _LEAST_SPREAD
    scaled = (clips - centre) / spread
    tried = {name: _leave_round_out_auc(scaled[:, METHODS[name]], unknown, rounds) for name in _candidates(method)}
    best = max(tried, key=lambda name: tried[name])
    columns = list(METHODS[best])
    direction = np.zeros(asked.features.shape[1])
    direction[columns] = _regress(scaled[:, columns], unknown)[:-1]
    # Single frames are less certain than clips: their own regression makes the sigmoid as flat as it should be.
    logits = ((asked.features - centre) / spread) @ direction
    slope, level = _regress(logits[:, None], asked.unknown.astype(np.float64))
    weights = slope * direction / spread
    return Weighed(weights, float(level - centre @ weights), best, tried[best])


def _candidates(method: Method) -> tuple[str, ...]:
    return tuple(METHODS) if method == "auto" else (method,)


def _leave_round_out_auc(features: Values, unknown: Values, rounds: Values) -> float:
    """Return the ROC-AUC of clips, each weighed by what was fitted on the other rounds; 0.5 where none is defined."""
    logits = np.zeros(len(unknown))
    for number in np.unique(rounds):
        here = rounds == number
        fitted = _regress(features[~here], unknown[~here]) if not here.all() else _regress(features, unknown)
        logits[here] = features[here] @ fitted[:-1] + fitted[-1]
    auc = float(roc_auc(logits[:, None], unknown[:, None])[0])
    return 0.5 if np.isnan(auc) else auc


def _regress(features: Values, unknown: Values) -> Values:
    """Return weights and, last, the bias; known and unknown count alike, however many there are of each."""
    design = np.append(features, np.ones((len(features), 1)), axis=1)
    return fit_logistic(design, unknown, prior=np.zeros(design.shape[1]), strength=1.0, weights=balanced(unknown))


def _by_the_known(asked: Asked, method: Method, quantile: float) -> Weighed:
    """Weigh features so that novelty is a half at the edge of the known frames, and little in their middle."""
    chosen = "both" if method == "auto" else method
    signs = np.where(np.isin(np.arange(len(_FAR)), METHODS[chosen]), _FAR, 0.0)
    direction = signs / (asked.features.std(axis=0) + _LEAST_SPREAD)
    distances = asked.features @ direction
    middle, edge = np.quantile(distances, [0.5, quantile])
    slope = np.log(_EDGE_ODDS) / max(edge - middle, _LEAST_SPREAD)
    return Weighed(slope * direction, float(-slope * edge), chosen, None)
