"""All measures of one set of scores together, overall and class by class, and their spread over folds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earmark.errors import OptionError
from earmark.evaluation.metrics.decision import decide, precision_recall_f1, top_k_accuracy
from earmark.evaluation.metrics.probability import Task, brier, expected_calibration_error, log_loss
from earmark.evaluation.metrics.ranking import areas, d_prime, lwlrap, map_at_k
from earmark.evaluation.metrics.table import Booleans, Floats, checked, mean_of_known

Thresholds = Mapping[str, float] | float | NDArray[np.floating]
"""By label, one for all, or of each clip and class: shape (clips, classes)."""

PARTIAL_RATE = 0.1
"""Highest false-positive rate of `Metrics.partial_roc_auc`, as in the DCASE anomaly tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMetrics:
    """What one class reaches; NaN for what it has too few positives or negatives to say.

    Parameters
    ----------
    label : str
    positives : int
        Clips that have it.
    given : int
        Clips that were given it.
    average_precision, roc_auc, lwlrap, precision, recall, f1 : float
        See the functions of these names.
    threshold : float or None
        Score from which it is given, in the mean of the clips; None where the highest score decides.
    """

    label: str
    positives: int
    given: int
    average_precision: float
    roc_auc: float
    lwlrap: float
    precision: float
    recall: float
    f1: float
    threshold: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the class as JSON-ready data; what is not finite becomes None."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What scores are worth, in one table. Means are over the classes for which the measure can be said.

    Parameters
    ----------
    task : {"single-label", "multi-label"}
        Single-label: the highest score decides. Multi-label: a threshold for each class.
    clips, negatives : int
        How many were measured, and how many of them have none of the labels.
    accuracy, top_3_accuracy, top_5_accuracy : float
        Share of the clips with a label that have one of theirs among the 1, 3 and 5 highest scores.
    balanced_accuracy : float
        Mean recall of the classes under `decide`.
    map_at_3, lwlrap : float
        How high a clip's labels rank.
    mean_average_precision, roc_auc, partial_roc_auc, d_prime : float
        Of classes over clips, macro-averaged; `partial_roc_auc` up to a false-positive rate of `PARTIAL_RATE`,
        `d_prime` of the mean ROC-AUC.
    precision_macro, recall_macro, f1_macro : float
        Means over classes with positives.
    precision_micro, recall_micro, f1_micro : float
        Of all decisions together.
    expected_calibration_error, brier, log_loss : float
        How far scores are from probabilities. Negatives do not count for a single-label log loss.
    classes : tuple of ClassMetrics
        In the order of the scores.
    notes : tuple of str
        What was left out of which mean.
    """

    task: Task
    clips: int
    negatives: int
    accuracy: float
    top_3_accuracy: float
    top_5_accuracy: float
    balanced_accuracy: float
    map_at_3: float
    lwlrap: float
    mean_average_precision: float
    roc_auc: float
    partial_roc_auc: float
    d_prime: float
    precision_macro: float
    recall_macro: float
    f1_macro: float
    precision_micro: float
    recall_micro: float
    f1_micro: float
    expected_calibration_error: float
    brier: float
    log_loss: float
    classes: tuple[ClassMetrics, ...]
    notes: tuple[str, ...] = ()

    def figures(self) -> dict[str, float]:
        """Return the measures by name, without counts, classes and notes; NaN where one cannot be said."""
        return {name: getattr(self, name) for name in FIGURES}

    def to_dict(self, *, classes: bool = True) -> dict[str, Any]:
        """Return everything as JSON-ready data; what is not finite becomes None, `classes` can be left out."""
        facts: dict[str, Any] = {"task": self.task, "clips": self.clips, "negatives": self.negatives}
        facts |= {name: _plain(value) for name, value in self.figures().items()}
        if classes:
            facts["classes"] = [item.to_dict() for item in self.classes]
        return {**facts, "notes": list(self.notes)}


FIGURES = tuple(
    item.name for item in fields(Metrics) if item.name not in ("task", "clips", "negatives", "classes", "notes")
)
"""Names of the measures of `Metrics`, in its order."""


@dataclass(frozen=True, slots=True)
class Spread:
    """One measure over folds.

    Parameters
    ----------
    mean : float
        Over the folds; NaN where no fold has it.
    deviation : float
        Sample standard deviation, with n - 1; NaN for fewer than two folds.
    values : tuple of float
        Fold by fold, in the order of the folds' names.
    """

    mean: float
    deviation: float
    values: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"mean", "deviation", "values"}``; what is not finite becomes None."""
        return {
            "mean": _plain(self.mean),
            "deviation": _plain(self.deviation),
            "values": [_plain(value) for value in self.values],
        }


