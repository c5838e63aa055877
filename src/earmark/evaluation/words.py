"""What an outcome comes to, in plain words and short numbers."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from earmark.evaluation.metrics import confusion, reliability
from earmark.evaluation.outcome import Outcome
from earmark.model.card import NONE_OF_THESE

FIGURE_WORDS = {
    "accuracy": ("Accuracy", "the highest score is on a label that the clip has, refused or not"),
    "top_3_accuracy": ("Top-3 accuracy", "one of the three highest scores is"),
    "top_5_accuracy": ("Top-5 accuracy", "one of the five highest scores is"),
    "balanced_accuracy": ("Balanced accuracy", "mean recall of the labels; refused clips are not found"),
    "map_at_3": ("MAP@3", "1 for a right first answer, 1/2 for a right second one, 1/3 for a third"),
    "lwlrap": ("lwlrap", "how high the labels of a clip rank, each label counting the same"),
    "mean_average_precision": ("mAP", "area under the precision-recall curve, mean of the labels"),
    "roc_auc": ("ROC-AUC", "chance that a clip with the label scores above one without, mean of the labels"),
    "partial_roc_auc": ("pAUC", "the same at false-positive rates up to 0.1; 0.5 is chance"),
    "d_prime": ("d′", "the mean ROC-AUC as a distance in standard deviations"),
    "precision_macro": ("Precision", "share of the answers that are right, mean of the labels"),
    "recall_macro": ("Recall", "share of what is there that is answered, mean of the labels"),
    "f1_macro": ("F1", "both in one number, mean of the labels"),
    "precision_micro": ("Precision, all together", "over all answers"),
    "recall_micro": ("Recall, all together", "over all labels of all clips"),
    "f1_micro": ("F1, all together", "both in one number"),
    "expected_calibration_error": ("ECE", "mean distance of the score from the share that is right; 0 is honest"),
    "brier": ("Brier score", "mean squared distance of the scores from the truth; 0 is perfect"),
    "log_loss": ("Log loss", "mean negative logarithm of the score of what is true; 0 is perfect"),
}
"""Name and meaning of each measure of `Metrics`, for people."""

IN_PERCENT = {name for name in FIGURE_WORDS if name not in ("d_prime", "log_loss", "brier", "lwlrap", "map_at_3")}
IN_PERCENT -= {"mean_average_precision", "roc_auc", "partial_roc_auc", "expected_calibration_error"}

_HONEST = 0.05  # what an expected calibration error of a few hundred clips reaches by chance alone


class Confused(NamedTuple):
    """Clips of one label, or of none, heard as another: what they are, the answer, how many, of how many such clips."""

    truth: str
    answer: str
    times: int
    clips: int


def number(name: str, value: float) -> str:
    """Return a measure as people read it: a share in percent, anything else to three places; a dash for NaN."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "–"
    return percent(value) if name in IN_PERCENT else f"{value:.3f}"


def percent(share: float) -> str:
    """Return a share such as ``86.5 %``, with a space that does not break."""
    return f"{100 * share:.1f}\u00a0%"


def with_spread(outcome: Outcome, name: str) -> str:
    """Return a measure with its deviation over the folds, such as ``86.5 ± 1.8 %``: then it is the mean of them."""
    spread = outcome.spread.get(name)
    if spread is None or not math.isfinite(spread.deviation):
        return number(name, getattr(outcome.metrics, name))
    if name in IN_PERCENT:
        return f"{100 * spread.mean:.1f} ± {100 * spread.deviation:.1f}\u00a0%"
    return f"{spread.mean:.3f} ± {spread.deviation:.3f}"


