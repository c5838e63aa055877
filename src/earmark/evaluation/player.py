"""A page that plays a recording whose truth is known, and shows what is heard in it, all on one axis of time."""

import os
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OutputError
from earmark.evaluation.comparison import Comparison
from earmark.evaluation.inline import inline, playable
from earmark.evaluation.markup import Markup, element, join
from earmark.evaluation.spectrogram import spectrogram_png
from earmark.inference.results import Event, EventsResult, TimelineResult

__all__ = ["build_player", "write_player"]

MOST_LANES = 30
_COLUMNS = 1500  # of the spectrogram: more than a page has dots to show them
_TICK_SECONDS = 10


def write_player(
    path: str | os.PathLike[str],
    waveform: NDArray[np.float32],
    sample_rate_hz: int,
    *,
    truth: Sequence[Comparison],
    timeline: TimelineResult,
    events: EventsResult,
) -> None:
    """Write a page with a player, the spectrogram, what was made above it and what is heard below it.

    The page asks nobody for anything: sound, picture, style and program are inside. It follows the reader's dark or
    light scheme and fits a phone.

    Parameters
    ----------
    path : path
        Where to write; by custom it ends in ``.html``.
    waveform : ndarray of float32, shape (samples,)
        The recording, in [-1, 1].
    sample_rate_hz : int
        Its rate.
    truth : sequence of Comparison
        What sounds when, and what is made of it.
    timeline : TimelineResult
        Of the same recording: the scores.
    events : EventsResult
        Of the same recording.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    page = build_player(waveform, sample_rate_hz, truth=truth, timeline=timeline, events=events)
    try:
        Path(path).write_text(page, encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(f"cannot write {os.fspath(path)}: {error.strerror or error}") from error


def build_player(
    waveform: NDArray[np.float32],
    sample_rate_hz: int,
    *,
    truth: Sequence[Comparison],
    timeline: TimelineResult,
    events: EventsResult,
) -> str:
    """Return the page that `write_player` writes."""
    template = Template(files("earmark.evaluation").joinpath("player.html").read_text(encoding="utf-8"))
    seconds = len(waveform) / sample_rate_hz
    sound, media = playable(waveform, sample_rate_hz)
    picture = inline("image/png", spectrogram_png(waveform, sample_rate_hz, columns=_COLUMNS))
    return template.substitute(
        title=join(f"{Path(events.file).name}: what {events.model} hears"),
        facts=join(_facts(truth, events, seconds)),
        sound=element("audio", controls=True, preload="auto", src=inline(media, sound), aria_label="The recording"),
        seconds=f"{seconds:.3f}",
        truth=join(*(_made(item, seconds) for item in truth)),
        picture=element("img", src=picture, alt="Spectrogram: time across, low frequencies at the bottom"),
        lanes=join(*_lanes(truth, timeline, events.events, seconds)),
        ticks=join(*_ticks(seconds)),
        rows=join(*map(_row, truth)),
    )


def _facts(truth: Sequence[Comparison], events: EventsResult, seconds: float) -> str:
    calibrated = "calibrated" if events.calibrated else "not calibrated"
    return (
        f"{seconds:.0f} seconds. {sum(item.right for item in truth)} of {len(truth)} sounds are found under their own "
        f"name by {events.model} {events.model_version}; its scores are {calibrated}."
    )


def _made(item: Comparison, seconds: float) -> Markup:
    return _block(item.label, item.onset, item.offset, seconds, shown=item.label.replace("_", " "))


def _block(
    told: str, onset: float, offset: float, seconds: float, *, shown: str = "", class_: str | None = None
) -> Markup:
    """Return a stretch of time that plays when it is pressed."""
    style = f"left:{100 * onset / seconds:.3f}%;width:{100 * (offset - onset) / seconds:.3f}%"
    told = f"{told}, {onset:.1f} to {offset:.1f} s"
    return element(
        "button",
        shown,
        type="button",
        data_at=f"{onset:.3f}",
        style=style,
        title=told,
        aria_label=told,
        class_=class_,
    )


def _lanes(
    truth: Sequence[Comparison], timeline: TimelineResult, events: Sequence[Event], seconds: float
) -> Iterator[Markup]:
    """Yield a lane for each label that has events, by its first: its score in time, and the events."""
    columns = {label.id: column for column, label in enumerate(timeline.labels)}
    for label_id in dict.fromkeys(event.id for event in events if event.id in _strongest(events)):
        own = [event for event in events if event.id == label_id]
        blocks = [_heard(event, truth, seconds) for event in own]
        # An event of "none of these" has no column: that is no label of the model.
        curve = [_curve(timeline, columns[label_id], seconds)] if label_id in columns else []
        yield element(
            "div",
            element("span", own[0].label.replace("_", " "), class_="name"),
            element("div", *curve, *blocks, class_="track"),
            class_="lane" if any(_is_right(event, truth) for event in own) else "lane other",
        )


def _strongest(events: Sequence[Event]) -> set[str]:
    """Return the labels with the events of highest score, no more than a page has room for."""
    by_score = sorted(events, key=lambda event: -event.score)
    return set(list(dict.fromkeys(event.id for event in by_score))[:MOST_LANES])


def _heard(event: Event, truth: Sequence[Comparison], seconds: float) -> Markup:
    other = None if _is_right(event, truth) else "other"
    return _block(f"{event.label} {event.score:.2f}", event.onset, event.offset, seconds, class_=other)


def _is_right(event: Event, truth: Sequence[Comparison]) -> bool:
    """Whether the event bears the name under which a sound that it overlaps is found."""
    return any(
        item.heard is not None and item.right and item.heard.id == event.id
        for item in truth
        if event.onset < item.offset and event.offset > item.onset
    )


def _curve(timeline: TimelineResult, column: int, seconds: float) -> Markup:
    """Return a score over time as an area; a step is a frame."""
    edges, scores = timeline.edges, timeline.scores[:, column]
    points = " ".join(
        f"{onset:.2f},{1 - score:.3f} {offset:.2f},{1 - score:.3f}"
        for onset, offset, score in zip(edges[:-1], edges[1:], scores, strict=True)
    )
    area = element("polygon", points=f"0,1 {points} {edges[-1]:.2f},1")
    return element("svg", area, viewBox=f"0 0 {seconds:.3f} 1", preserveAspectRatio="none", aria_hidden="true")


def _ticks(seconds: float) -> Iterator[Markup]:
    for at in range(0, int(seconds) + 1, _TICK_SECONDS):
        yield element("span", f"{at} s", style=f"left:{100 * at / seconds:.3f}%")


def _row(item: Comparison) -> Markup:
    """Return a line of the table; it plays when it is pressed."""
    heard = "nothing" if item.heard is None else item.heard.label.replace("_", " ")
    score = "" if item.heard is None else f"{item.heard.score:.2f}"
    name = element("button", item.label.replace("_", " "), type="button", data_at=f"{item.onset:.3f}")
    return element(
        "tr",
        element("td", f"{item.onset:.1f}", class_="number"),
        element("td", f"{item.offset:.1f}", class_="number"),
        element("td", name),
        element("td", element("span", "✓ " if item.right else "✗ ", class_="mark"), heard),
        element("td", score, class_="number"),
        class_="right" if item.right else "wrong",
    )