def measure(
    scores: ArrayLike,
    targets: ArrayLike,
    labels: Sequence[str],
    *,
    task: Task = "single-label",
    thresholds: Thresholds = 0.5,
) -> Metrics:
    """Measure scores against the truth.

    Parameters
    ----------
    scores, targets : array-like, shape (clips, classes)
    labels : sequence of str
        Names of the columns.
    task : {"single-label", "multi-label"}
    thresholds : Mapping of str to float, float, or ndarray of shape (clips, classes)
        Multi-label, from which score a label is given: one number, one for each label, or one for each label and clip,
        as where folds differ.

    Raises
    ------
    OptionError
        If shapes do not fit, a number is not finite, or a threshold is missing.
    """
    numbers, truth = checked(scores, targets)
    if numbers.shape[1] != len(labels):
        raise OptionError(f"{numbers.shape[1]} columns of scores for {len(labels)} labels: give a label for each")
    limits = None if task == "single-label" else _limits(labels, thresholds, truth.shape)
    decisions = decide(numbers, thresholds=limits) if len(numbers) else np.zeros(truth.shape, bool)
    curves = areas(numbers, truth, 1.0, PARTIAL_RATE)
    ranks = lwlrap(numbers, truth)
    columns = {"average_precision": curves[0], "roc_auc": curves[1], "lwlrap": ranks[1]}
    classes = _classes(columns, truth, decisions, labels, limits)
    micro = (float(part[0]) for part in precision_recall_f1(decisions.reshape(-1, 1), truth.reshape(-1, 1)))
    area = _mean(classes, "roc_auc")
    return Metrics(
        task=task,
        clips=len(truth),
        negatives=int((~truth.any(axis=1)).sum()),
        accuracy=top_k_accuracy(numbers, truth),
        top_3_accuracy=top_k_accuracy(numbers, truth, 3),
        top_5_accuracy=top_k_accuracy(numbers, truth, 5),
        balanced_accuracy=_mean(classes, "recall"),
        map_at_3=map_at_k(numbers, truth, 3),
        lwlrap=ranks[0],
        mean_average_precision=_mean(classes, "average_precision"),
        roc_auc=area,
        partial_roc_auc=mean_of_known(curves[2]),
        d_prime=d_prime(area),
        precision_macro=_mean(classes, "precision"),
        recall_macro=_mean(classes, "recall"),
        f1_macro=_mean(classes, "f1"),
        **dict(zip(("precision_micro", "recall_micro", "f1_micro"), micro, strict=True)),
        expected_calibration_error=expected_calibration_error(numbers, truth, task=task),
        brier=brier(numbers, truth, task=task),
        log_loss=log_loss(numbers, truth, task=task),
        classes=classes,
        notes=tuple(_notes(truth, labels)),
    )


def spread_over_folds(
    scores: ArrayLike,
    targets: ArrayLike,
    labels: Sequence[str],
    folds: Sequence[str],
    *,
    task: Task = "single-label",
    thresholds: Thresholds = 0.5,
) -> dict[str, Spread]:
    """Measure each fold by itself and return how the measures spread.

    Parameters
    ----------
    folds : sequence of str
        The fold of each clip.
    scores, targets, labels, task, thresholds
        As for `measure`.

    Returns
    -------
    dict of str to Spread
        By the names of `FIGURES`; values in the order of the sorted names of the folds.
    """
    numbers, truth = checked(scores, targets)
    of_clip = np.asarray(folds)
    parts = [of_clip == fold for fold in sorted(set(folds))]
    limits = _limits(labels, thresholds, truth.shape)
    each = [measure(numbers[part], truth[part], labels, task=task, thresholds=limits[part]).figures() for part in parts]
    return {name: _spread([figures[name] for figures in each]) for name in FIGURES}


def _spread(values: Sequence[float]) -> Spread:
    known = [value for value in values if not math.isnan(value)]
    mean = mean_of_known(values)
    few = len(known) < 2 or not all(map(math.isfinite, known))
    return Spread(mean, math.nan if few else float(np.std(known, ddof=1)), tuple(values))


def _limits(labels: Sequence[str], thresholds: Thresholds, shape: tuple[int, ...]) -> Floats:
    """Return the threshold of each clip and label, of that shape."""
    if isinstance(thresholds, Mapping):
        missing = [label for label in labels if label not in thresholds]
        if missing:
            raise OptionError(f"no threshold for {missing[0]!r}: give one for each label, or one number for all")
        thresholds = np.array([thresholds[label] for label in labels], np.float64)
    limits = np.asarray(thresholds, np.float64)
    if limits.ndim == 2 and limits.shape != shape:
        raise OptionError(f"thresholds of shape {limits.shape} for scores of shape {shape}: give one for each score")
    return np.broadcast_to(limits, shape)


def _classes(
    columns: Mapping[str, Floats],
    truth: Booleans,
    decisions: Booleans,
    labels: Sequence[str],
    limits: Floats | None,
) -> tuple[ClassMetrics, ...]:
    """Return the classes one by one, from measures by name of all of them."""
    decided = dict(zip(("precision", "recall", "f1"), precision_recall_f1(decisions, truth), strict=True))
    positives, given = truth.sum(axis=0), decisions.sum(axis=0)
    return tuple(
        ClassMetrics(
            label=label,
            positives=int(positives[index]),
            given=int(given[index]),
            threshold=None if limits is None else mean_of_known(limits[:, index]),
            **{name: float(column[index]) for name, column in {**columns, **decided}.items()},
        )
        for index, label in enumerate(labels)
    )


def _mean(classes: Sequence[ClassMetrics], name: str) -> float:
    return mean_of_known([getattr(item, name) for item in classes])


def _notes(truth: Booleans, labels: Sequence[str]) -> list[str]:
    """Say which classes and clips the means leave out."""
    counts = truth.sum(axis=0)
    absent = [label for label, count in zip(labels, counts, strict=True) if count == 0]
    always = [label for label, count in zip(labels, counts, strict=True) if 0 < count == len(truth)]
    notes = []
    if absent:
        notes.append(f"No clip has {_listed(absent)}: left out of the means over classes.")
    if always:
        notes.append(f"Every clip has {_listed(always)}: left out of the mean ROC-AUC and d'.")
    negatives = int((~truth.any(axis=1)).sum())
    if negatives:
        notes.append(f"{negatives} clips have none of the labels: they do not count for accuracy, MAP@3 and lwlrap.")
    return notes


def _listed(labels: Sequence[str], most: int = 5) -> str:
    more = f" and {len(labels) - most} more labels" if len(labels) > most else ""
    return ", ".join(map(repr, labels[:most])) + more


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: numbers to six decimals, None for what is not finite."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
