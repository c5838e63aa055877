"""What goes to standard error: one line for each thing that went wrong, or that one should know."""

import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from earmark.cli.options import DEFAULT_MODEL
from earmark.errors import EarmarkError, OptionError

if TYPE_CHECKING:
    from earmark.inference.results import Failure
    from earmark.model.card import ModelCard

INPUT_FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
"""Exit statuses; 0 where all went well."""


def complain(message: str) -> None:
    """Print one line about what went wrong."""
    from earmark.inference.formats.escape import one_line

    print(f"earmark: {one_line(message)}", file=sys.stderr)


def introduce(card: "ModelCard", model: str) -> None:
    """Say which model answers; where it is the one that nobody named, also which one knows more."""
    more = "; --model yamnet knows 521" if model == DEFAULT_MODEL else ""
    complain(f"{card.name} {card.version} answers, with {len(card.labels)} labels{more}")


def hush_matplotlib() -> None:
    """Let Matplotlib keep to itself where it puts its cache, and that it looks for fonts."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def exit_status(error: EarmarkError) -> int:
    """Return the exit status that an error asks for."""
    return WRONG_USAGE if isinstance(error, OptionError) else INPUT_FAILED


def report_failures(failures: "list[Failure]", inputs: int) -> None:
    """Print a line for each input that failed and, where there were several inputs, how many did."""
    for failure in failures:
        message = str(failure.error)
        complain(message if failure.file in message else f"{failure.file}: {message}")
    if failures and inputs > 1:
        complain(f"{len(failures)} of {inputs} inputs failed")


def end_with_failures(failures: Sequence[tuple[str, str]], *, written: str = "") -> None:
    """List the labelled clips that could not be read, and why; if there are any, end as a batch with failures does.

    Where a model was `written` all the same, the last line says so.
    """
    for file, reason in failures:
        complain(reason if file in reason else f"{file}: {reason}")
    if failures:
        many = "1 clip" if len(failures) == 1 else f"{len(failures):,} clips"
        all_the_same = f"; {written} is written without, and the exit status is {INPUT_FAILED}" if written else ""
        complain(f"{many} could not be read: left out{all_the_same}")
        raise typer.Exit(INPUT_FAILED)
