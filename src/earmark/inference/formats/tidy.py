"""Tidy CSV: one row for each tag, event, frame score or embedding, which says by itself where it comes from."""

import csv
import math
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from earmark.errors import OptionError
from earmark.inference.formats.document import dump
from earmark.inference.formats.escape import quotable
from earmark.inference.formats.frames import iterate_frames
from earmark.inference.results import ClipResult, EmbeddingResult, EventsResult, Result, Tag, TimelineResult
from earmark.model.card import NONE_OF_THESE

_SOURCE = ("file", "model", "model_version", "calibrated", "seconds")
_TAG = ("label", "id", "score")
_SPAN = ("label", "id", "onset", "offset", "score")
_HOW = ("notes", "parameters")


def write_csv(results: Iterable[Result], stream: TextIO) -> None:
    """Write a header and the rows; a recording without any has none.

    Of a model with novelty, tags, frame scores and embeddings have a column ``novelty``, and a recording that is none
    of the model's classes has one row, with that label and its novelty as the score.
    """
    writer = csv.writer(stream, lineterminator="\n")
    header: tuple[str, ...] = ()
    for result in results:
        columns = (*_SOURCE, *_columns(result), *_HOW)
        if not header:
            header = columns
            writer.writerow(header)
        elif columns != header:
            raise OptionError(f"{result.file} needs other CSV columns than the recordings before; write it by itself")
        source = [_cell(getattr(result, name)) for name in _SOURCE]
        how = [_cell(" | ".join(result.notes)), _cell(dump(dict(result.parameters), "utf-8"))]
        writer.writerows([*source, *row, *how] for row in _rows(result))


def _columns(result: Result) -> tuple[str, ...]:
    novelty = () if isinstance(result, EventsResult) or getattr(result, "novelty", None) is None else ("novelty",)
    if isinstance(result, EmbeddingResult):
        numbers = (f"embedding_{number}" for number in range(result.embeddings.shape[1]))
        return ("onset", "offset", *numbers, *novelty)
    return (*(_TAG if isinstance(result, ClipResult) else _SPAN), *novelty)


def _rows(result: Result) -> Iterator[list[Any]]:
    """Yield the cells of `_columns` for every row."""
    if isinstance(result, ClipResult):
        novelty = [] if result.novelty is None else [_cell(round(result.novelty, 6))]
        refused = [Tag(NONE_OF_THESE.name, NONE_OF_THESE.id, result.novelty or 0.0)] if result.none_of_these else []
        for tag in (*refused, *result.tags):
            yield [*map(_cell, tag.to_dict().values()), *novelty]
    elif isinstance(result, EventsResult):
        yield from ([_cell(value) for value in event.to_dict().values()] for event in result.events)
    elif isinstance(result, TimelineResult):
        labels = [(_cell(label.name), _cell(label.id)) for label in result.labels]
        for frame in iterate_frames(result):
            span, novelty = (frame["onset"], frame["offset"]), _novelty(frame)
            for label, score in zip(labels, frame["scores"], strict=True):
                yield [*label, *span, _cell(score), *novelty]
    elif isinstance(result, EmbeddingResult):
        for frame in iterate_frames(result):
            yield [frame["onset"], frame["offset"], *map(_cell, frame["embedding"]), *_novelty(frame)]


def _novelty(frame: dict[str, Any]) -> list[Any]:
    return [_cell(frame["novelty"])] if "novelty" in frame else []


def _cell(value: Any) -> Any:
    """Return what stands in the file: a number or nothing for NaN, ``true`` or ``false``, text that can be quoted."""
    if isinstance(value, float):
        return value if math.isfinite(value) else ""
    if isinstance(value, bool):
        return str(value).lower()
    return quotable(value) if isinstance(value, str) else value
