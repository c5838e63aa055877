"""What an evaluation came to, on one screen."""

import math
import shlex
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earmark.evaluation.metrics import ClassMetrics
    from earmark.evaluation.outcome import Outcome

_WIDTH = 80
_NAME = 34
_WORST, _CONFUSED = 5, 5
_SHOWN = {
    "single-label": (
        "accuracy",
        "top_3_accuracy",
        "map_at_3",
        "balanced_accuracy",
        "mean_average_precision",
        "roc_auc",
    ),
    "multi-label": ("mean_average_precision", "roc_auc", "d_prime", "lwlrap", "accuracy", "f1_macro", "f1_micro"),
}
_SURENESS = ("expected_calibration_error", "log_loss")


def with_command_line(outcome: "Outcome") -> "Outcome":
    """Return the outcome with the words that were typed for it."""
    return replace(outcome, command=shlex.join(["earmark", *sys.argv[1:]]))


def print_outcome(outcome: "Outcome") -> None:
    """Print the figures, the worst labels, the most frequent mistakes and the notes, 80 columns wide."""
    from earmark.inference.formats.escape import one_line

    for line in _lines(outcome):
        print(one_line(line.replace("\u00a0", " ")).rstrip())


def _lines(outcome: "Outcome") -> Iterator[str]:
    metrics = outcome.metrics
    data = f" of {outcome.data}" if outcome.data else ""
    yield f"{outcome.model}  {metrics.clips:,} clips{data}, {len(outcome.labels):,} labels, {outcome.task}"
    yield from _figures(outcome)
    yield from _events(outcome)
    yield from _rejection(outcome)
    yield from _worst(outcome)
    yield from _confused(outcome)
    for note in (*outcome.notes, *metrics.notes):
        yield from textwrap.wrap(note, _WIDTH, initial_indent="  note: ", subsequent_indent="        ")


def _figures(outcome: "Outcome") -> Iterator[str]:
    from earmark.evaluation.words import FIGURE_WORDS, with_spread

    folds = f"  over {len(set(outcome.folds or ()))} folds" if outcome.spread else ""
    for name in (*_SHOWN[outcome.task], *_SURENESS):
        yield f"  {FIGURE_WORDS[name][0]:{_NAME}}  {with_spread(outcome, name)}{folds}"
        folds = ""


def _events(outcome: "Outcome") -> Iterator[str]:
    if not outcome.events:
        return
    events = outcome.events
    onset = f"Event F1, onsets within {events['collar_seconds']:g} s"
    rows = {
        onset: events["event"]["f1"],
        "Segment F1, 1 s": events["segment"]["f1"],
        "Segment error rate, 1 s": events["segment"]["error_rate"],
        "PSDS 1": events["psds1"]["score"],
        "PSDS 2": events["psds2"]["score"],
    }
    for name, value in rows.items():
        yield f"  {name:{_NAME}}  {_number(value)}"


def _rejection(outcome: "Outcome") -> Iterator[str]:
    from earmark.evaluation.words import percent

    figures = outcome.rejection()
    rows = {"Known clips answered with none": "known_refused", "Clips of no label answered so": "unknown_refused"}
    if math.isfinite(figures.get("roc_auc", math.nan)):
        yield f"  {'ROC-AUC of none of these':{_NAME}}  {figures['roc_auc']:.3f}"
    for name, key in rows.items():
        if math.isfinite(figures.get(key, math.nan)):
            yield f"  {name:{_NAME}}  {percent(figures[key])}"


def _worst(outcome: "Outcome") -> Iterator[str]:
    key, title = ("f1", "F1") if outcome.task == "single-label" else ("average_precision", "AP")
    known = [item for item in outcome.metrics.classes if item.positives]
    if len(known) <= 1:
        return

    def value(item: "ClassMetrics") -> float:
        return float(getattr(item, key))

    yield f"  {'Worst labels':{_NAME}}  {title:5}  {'ROC-AUC':7}  clips"
    for item in sorted(known, key=value)[:_WORST]:
        figures = f"{_number(value(item)):5}  {_number(item.roc_auc):7}  {item.positives:5}"
        yield f"    {_cut(item.label, _NAME - 2)}  {figures}"


def _confused(outcome: "Outcome") -> Iterator[str]:
    from earmark.evaluation.words import most_confused

    pairs = most_confused(outcome, _CONFUSED)
    if pairs:
        yield "  Most often confused"
    for pair in pairs:
        yield f"    {_cut(pair.truth, 20)} heard as {_cut(pair.answer, 20)}  {pair.times} of {pair.clips}"


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _cut(label: str, width: int) -> str:
    return f"{label if len(label) <= width else label[: width - 1] + '…':{width}}"
