"""Lists as people write them: which column is which, and what its cells mean."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from earmark.errors import ManifestError, OptionError

__all__ = ["ROLES", "Row", "Table", "is_negative", "read_table", "split_labels"]

ROLES: Mapping[str, tuple[str, ...]] = {
    "path": (
        *("path", "file", "filename", "file_name", "filepath", "file_path", "fname", "clip", "audio", "audio_path"),
        *("audio_file", "audio_filename", "wav", "wav_file", "recording", "slice_file_name", "begin_file"),
    ),
    "label": (
        *("labels", "label", "tags", "tag", "categories", "category", "classes", "class", "class_name", "class_label"),
        *("species", "common_name", "primary_label", "event_label", "annotation", "positive_labels", "target"),
    ),
    "fold": ("fold", "folds", "cv_fold"),
    "group": (
        *("group", "groups", "source", "src_file", "source_id", "recording_id", "recordist", "speaker", "speaker_id"),
        *("site", "location", "session", "fsid", "freesound_id"),
    ),
    "split": ("split", "subset", "set"),
    "start": (
        *("start", "start_seconds", "start_time", "start_s", "begin", "begin_time", "begin_time_s", "begin_seconds"),
        *("onset", "onset_seconds", "onset_s"),
    ),
    "end": (
        *("end", "end_seconds", "end_time", "end_s", "end_time_s", "stop", "offset", "offset_seconds", "offset_s"),
    ),
    "verified": ("manually_verified", "verified"),
    "events": ("events",),
}
"""What a column can be for, and the headings it is known by: letters in any case, anything else as ``_``. Where a list
has several, the first one here counts."""

_PLURAL = frozenset({"labels", "tags", "categories", "classes", "positive_labels"})
_NEGATIVE = frozenset({"background", "noise", "_background_noise_"})
_SEPARATORS = re.compile("[;|]")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a list.

    Parameters
    ----------
    line : int
        Of the file, counted from 1.
    cells : Mapping of str to str
        What stands in each column, without the space around it.
    """

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A list with headings.

    Parameters
    ----------
    path : Path
        Its file.
    headings : tuple of str
        As they are written.
    rows : tuple of Row
        Those that are not blank.
    """

    path: Path
    headings: tuple[str, ...]
    rows: tuple[Row, ...]

    def roles(self, given: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the heading of the column for each role that has one.

        Parameters
        ----------
        given : Mapping of str to str, optional
            Headings by role, for columns that are not known by theirs.

        Raises
        ------
        OptionError
            If there is no such role.
        ManifestError
            If there is no such column.
        """
        named = {_plain(heading): heading for heading in reversed(self.headings)}
        found = {role: next((named[name] for name in names if name in named), None) for role, names in ROLES.items()}
        for role, heading in (given or {}).items():
            if role not in ROLES:
                raise OptionError(f"a column cannot be for {role!r}: name columns for {', '.join(ROLES)}")
            if heading not in self.headings:
                raise ManifestError(f"{self.path} has no column {heading!r}, only {', '.join(self.headings)}")
            found[role] = heading
        return {role: heading for role, heading in found.items() if heading is not None}

    def labels(self, heading: str) -> list[tuple[str, ...]]:
        """Return the labels of every row; see `split_labels`."""
        return split_labels([row.cells[heading] for row in self.rows], plural=_plain(heading) in _PLURAL)

    def number(self, row: Row, heading: str) -> float | None:
        """Return what a cell says in numbers, None if it is empty.

        Raises
        ------
        ManifestError
            If it is no number.
        """
        text = row.cells[heading]
        try:
            return float(text) if text else None
        except ValueError as error:
            raise ManifestError(
                f"line {row.line} of {self.path}: {heading} is {text!r}, and must be a number of seconds"
            ) from error


def read_table(path: Path) -> Table:
    """Read a list with headings: fields separated by tabs, semicolons or commas, as its first line has them.

    Raises
    ------
    ManifestError
        If it cannot be read, is empty, or is not UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is not text in UTF-8: save it as CSV in UTF-8") from error
    first = text.lstrip().partition("\n")[0]
    if not first:
        raise ManifestError(f"{path} is empty: a list needs a line of headings and a row for each clip")
    delimiter = next((sign for sign in "\t,;" if sign in first), ",")
    return _parse(path, text, delimiter)


def _parse(path: Path, text: str, delimiter: str) -> Table:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        lines = [(reader.line_num, fields) for fields in reader if any(field.strip() for field in fields)]
    except csv.Error as error:
        raise ManifestError(f"line {reader.line_num} of {path}: {error}") from error
    headings = tuple(field.strip() for field in lines[0][1])
    rows = tuple(Row(line, _cells(headings, fields)) for line, fields in lines[1:])
    return Table(path, headings, rows)


def _cells(headings: Sequence[str], fields: Sequence[str]) -> dict[str, str]:
    cells = dict.fromkeys(headings, "")  # a row may end early
    return cells | {heading: field.strip() for heading, field in zip(headings, fields, strict=False)}


def split_labels(cells: Sequence[str], *, plural: bool) -> list[tuple[str, ...]]:
    """Return the labels in each cell of a column, negatives left out.

    A cell that is a JSON list of texts is taken as that. Otherwise, ``;`` and ``|`` separate labels. A comma separates
    them only in a column whose heading is in the plural (`labels`, `tags`) and which has neither ``;`` nor ``|``
    anywhere: names with commas are common.
    """
    lists = [_json_list(cell) for cell in cells]
    separated = any(_SEPARATORS.search(cell) for cell, names in zip(cells, lists, strict=True) if names is None)
    separators = re.compile(",") if plural and not separated else _SEPARATORS
    return [
        _distinct(separators.split(cell) if names is None else names) for cell, names in zip(cells, lists, strict=True)
    ]


def is_negative(label: str) -> bool:
    """Whether a folder or label of this name holds what is not a class."""
    return label.casefold() in _NEGATIVE or label.casefold().startswith("_negative")


def _json_list(cell: str) -> list[str] | None:
    if not cell.startswith("["):
        return None
    try:
        values = json.loads(cell)
    except ValueError:
        return None
    return values if isinstance(values, list) and all(isinstance(value, str) for value in values) else None


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_kept(names)))


def _kept(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        label = name.strip()
        if label and not is_negative(label):
            yield label


def _plain(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", heading.casefold()).strip("_")
