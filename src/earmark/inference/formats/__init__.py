"""Results written in the forms that people and programs read; `to_dict` of the results is the one schema behind all.

A form is written as the results come: no form waits for the last recording, and none holds a recording's
timeline as one string.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TextIO

from earmark.errors import OptionError
from earmark.inference.formats.annotation import write_audacity, write_raven, write_rttm
from earmark.inference.formats.document import write_json, write_jsonl
from earmark.inference.formats.sed import write_sed_events, write_sed_scores
from earmark.inference.formats.table import write_table
from earmark.inference.formats.tidy import write_csv
from earmark.inference.results import ClipResult, EmbeddingResult, EventsResult, Failure, Result, TimelineResult

__all__ = ["FORMATS", "Format", "get_format", "write_results"]

ALL_KINDS: tuple[type[Result], ...] = (ClipResult, EventsResult, TimelineResult, EmbeddingResult)

_NOUNS = {ClipResult: "tags", EventsResult: "events", TimelineResult: "a timeline", EmbeddingResult: "embeddings"}


@dataclass(frozen=True, slots=True)
class Format:
    """A form that results can be written in.

    Parameters
    ----------
    name : str
        What a command line calls it.
    suffix : str
        Of a file in this form, with its dot.
    description : str
        What it is for, in a few words.
    kinds : tuple of Result types
        What it can hold.
    many : bool
        Whether one file may hold several recordings.
    failures : bool
        Whether it has a place for a `Failure`; otherwise they are left out.
    """

    name: str
    suffix: str
    description: str
    kinds: tuple[type[Result], ...]
    many: bool
    failures: bool = False
    _write: Callable[[Iterable[Any], TextIO], None] = field(kw_only=True, repr=False)


FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format("table", ".txt", "for people, 80 columns wide", ALL_KINDS, True, _write=write_table),
        Format("json", ".json", "one JSON document", ALL_KINDS, True, True, _write=write_json),
        Format("jsonl", ".jsonl", "JSON Lines, one object per recording", ALL_KINDS, True, True, _write=write_jsonl),
        Format("csv", ".csv", "tidy CSV, one row per tag, event or frame score", ALL_KINDS, True, _write=write_csv),
        Format("audacity", ".txt", "Audacity label track", (EventsResult,), False, _write=write_audacity),
        Format("raven", ".selections.txt", "Raven selection table", (EventsResult,), False, _write=write_raven),
        Format("rttm", ".rttm", "NIST RTTM, as diarisation tools read it", (EventsResult,), True, _write=write_rttm),
        Format("sed-scores", ".tsv", "scores for sed_scores_eval", (TimelineResult,), False, _write=write_sed_scores),
        Format("sed-events", ".tsv", "events in DCASE form", (EventsResult,), True, _write=write_sed_events),
    )
}
"""All forms, by name."""


def get_format(name: str) -> Format:
    """Return the form of that name.

    Raises
    ------
    OptionError
        If there is none.
    """
    if name not in FORMATS:
        raise OptionError(f"format {name!r} is unknown; choose one of {', '.join(FORMATS)}")
    return FORMATS[name]


def write_results(results: Iterable[Result | Failure], format: str, stream: TextIO) -> None:  # noqa: A002 - the option's name
    r"""Write results in one form, each as soon as it comes.

    Parameters
    ----------
    results : iterable of Result or Failure
        All of one kind. Forms without a place for failures leave them out: report those elsewhere.
    format : str
        A name in `FORMATS`.
    stream : TextIO
        UTF-8 for all that is not plain English; open files with ``newline=""``, for lines end in ``\n`` everywhere.

    Raises
    ------
    OptionError
        If there is no such form, or the form cannot hold this kind of result, or not several recordings.
    """
    form = get_format(format)
    form._write(_held(results, form, stream), stream)


def _held(results: Iterable[Result | Failure], form: Format, stream: TextIO) -> Iterator[Result | Failure]:
    """Yield what the form has a place for, and let a reader of the stream see each result before the next is made."""
    count = 0
    for result in results:
        if isinstance(result, Failure):
            if form.failures:
                yield result
                stream.flush()
            continue
        _check(result, form, count)
        count += 1
        yield result
        stream.flush()


def _check(result: Result, form: Format, before: int) -> None:
    kind = type(result)
    if kind not in form.kinds:
        able = ", ".join(other.name for other in FORMATS.values() if kind in other.kinds)
        raise OptionError(f"format {form.name!r} cannot hold {_NOUNS[kind]} ({result.file}); choose one of {able}")
    if before and not form.many:
        able = ", ".join(other.name for other in FORMATS.values() if kind in other.kinds and other.many)
        raise OptionError(
            f"format {form.name!r} holds one recording per file and {result.file} is the second; "
            f"write a file for each, or choose one of {able}"
        )
