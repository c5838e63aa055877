"""Results for people: plain text, 80 columns wide, with bars where the stream can show them."""

import math
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from earmark.inference.formats.escape import one_line
from earmark.inference.results import ClipResult, EmbeddingResult, EventsResult, Result, TimelineResult
from earmark.model.card import NONE_OF_THESE

WIDTH = 80
"""Columns that a table keeps to. Only its first line, with the file's name, may be longer."""

TOP = 3
"""How many labels of each frame a timeline shows; one less where it shows novelty."""


@dataclass(frozen=True, slots=True)
class _Marks:
    """The characters that are not letters: the last of `bar` is a full block, those before it parts of one."""

    bar: str
    cut: str
    times: str


_BLOCKS = _Marks(bar="▏▎▍▌▋▊▉█", cut="…", times="×")
_ASCII = _Marks(bar="#", cut="~", times="x")


def write_table(results: Iterable[Result], stream: TextIO) -> None:
    """Write a table per recording, with a line between."""
    encoding = stream.encoding or "utf-8"
    marks = _BLOCKS if _can_encode("".join((_BLOCKS.bar, _BLOCKS.cut, _BLOCKS.times)), encoding) else _ASCII
    for number, result in enumerate(results):
        if number:
            stream.write("\n")
        for line in _lines(result, marks):
            stream.write(line.rstrip().encode(encoding, "backslashreplace").decode(encoding) + "\n")


def _lines(result: Result, marks: _Marks) -> Iterator[str]:
    calibrated = "" if result.calibrated else "  (scores not calibrated)"
    version = f"{result.model} {result.model_version}"
    yield f"{one_line(result.file)}  {version}  {_number(result.seconds)} s{calibrated}"
    if isinstance(result, ClipResult):
        yield from _tags(result, marks)
    elif isinstance(result, EventsResult):
        yield from _events(result, marks)
    elif isinstance(result, TimelineResult):
        yield from _timeline(result, marks)
    elif isinstance(result, EmbeddingResult):
        yield _shape(result, marks)
    for note in result.notes:
        yield from textwrap.wrap(one_line(note), WIDTH, initial_indent="  note: ", subsequent_indent="        ")


def _tags(result: ClipResult, marks: _Marks) -> Iterator[str]:
    if result.none_of_these:
        strange = f" ({_reason(result)})"
        answer = f"  {NONE_OF_THESE.name}{strange}"
        closest = [f"; closest: {_fit(tag.label, 25, marks).rstrip()} {_number(tag.score)}" for tag in result.closest]
        yield answer + "".join(closest[:1])
    elif not result.tags:
        yield "  no tags"
    width = min(40, max((len(one_line(tag.label)) for tag in result.tags), default=0))
    for tag in result.tags:
        yield f"  {_fit(tag.label, width, marks)}  {_number(tag.score)}  {_bar(tag.score, 30, marks)}"


def _reason(result: ClipResult) -> str:
    """Return why none of the labels is the answer."""
    threshold = result.parameters.get("novelty_threshold") or 0.0
    if result.novelty is None or result.novelty < threshold:
        # A model may have learnt negatives, to tell them from its classes; silence has no score at all.
        return "like its negatives" if result.closest else "no score for any class"
    return f"novelty {_number(result.novelty)}"


def _events(result: EventsResult, marks: _Marks) -> Iterator[str]:
    yield "   onset s  offset s  score" if result.events else "  no events"
    for event in result.events:
        span = f"  {_number(event.onset):>8}  {_number(event.offset):>8}"
        yield f"{span}   {_number(event.score)}  {_bar(event.score, 10, marks):10}  {_fit(event.label, 39, marks)}"


def _timeline(result: TimelineResult, marks: _Marks) -> Iterator[str]:
    top = TOP if result.novelty is None else TOP - 1  # novelty takes the room of one
    yield f"   onset s  offset s  {'' if result.novelty is None else 'novelty  '}highest {top}"
    for row, scores in enumerate(result.scores):
        best = np.argsort(-scores, kind="stable")[:top]
        cells = [f"{_number(scores[index])} {_fit(result.labels[index].name, 13, marks)}" for index in best]
        if result.novelty is not None:
            cells.insert(0, f"{_number(result.novelty[row]):>7}")
        yield f"  {_number(result.edges[row]):>8}  {_number(result.edges[row + 1]):>8}  {'  '.join(cells)}"


def _shape(result: EmbeddingResult, marks: _Marks) -> str:
    frames, size = result.embeddings.shape
    return (
        f"  {frames} frames {marks.times} {size} numbers, {_number(result.edges[0])} to {_number(result.edges[-1])} s"
    )


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _bar(score: float, width: int, marks: _Marks) -> str:
    """Return a bar of at most `width` characters for a score in [0, 1]."""
    if not math.isfinite(score):
        return ""
    parts = len(marks.bar)
    full, part = divmod(round(min(max(score, 0.0), 1.0) * width * parts), parts)
    return marks.bar[-1] * full + (marks.bar[part - 1] if part else "")


def _fit(text: str, width: int, marks: _Marks) -> str:
    """Return the text in exactly `width` characters."""
    text = one_line(text)
    return text.ljust(width) if len(text) <= width else text[: width - 1] + marks.cut


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
