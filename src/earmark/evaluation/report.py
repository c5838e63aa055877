"""The report: one page of HTML that shows how good a model is and where it fails, and needs nothing but itself."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from earmark.errors import OutputError
from earmark.evaluation.inline import inline
from earmark.evaluation.markup import Markup, element, join
from earmark.evaluation.metrics import ReliabilityBin, confusion, reliability
from earmark.evaluation.mistakes import Excerpt, Mistake, cut_excerpt, worst_mistakes
from earmark.evaluation.outcome import Outcome
from earmark.evaluation.plots import (
    confusion_chart,
    legend,
    meter,
    novelty_chart,
    precision_recall_chart,
    reliability_chart,
)
from earmark.evaluation.tables import class_table, confused_table, event_table, figure_table
from earmark.evaluation.words import FIGURE_WORDS, number, summary, with_spread
from earmark.model.card import NONE_OF_THESE

__all__ = ["write_report"]

MOST_BYTES = 6_000_000
"""A page larger than this is slow to open: sounds are left out then, the least bad mistakes first."""

MOST_CONFUSED_LABELS = 60
_ECE = "expected_calibration_error"
_TILES = {
    "single-label": ("accuracy", "top_3_accuracy", "map_at_3", "mean_average_precision", "roc_auc"),
    "multi-label": ("mean_average_precision", "roc_auc", "d_prime", "lwlrap", "f1_macro"),
}


def write_report(outcome: Outcome, path: str | os.PathLike[str]) -> None:
    """Write a page about an outcome: figures, charts, every label, the worst mistakes to hear and to see.

    The page asks nobody for anything: styles, drawings and sounds are inside. It follows the reader's dark or light
    scheme and fits a phone.

    Parameters
    ----------
    outcome : Outcome
        From `evaluate` or a cross-validation. The clips of the worst mistakes are read again; one that is gone has no
        sound on the page.
    path : path
        Where to write; by custom it ends in ``.html``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    page = build_report(outcome)
    try:
        Path(path).write_text(page, encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(f"cannot write {os.fspath(path)}: {error.strerror or error}") from error


def build_report(outcome: Outcome) -> str:
    """Return the page that `write_report` writes."""
    template = Template(files("earmark.evaluation").joinpath("page.html").read_text(encoding="utf-8"))
    body = join(*_sections(outcome))
    return template.substitute(title=join(f"{outcome.model}: how good it is"), body=body)


def _sections(outcome: Outcome) -> Iterator[Markup]:
    yield _head(outcome)
    yield _tiles(outcome)
    yield _details("All figures, and what they mean", figure_table(outcome))
    if outcome.events:
        yield _section("Events", _EVENTS, event_table(outcome.events))
    yield _confusion(outcome)
    yield _curves(outcome)
    yield _section("Every label", "The worst first; a heading sorts by its column.", class_table(outcome))
    if outcome.novelty is not None:
        yield _novelty(outcome)
    yield _mistakes(outcome)
    if outcome.failures:
        lost = (element("li", element("span", file, class_="file"), f": {why}") for file, why in outcome.failures)
        yield _section("Clips that could not be read", "They are in none of the figures.", element("ul", *lost))


_EVENTS = (
    "Event F1 asks whether events begin at the right time, segment F1 and error rate whether each second has the right "
    "labels, PSDS both over all thresholds: 1 wants events located well, 2 wants labels not confused."
)


def _section(title: str, words: str, *content: Markup) -> Markup:
    return element("section", element("h2", title), element("p", words, class_="quiet"), *content)


def _details(title: str, content: Markup) -> Markup:
    return element("details", element("summary", title), content)


def _head(outcome: Outcome) -> Markup:
    clips = f"{outcome.metrics.clips:,} clips" + (f" of {outcome.data}" if outcome.data else "")
    sound = f", {outcome.seconds / 60:.1f} minutes" if outcome.seconds else ""
    made = f"{datetime.now(UTC).date().isoformat()}, earmark {version('earmark')}"
    calibrated = "calibrated" if outcome.calibrated else "not calibrated"
    facts = f"{clips}{sound}, {len(outcome.labels):,} labels, {outcome.task}, scores {calibrated}. {made}."
    notes = [element("p", note) for note in (*outcome.notes, *outcome.metrics.notes)]
    return element(
        "header",
        element("h1", outcome.model),
        element("p", facts, class_="quiet"),
        element("p", " ".join(summary(outcome)), class_="lead"),
        *([element("div", *notes, class_="note", role="note")] if notes else []),
        *([element("p", "Made by ", element("code", outcome.command), class_="quiet")] if outcome.command else []),
    )


def _tiles(outcome: Outcome) -> Markup:
    tiles = []
    for name in (*_TILES[outcome.task], _ECE):
        # The calibration error is that of all clips, as in the diagram: bins of the few of a fold are off by chance.
        shown = number(name, outcome.metrics.expected_calibration_error) if name == _ECE else with_spread(outcome, name)
        value, _, spread = shown.partition(" ± ")
        deviation, _, percent = spread.partition("\u00a0")
        small = [element("small", f"± {deviation} over the folds")] if spread else []
        figure = element("dd", f"{value}\u00a0{percent}" if percent else value, *small)
        tiles.append(
            element("div", element("dt", FIGURE_WORDS[name][0]), figure, class_="tile", title=FIGURE_WORDS[name][1])
        )
    return element("dl", *tiles, class_="tiles")


def _confusion(outcome: Outcome) -> Markup:
    counts = confusion(outcome.scores, outcome.targets, outcome.refused)
    if not counts.any():
        return Markup()
    used = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    words = "Rows are what a clip is, columns what is answered. Point at a square for its counts."
    if used[-1] == len(outcome.labels):
        words += f" Last, clips that have none of the labels, and the answer “{NONE_OF_THESE.name}”."
    if len(used) > MOST_CONFUSED_LABELS:
        wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
        used = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CONFUSED_LABELS])
        words += f" Shown are the {MOST_CONFUSED_LABELS} labels with the most mistakes."
    if outcome.task == "multi-label":
        words += " Clips with several labels are not in it; the answer is the highest score, if it is enough."
    names = [(*outcome.labels, NONE_OF_THESE.name)[column] for column in used]
    chart = confusion_chart(counts[np.ix_(used, used)], names)
    return _section(
        "What is heard as what",
        words,
        legend(("right", "right"), ("wrong", "wrong; the stronger, the larger its share of the row")),
        element("div", chart, class_="scroll", tabindex=0, role="region", aria_label="Confusion matrix"),
        confused_table(outcome),
    )


