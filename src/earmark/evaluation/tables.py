"""Tables of a report: figures, labels, events, frequent mistakes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from earmark.evaluation.markup import Markup, element
from earmark.evaluation.metrics import ClassMetrics
from earmark.evaluation.outcome import Outcome
from earmark.evaluation.plots import meter
from earmark.evaluation.words import FIGURE_WORDS, most_confused, number, with_spread

_WORDY = ("Meaning", "Heard as")  # headings of columns that hold words, which begin on the left


def figure_table(outcome: Outcome) -> Markup:
    """Return every measure with its meaning, and with its spread where there are folds."""
    folds = sorted(set(outcome.folds or ())) if outcome.spread else []
    rows = []
    for name, (title, meaning) in FIGURE_WORDS.items():
        values = outcome.spread[name].values if folds else ()
        cells = [number(name, getattr(outcome.metrics, name))]
        cells += [with_spread(outcome, name)] if folds else []
        cells += [number(name, value) for value in values]
        rows.append([_head(title), *map(_cell, cells), element("td", meaning, class_="words")])
    heads = ["Measure", "All clips", *(["Folds"] if folds else []), *(f"Fold {fold}" for fold in folds), "Meaning"]
    caption = "Measures of all clips together" + ("; over the folds mean and deviation, then each." if folds else ".")
    return _table(caption, heads, rows)


def class_table(outcome: Outcome) -> Markup:
    """Return every label that the clips have or the model gave, the worst first."""
    single = outcome.task == "single-label"
    shown = [item for item in outcome.metrics.classes if item.positives or item.given]
    key = "f1" if single else "average_precision"
    ranked = sorted(shown, key=lambda item: (math.isnan(getattr(item, key)), getattr(item, key), item.label))
    columns = {
        "f1": "F1",
        "precision": "Precision",
        "recall": "Recall",
        "average_precision": "AP",
        "roc_auc": "ROC-AUC",
    }
    first = key, columns.pop(key)
    rest = list(columns.items())
    heads = ["Label", first[1], *(title for _, title in rest), "Clips", "Given", *([] if single else ["Threshold"])]
    rows = [[_head(item.label), *_class_cells(item, [first, *rest], single=single)] for item in ranked]
    left_out = len(outcome.metrics.classes) - len(shown)
    more = f" {left_out} labels that no clip has and that were never given are left out." if left_out else ""
    return _table(f"Measures of each label.{more}", heads, rows, sorts=True)


def _class_cells(item: ClassMetrics, columns: Sequence[tuple[str, str]], *, single: bool) -> list[Markup]:
    lead = getattr(item, columns[0][0])
    bar = [] if math.isnan(lead) else [meter(lead, f"{lead:.3f}")]
    cells = [element("td", *bar, _share(lead), data_value=_sortable(lead))]
    cells += [_value(getattr(item, name)) for name, _ in columns[1:]]
    cells += [element("td", f"{count:,}", data_value=count) for count in (item.positives, item.given)]
    return cells if single else [*cells, _value(math.nan if item.threshold is None else item.threshold)]


def confused_table(outcome: Outcome) -> Markup:
    """Return the most frequent mistakes."""
    pairs = most_confused(outcome)
    if not pairs:
        return element("p", "No clip is heard as another label.")
    rows = [
        [_head(pair.truth), element("td", pair.answer, class_="words"), _cell(f"{pair.times} of {pair.clips}")]
        for pair in pairs
    ]
    return _table("The most frequent mistakes.", ["It is", "Heard as", "Clips"], rows)


def event_table(events: Mapping[str, Any]) -> Markup:
    """Return the measures of events, of all labels and of each."""
    heads = ["", "Event F1", "Precision", "Recall", "Segment F1", "Error rate", "PSDS 1", "PSDS 2"]
    event, segment = events["event"], events["segment"]
    total = [event["f1"], event["precision"], event["recall"], segment["f1"], segment["error_rate"]]
    rows = [_event_row("All labels together", [*total, events["psds1"]["score"], events["psds2"]["score"]])]
    rows.append(_event_row("Mean of the labels", [event["f1_macro"], None, None, segment["f1_macro"], *[None] * 3]))
    for label, found in event["labels"].items():
        of_psds = [events[name]["labels"].get(label) for name in ("psds1", "psds2")]
        seconds = segment["labels"].get(label, {})
        rows.append(
            _event_row(label, [found["f1"], found["precision"], found["recall"], seconds.get("f1"), None, *of_psds])
        )
    caption = f"{events['clips']} clips with known times; an onset may be off by {events['collar_seconds']:g} s."
    return _table(caption, heads, rows)


def _event_row(title: str, values: Iterable[float | None]) -> list[Markup]:
    return [_head(title), *(_value(math.nan if value is None else value) for value in values)]


def _table(caption: str, heads: Iterable[str], rows: Iterable[Sequence[Markup]], *, sorts: bool = False) -> Markup:
    """Return a table that scrolls by itself where the page is narrow."""
    cells = (element("th", title, scope="col", class_="words" if title in _WORDY else None) for title in heads)
    head = element("thead", element("tr", *cells))
    body = element("tbody", *(element("tr", *row) for row in rows))
    table = element("table", element("caption", caption), head, body, class_="sorts" if sorts else None)
    return element("div", table, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _head(title: str) -> Markup:
    return element("th", title, scope="row", data_value=title)


def _cell(words: str) -> Markup:
    return element("td", words)


def _value(value: float) -> Markup:
    return element("td", _share(value), data_value=_sortable(value))


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _sortable(value: float) -> float:
    return -1.0 if math.isnan(value) else value
