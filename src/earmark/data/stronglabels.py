"""Strong labels, which say when something is heard: from CSV, Audacity label tracks and Raven selection tables."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from earmark.data.manifest import LabelledEvent
from earmark.data.tables import Row, Table, read_table, split_labels
from earmark.errors import ManifestError

__all__ = ["Events", "is_label_track", "read_events", "row_events"]

Events = dict[str, tuple[LabelledEvent, ...]]
"""The events of each recording, in the order of their onsets."""

_RAVEN = "begin time (s)"
_AUDACITY = re.compile(r"\s*\d+([.,]\d+)?\t\d+([.,]\d+)?(\t.*)?")
_FREQUENCIES = "\\"


def read_events(path: str | Path, *, columns: Mapping[str, str] | None = None) -> Events:
    """Read a file of events.

    Parameters
    ----------
    path : str or Path
        A CSV or TSV with columns such as filename, onset, offset and event_label (DCASE; a recording whose onset is
        empty has no events), a label track of Audacity, or a selection table of Raven with a column for the label
        (Annotation, Species, Label...).
    columns : Mapping of str to str, optional
        Headings by role (path, label, start, end), for a table whose columns are not known by theirs.

    Returns
    -------
    dict of str to tuple of LabelledEvent
        By the recording's name as the file gives it. A file that names no recording is about one, and gives its own
        name up to the first dot behind the stem: ``street`` for ``street.txt`` and ``street.Table.1.selections.txt``.

    Raises
    ------
    ManifestError
        If it cannot be read or understood.

    Notes
    -----
    Sources: the DCASE task on sound event detection in domestic environments; the Audacity manual, "Importing and
    Exporting Labels"; the Raven Pro user's guide, "Selection tables". Raven lists a selection once for each view, and
    Audacity adds a line of frequencies to a label that has them: neither is another event.
    """
    path = Path(path)
    first = _first_line(path)
    if path.suffix.lower() == ".txt" and (first is None or _AUDACITY.fullmatch(first)):
        return {_stem(path): _ordered(_audacity(path))}
    table = read_table(path)
    roles = table.roles(columns)
    if "label" not in roles or "start" not in roles or "end" not in roles:
        raise ManifestError(
            f"{path} lists no events: it needs columns for the label, the onset and the offset, and has only "
            f"{', '.join(table.headings)}"
        )
    found: dict[str, list[LabelledEvent]] = {}
    for row, events in row_events(table, roles):
        found.setdefault(row.cells[roles["path"]] if "path" in roles else _stem(path), []).extend(events)
    return {name: _ordered(events) for name, events in found.items()}


def row_events(table: Table, roles: Mapping[str, str]) -> Iterator[tuple[Row, list[LabelledEvent]]]:
    """Yield every row of a table with the events that it tells: one for each of its labels, or none."""
    plain = {heading.casefold(): heading for heading in table.headings}
    file_offset = plain.get("file offset (s)") if "begin file" in plain else None
    for row, labels in zip(table.rows, table.labels(roles["label"]), strict=True):
        onset, offset = table.number(row, roles["start"]), table.number(row, roles["end"])
        if onset is None or offset is None:
            yield row, []
            continue
        if file_offset is not None:  # Raven's times run through all files of a sequence, this one through the file
            begin = table.number(row, file_offset) or 0.0
            onset, offset = begin, begin + offset - onset
        yield row, [_event(label, onset, offset, table.path, row.line) for label in labels]


def is_label_track(path: Path) -> bool:
    """Whether a text file is a label track of Audacity, which may be empty, or a selection table of Raven."""
    try:
        first = _first_line(path)
    except ManifestError:
        return False
    return first is None or _RAVEN in first.casefold() or _AUDACITY.fullmatch(first) is not None


def _first_line(path: Path) -> str | None:
    """Return the first line that is not blank, None if there is none."""
    return next((line for line in _lines(path) if line.strip()), None)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is not text in UTF-8: save it in UTF-8") from error


def _audacity(path: Path) -> list[LabelledEvent]:
    events = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip() or line.startswith(_FREQUENCIES):
            continue
        if not _AUDACITY.fullmatch(line):
            raise ManifestError(
                f"line {number} of {path} is {line!r}: a label is its onset, offset and text, with tabs"
            )
        onset, offset, text = (*line.split("\t", 2), "")[:3]
        labels = split_labels([text], plural=False)[0]
        events += [_event(label, _seconds(onset), _seconds(offset), path, number) for label in labels]
    return events


def _seconds(text: str) -> float:
    return float(text.replace(",", "."))  # older versions write the comma of the user's language


def _event(label: str, onset: float, offset: float, path: Path, line: int) -> LabelledEvent:
    try:
        return LabelledEvent(label, onset, offset)
    except ManifestError as error:
        raise ManifestError(f"line {line} of {path}: {error}") from error


def _ordered(events: list[LabelledEvent]) -> tuple[LabelledEvent, ...]:
    return tuple(sorted(dict.fromkeys(events), key=lambda event: (event.onset_seconds, event.offset_seconds)))


def _stem(path: Path) -> str:
    return re.sub(r"(\.Table\.\d+)?\.selections$", "", path.stem, flags=re.IGNORECASE)
