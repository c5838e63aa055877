"""The input doctor's command."""

import json
import math
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import options
from earmark.cli.batch import Writer, ask
from earmark.cli.inputs import find_inputs
from earmark.cli.messages import INPUT_FAILED
from earmark.errors import EarmarkError

if TYPE_CHECKING:
    from earmark.audio.check import CheckReport
    from earmark.audio.decode import Source
    from earmark.inference.results import Failure

_WIDTH = 80


def check(
    files: options.Files,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 also where something was found.")] = False,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Say what is wrong with recordings, before a model hears them.

    Silence, clipping, a wrong scale, channels that cancel out, a narrow band, a damaged end and more.
    """
    troubled: list[str] = []
    writer = Writer(partial(_write, as_json=as_json, troubled=troubled), on_screen=sys.stdout.isatty())
    ask(_check_many, find_inputs(files), writer, threads=threads)
    if strict and troubled:
        raise typer.Exit(INPUT_FAILED)


def _write(reports: "Iterable[CheckReport | Failure]", *, as_json: bool, troubled: list[str]) -> None:
    """Print reports, and note the files in which something was found."""
    from earmark.inference.results import Failure

    for report in reports:
        if as_json:
            print(json.dumps(report.to_dict()), flush=True)
        elif not isinstance(report, Failure):
            print("\n".join(_lines(report)), flush=True)
        if not isinstance(report, Failure) and report.findings:
            troubled.append(report.file)


def _lines(report: "CheckReport") -> Iterator[str]:
    from earmark.inference.formats.escape import one_line

    channels = {1: "mono", 2: "stereo"}.get(report.channels, f"{report.channels} channels")
    yield (
        f"{one_line(report.file)}  {report.container} {report.codec}  {report.sample_rate_hz} Hz  {channels}  "
        f"{report.seconds:.2f} s  peak {_decibels(report.peak):.1f} dB  mean {report.rms_db:.1f} dB"
    )
    if not report.findings:
        yield "  nothing found"
    for finding in report.findings:
        yield from textwrap.wrap(one_line(str(finding)), _WIDTH, initial_indent="  ", subsequent_indent="    ")


def _decibels(magnitude: float) -> float:
    """Return a magnitude in dB of full scale, to a tenth and never as a negative zero."""
    return round(20 * math.log10(magnitude), 1) + 0.0 if magnitude else -math.inf


def _check_many(sources: "Sequence[Source]", *, threads: int | None) -> "Iterator[CheckReport | Failure]":
    """Check recordings side by side, in their order."""
    from earmark.audio.check import check_audio
    from earmark.audio.decode import source_name
    from earmark.inference.classifier import default_threads
    from earmark.inference.parallel import ordered_map
    from earmark.inference.results import Failure

    def attempt(source: "Source") -> "CheckReport | Failure":
        try:
            return check_audio(source)
        except EarmarkError as error:
            return Failure(source_name(source), error)

    return ordered_map(attempt, sources, threads or default_threads())
