"""Fitting the map from scores to calibrated probabilities on clips that the model was not trained on."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earmark.errors import MissingExtraError, OptionError
from earmark.model.card import Task
from earmark.training.logistic import Values, fit_logistic
from earmark.training.scalings import Calibration, Isotonic, Platt, Scores, Temperature, log_scores, logits

Method = Literal["auto", "temperature", "platt", "isotonic"]

METHODS: dict[Task, tuple[Method, ...]] = {"single-label": ("temperature",), "multi-label": ("platt", "isotonic")}
"""What serves which task, the default first."""

ENOUGH_POSITIVES = 10
"""A class with fewer shares its isotonic line with the others, in proportion."""

MOST_KNOTS = 16
"""Bends in one class's isotonic line."""

_LOG_RANGE = np.log(20.0)  # temperatures from 1/20 to 20
_SMALLEST_SLOPE = 0.05  # a class whose scores say nothing keeps its order, barely
_HALVINGS = 50


def fit_calibration(
    scores: Scores,
    targets: NDArray[np.float32],
    *,
    task: Task,
    method: Method = "auto",
    background: bool = False,
    strength: float = 1.0,
) -> Calibration:
    """Find the map that makes scores probabilities.

    Parameters
    ----------
    scores : ndarray of float32, shape (clips, classes)
        What the model said about clips that it had not seen.
    targets : ndarray of float32, shape (clips, classes)
        1 where a label is true; rows of zeros are clips of none of the labels.
    task : {"single-label", "multi-label"}
        Whether scores of a row sum to 1.
    method : {"auto", "temperature", "platt", "isotonic"}
        Single-label models take a temperature; multi-label ones a line per class in the logit, or a rising curve.
    background : bool
        Whether single-label scores sum to less than 1 and the rest means "none of these".
    strength : float
        At least 0. How strongly parameters are drawn to a prior, as the inverse of its variance: the logarithm of the
        temperature to 0, a class's line to the one that fits all classes together, and that one to the identity. So
        few clips change little, and clips that are all right do not make a model boundlessly sure. 0 for none.

    Raises
    ------
    OptionError
        If the method is not for the task, or shapes differ.
    MissingExtraError
        If isotonic regression is wanted without scikit-learn.
    """
    if scores.ndim != 2 or scores.shape != targets.shape:
        raise OptionError(f"scores {scores.shape} and targets {targets.shape}: give both of shape (clips, classes)")
    sounding = scores.any(axis=1)  # of silence nothing is said, and nothing learned
    scores, targets = scores[sounding], targets[sounding]
    chosen = METHODS[task][0] if method == "auto" else method
    if chosen not in METHODS[task]:
        raise OptionError(f"method {method!r} is not for {task} models; allowed: auto, {', '.join(METHODS[task])}")
    if chosen == "temperature":
        return _fit_temperature(scores, targets, background=background, strength=strength)
    return _fit_platt(scores, targets, strength) if chosen == "platt" else _fit_isotonic(scores, targets)


def _fit_temperature(scores: Scores, targets: NDArray[np.float32], *, background: bool, strength: float) -> Temperature:
    """Find the temperature of least cross-entropy: the root of its derivative, which rises along the inverse."""
    shares = targets.astype(np.float64)
    if background:
        shares = np.append(shares, np.clip(1 - shares.sum(axis=1, keepdims=True), 0, 1), axis=1)
    labelled = shares.sum(axis=1) > 0  # a clip of no label says nothing where there is no class for it
    rows = log_scores(scores[labelled], background=background)
    shares = shares[labelled] / shares[labelled].sum(axis=1, keepdims=True)
    low, high = -_LOG_RANGE, _LOG_RANGE  # of the logarithm of the inverse temperature
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _temperature_slope(rows, shares, middle) + strength * middle > 0:
            high = middle
        else:
            low = middle
    return Temperature(float(np.exp(-(low + high) / 2)), background)


def _temperature_slope(rows: Values, shares: Values, log_inverse: float) -> float:
    """Return the derivative of the summed cross-entropy by the logarithm of the inverse temperature."""
    inverse = np.exp(log_inverse)
    powers = np.exp(inverse * (rows - rows.max(axis=1, keepdims=True)))
    expected = powers / powers.sum(axis=1, keepdims=True) - shares
    return float(inverse * (expected * rows).sum())


def _fit_platt(scores: Scores, targets: NDArray[np.float32], strength: float) -> Platt:
    """Find a line for all classes together, and each class's own near it."""
    features = logits(scores)
    shared = _fit_line(features.ravel(), targets.ravel().astype(np.float64), np.array([1.0, 0.0]), strength)
    lines = np.tile(shared, (scores.shape[1], 1))
    for column, target in enumerate(targets.T.astype(np.float64)):
        if 0 < target.sum() < len(target):  # else there is nothing to tell apart
            lines[column] = _fit_line(features[:, column], target, shared, strength)
    return Platt(lines[:, 0].astype(np.float32), lines[:, 1].astype(np.float32))


def _fit_line(features: Values, targets: Values, prior: Values, strength: float) -> Values:
    """Return slope and intercept of least cross-entropy plus ``strength / 2`` times the squared way from the prior."""
    ones = np.ones_like(features)
    line = fit_logistic(np.stack([features, ones], axis=1), targets, prior=prior, strength=strength)
    if line[0] >= _SMALLEST_SLOPE:
        return line
    held = _SMALLEST_SLOPE * features
    level = fit_logistic(ones[:, None], targets, prior=prior[1:], strength=strength, offset=held)
    return np.array([_SMALLEST_SLOPE, level[0]])


def _fit_isotonic(scores: Scores, targets: NDArray[np.float32]) -> Isotonic:
    """Find a rising line per class; a class of few positives is drawn to the line of all together."""
    shared = _rising_line(scores.ravel(), targets.ravel())
    lines = []
    for score, target in zip(scores.T, targets.T, strict=True):
        trust = min(1.0, min(target.sum(), len(target) - target.sum()) / ENOUGH_POSITIVES)
        own = _rising_line(score, target) if trust > 0 else shared
        knots = own[0] if trust == 1 else np.union1d(own[0], shared[0])
        lines.append(_thinned(knots, trust * np.interp(knots, *own) + (1 - trust) * np.interp(knots, *shared)))
    most = max(2, *(len(knots) for knots, _ in lines))
    pads = [(0, most - len(knots)) for knots, _ in lines]
    return Isotonic(
        *(
            np.stack([np.pad(line[part], pad, mode="edge") for line, pad in zip(lines, pads, strict=True)]).astype(
                np.float32
            )
            for part in (0, 1)
        )
    )


def _rising_line(scores: NDArray[np.float32], targets: NDArray[np.float32]) -> tuple[Values, Values]:
    """Return knots and values of scikit-learn's isotonic regression, never quite 0 or 1."""
    try:
        from sklearn.isotonic import IsotonicRegression
    except ImportError as error:
        raise MissingExtraError.for_extra("train", "scikit-learn", "isotonic calibration") from error
    margin = 1 / (len(scores) + 2)  # as many clips as there were cannot show more (Laplace)
    line = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip").fit(scores, targets)
    return np.asarray(line.X_thresholds_, np.float64), np.asarray(line.y_thresholds_, np.float64)


def _thinned(knots: Values, values: Values) -> tuple[Values, Values]:
    """Keep an even choice of at most `MOST_KNOTS` bends, both ends among them."""
    kept = np.unique(np.linspace(0, len(knots) - 1, MOST_KNOTS).round().astype(int))
    return knots[kept], values[kept]