def _curves(outcome: Outcome) -> Markup:
    error = outcome.metrics.expected_calibration_error
    bins = reliability(outcome.scores, outcome.targets, task=outcome.task)
    honest = element(
        "figure",
        element("h2", "Sure when it is right?"),
        reliability_chart(bins, error),
        element("figcaption", " ".join(_reliability_words(outcome, bins))),
    )
    trade = element(
        "figure",
        element("h2", "Precision and recall"),
        precision_recall_chart(outcome.scores, outcome.targets, outcome.labels),
        element("figcaption", "Bold: all labels together; thin: each label, named under the pointer."),
    )
    return element("div", honest, trade, class_="pair")


def _reliability_words(outcome: Outcome, bins: Sequence[ReliabilityBin]) -> Iterator[str]:
    """Say what the reliability diagram shows, and of which answers."""
    yield "On the dashed line, 80 % means right in 8 of 10."
    error, negatives = outcome.metrics.expected_calibration_error, outcome.metrics.negatives
    if outcome.task == "multi-label":
        yield f"The line is of all labels together; ECE {error:.3f} is the mean of the labels."
    else:
        yield f"ECE {error:.3f}, of all clips together."
        if negatives and sum(item.count for item in bins) < outcome.metrics.clips:
            yield f"The {negatives:,} clips without a label are left out: the scores suppose that there is one."
        elif negatives:
            yield "A clip without a label is right where the scores leave most for none of the labels."
    yield "Grey bars, and the size of the dots: how many answers there are."


def _novelty(outcome: Outcome) -> Markup:
    assert outcome.novelty is not None
    unknown = np.asarray(outcome.targets.sum(axis=1) == 0)
    threshold = None if outcome.novelty_threshold is None else float(np.mean(outcome.novelty_threshold))
    chart = novelty_chart(outcome.novelty, unknown, threshold)
    words = "How unlike its training data the model finds each clip"
    words += ". From the dashed line on it answers “none of these”." if threshold is not None else "."
    if unknown.any():
        words += " Negatives that it has learnt from are not new to it: those it tells by their scores."
    if isinstance(outcome.novelty_threshold, np.ndarray):
        words += " Every fold has a threshold of its own; the line is their mean."
    return _section(
        "Known and unknown sound", words, legend(("mass", "clips of its labels"), ("wrong", "clips of none")), chart
    )


def _mistakes(outcome: Outcome) -> Markup:
    mistakes = worst_mistakes(outcome)
    if not mistakes:
        return _section("The worst mistakes", "There are none.")
    cards, spent = [], 0
    for mistake in mistakes:
        excerpt = cut_excerpt(outcome, mistake.row) if spent < MOST_BYTES // 2 else None
        cards.append(_mistake(outcome, mistake, excerpt))
        spent += len(cards[-1])
    words = "Where it is most sure of what is wrong. Some of these may be wrong labels."
    return _section("The worst mistakes", words, element("ul", *cards, class_="mistakes"))


def _mistake(outcome: Outcome, mistake: Mistake, excerpt: Excerpt | None) -> Markup:
    truth = " + ".join(mistake.truth) or "none of the labels"
    told = f"{mistake.answer} missed" if mistake.missed else f"heard as {mistake.answer}"
    heading = element("p", element("strong", truth), f", {told} ({mistake.score:.2f})")
    parts = [heading, meter(mistake.score, f"score {mistake.score:.3f}")]
    if excerpt is not None:
        words = f"Spectrogram, {excerpt.seconds:.1f} s: {truth}, {told}"
        parts.append(element("img", src=inline("image/png", excerpt.picture), alt=words, loading="lazy"))
        sound = inline(excerpt.sound_type, excerpt.sound)
        parts.append(element("audio", controls=True, preload="none", src=sound, aria_label=f"Sound: {truth}, {told}"))
    place = f", {excerpt.start_seconds:.1f} s to {excerpt.start_seconds + excerpt.seconds:.1f} s" if excerpt else ""
    gone = "" if excerpt else " (no sound here)"
    fold = f", fold {outcome.folds[mistake.row]}" if outcome.folds else ""
    name = element("span", Path(outcome.clips[mistake.row]).name, class_="file", title=outcome.clips[mistake.row])
    shown = place if excerpt and not excerpt.whole else ""
    parts.append(element("p", name, f"{shown}{fold}{gone}", class_="quiet"))
    return element("li", *parts, class_="mistake")