def most_confused(outcome: Outcome, most: int = 10) -> list[Confused]:
    """Return the most frequent mistakes of clips that have one label or none, the most frequent first."""
    counts = confusion(outcome.scores, outcome.targets, outcome.refused)
    clips = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    pairs = sorted(np.argwhere(counts).tolist(), key=lambda pair: (-counts[*pair], -counts[*pair] / clips[pair[0]]))
    labels = (*outcome.labels, NONE_OF_THESE.name)
    return [
        Confused(labels[truth], labels[answer], int(counts[truth, answer]), int(clips[truth]))
        for truth, answer in pairs[:most]
    ]


def summary(outcome: Outcome) -> Iterator[str]:
    """Yield sentences that say how good the model is, and where it is not."""
    yield from _ranking(outcome)
    yield from _folds(outcome)
    yield from _honesty(outcome)
    yield from _classes(outcome)
    yield from _rejection(outcome)


def _ranking(outcome: Outcome) -> Iterator[str]:
    metrics = outcome.metrics
    labelled = metrics.clips - metrics.negatives
    if not labelled:
        yield "None of the clips has one of the labels, so there is little to say."
        return
    right = round(metrics.accuracy * labelled)
    if outcome.task == "single-label":
        yield f"{right:,} of {labelled:,} clips get their label first ({percent(metrics.accuracy)})."
        if len(outcome.labels) > 3:
            yield f"It is among the first three for {percent(metrics.top_3_accuracy)}."
        return
    precise, found = percent(metrics.precision_micro), percent(metrics.recall_micro)
    yield f"At the model's thresholds {precise} of the labels given are right, and {found} of those there are given."
    first = percent(metrics.accuracy)
    yield f"For {right:,} of {labelled:,} clips the highest score is on one of their labels ({first})."


def _folds(outcome: Outcome) -> Iterator[str]:
    spread = outcome.spread.get("accuracy" if outcome.task == "single-label" else "mean_average_precision")
    if spread is not None and spread.values:
        name = "accuracy" if outcome.task == "single-label" else "mAP"
        low, high = percent(min(spread.values)), percent(max(spread.values))
        yield f"Over {len(spread.values)} folds the {name} is {low} to {high}, {percent(spread.mean)} on average."


def _honesty(outcome: Outcome) -> Iterator[str]:
    error = outcome.metrics.expected_calibration_error
    if not math.isfinite(error):
        return
    if outcome.task == "multi-label":
        yield f"Its scores are off by {100 * error:.1f} points on average, taken as probabilities."
        return
    filled = [item for item in reliability(outcome.scores, outcome.targets, task=outcome.task) if item.count]
    counts = [item.count for item in filled]
    sure, right = (
        np.average([getattr(item, of) for item in filled], weights=counts) for of in ("score", "share_right")
    )
    if error < _HONEST:
        yield f"Its scores can be taken for probabilities: they are off by {100 * error:.1f} points on average."
    else:
        manner = "too sure of itself" if sure > right else "less sure than it could be"
        yield f"It is {manner}: it scores {percent(sure)} on average and is right in {percent(right)}."


def _classes(outcome: Outcome) -> Iterator[str]:
    known = [item for item in outcome.metrics.classes if item.positives]
    if len(known) > 2:
        key = "f1" if outcome.task == "single-label" else "average_precision"
        ranked = sorted(known, key=lambda item: -getattr(item, key))
        yield f"Best is {ranked[0].label}, worst {ranked[-1].label}."
    pairs = most_confused(outcome, 1)
    if pairs and pairs[0].times > 1:
        yield (
            f"The most frequent mistake: {pairs[0].truth} is heard as {pairs[0].answer}, "
            f"{pairs[0].times} times in {pairs[0].clips}."
        )


def _rejection(outcome: Outcome) -> Iterator[str]:
    figures = outcome.rejection()
    if "known_refused" in figures and math.isfinite(figures["known_refused"]):
        told = f"It answers “none of these” to {percent(figures['known_refused'])} of the clips that it should know"
        unknown = figures["unknown_refused"]
        others = f", and to {percent(unknown)} of those that have none of its labels" if math.isfinite(unknown) else ""
        yield f"{told}{others}."
