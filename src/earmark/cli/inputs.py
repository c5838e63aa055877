"""Files, folders and standard input, as the list of what there is to do."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO

from earmark.errors import EarmarkError, OptionError

if TYPE_CHECKING:
    from earmark.audio.decode import Source
    from earmark.inference.results import Failure

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Input:
    """One recording.

    Parameters
    ----------
    source : Source
        A path as it was given, or the open standard input.
    place : PurePath
        Its path below the folder that was given, or its name: where its results go in a folder of results.
    """

    source: "Source"
    place: PurePath


def find_inputs(files: Sequence[str]) -> "list[Input | Failure]":
    """Return the recordings that a command line names, in its order; a folder without any is a Failure.

    Raises
    ------
    OptionError
        If standard input is asked for twice, or is a terminal.
    """
    if files.count(STDIN) > 1:
        raise OptionError("- is there twice, but standard input can be read only once")
    return [found for file in files for found in _found(file)]


def _found(file: str) -> "Iterator[Input | Failure]":
    if file == STDIN:
        yield Input(_standard_input(), PurePath("stdin"))
    elif os.path.isdir(file):  # noqa: PTH112 - Path("") is ".", and "" is no folder
        yield from _inside(file)
    else:
        yield Input(file, PurePath(PurePath(file).name or "unnamed"))


def _inside(folder: str) -> "Iterator[Input | Failure]":
    from earmark.audio.folder import find_recordings
    from earmark.inference.results import Failure

    errors: list[EarmarkError] = []
    try:
        for path in find_recordings(folder, on_error=errors.append):
            yield Input(path, PurePath(path).relative_to(folder))
    except EarmarkError as error:  # where a folder may not be read, that is why there is nothing
        errors = errors or [error]
    yield from (Failure(folder, error) for error in errors)


def repeatable_input(file: str) -> "Source":
    """Return a recording that can be read twice: a path as it is, of standard input all its bytes.

    Raises
    ------
    OptionError
        If standard input is a terminal.
    """
    return _Kept(_standard_input().read()) if file == STDIN else file


class _Kept(BytesIO):
    """The bytes of standard input, under the name that it has in results."""

    name = "<stdin>"


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.isatty():
        raise OptionError("- reads sound from standard input, which is a terminal: pipe a recording into it")
    return sys.stdin.buffer
