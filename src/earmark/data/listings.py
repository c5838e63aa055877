"""Lists of clips: a row for each clip, label or event."""

import shlex
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earmark.data.eventcells import event_cell
from earmark.data.folders import SPLITS
from earmark.data.manifest import Clip, LabelledEvent, Manifest, UnreadableClip
from earmark.data.stronglabels import row_events
from earmark.data.tables import Row, Table
from earmark.data.whereabouts import Whereabouts
from earmark.errors import ManifestError

__all__ = ["LISTINGS", "choose_listing", "read_listing"]

LISTINGS = ("csv", "strong", "esc50", "esc10", "fsdkaggle2018", "urbansound8k")
"""Layouts of lists. ``csv`` is any list of clips, ``strong`` any list of events."""

_ESC50 = {"filename", "fold", "target", "category", "esc10"}
_URBANSOUND8K = {"slice_file_name", "fsID", "fold", "classID"}
_FSDKAGGLE2018 = {"fname", "label"}
_TRUE = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

_Key = tuple[str, float | None, float | None]


@dataclass
class _Draft:
    """A clip that several rows may add to."""

    labels: dict[str, None] = field(default_factory=dict)
    events: list[LabelledEvent] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def choose_listing(table: Table) -> str:
    """Return the layout of a list, as its headings show it."""
    headings = set(table.headings)
    if headings >= _ESC50:
        return "esc50"
    if headings >= _URBANSOUND8K:
        return "urbansound8k"
    if headings >= _FSDKAGGLE2018:
        return "fsdkaggle2018"
    start = table.roles().get("start", "").casefold()
    return "strong" if start.startswith("onset") or start == "begin time (s)" else "csv"


def read_listing(
    table: Table, *, layout: str, audio: Path | None = None, columns: Mapping[str, str] | None = None
) -> Manifest:
    """Read a list of clips.

    Rows of one file, and of one part of it where they have a start or an end, are one clip with all their labels.

    Parameters
    ----------
    table : Table
        The list.
    layout : str
        One of `LISTINGS`.
    audio : Path, optional
        Where the files are; see `Whereabouts` for where they are looked for without it.
    columns : Mapping of str to str, optional
        Headings by role.

    Raises
    ------
    ManifestError
        If a column is missing, a cell says nothing sensible, rows contradict each other, or no file is found.
    """
    roles = _roles(table, layout, columns)
    rows = table.rows if layout != "esc10" else [row for row in table.rows if _TRUE.get(row.cells["esc10"].casefold())]
    chosen = Table(table.path, table.headings, tuple(rows))
    drafts = _draft_events(chosen, roles) if layout == "strong" else _draft_clips(chosen, roles)
    whereabouts = Whereabouts(table.path, audio)
    clips: list[Clip] = []
    failures: dict[UnreadableClip, None] = {}
    for (name, start, end), draft in drafts.items():
        fold = draft.facts.get("fold")
        path = whereabouts.find(f"fold{fold}/{name}") if layout == "urbansound8k" else whereabouts.find(name)
        if path is None:
            failures[UnreadableClip(Path(name), f"no such file beside {table.path}, nor in a folder of sound")] = None
        else:
            labels = tuple(draft.labels)
            events = None if draft.events is None else tuple(draft.events)
            clips.append(Clip(path, labels, start_seconds=start, end_seconds=end, events=events, **draft.facts))
    if not clips:
        raise ManifestError(_nothing(table, len(failures), whereabouts))
    classes = tuple(sorted({label for draft in drafts.values() for label in draft.labels}))
    notes = () if layout == "strong" else _unlabelled(chosen, roles)  # there such a row is a recording without events
    return Manifest(tuple(clips), classes, str(table.path), layout, tuple(failures), notes=notes)


def _unlabelled(table: Table, roles: Mapping[str, str]) -> tuple[str, ...]:
    """Return a note that counts the rows without a label, if there are any."""
    count = sum(not row.cells[roles["label"]] for row in table.rows)
    if not count:
        return ()
    rows = "1 row has" if count == 1 else f"{count:,} rows have"
    told = f"{rows} no label in {table.path}: taken as sound of none of the classes"
    return (f"{told}; give a label, leave the row out, or write background where that is meant",)


def _roles(table: Table, layout: str, columns: Mapping[str, str] | None) -> dict[str, str]:
    needed = {"esc50": _ESC50, "esc10": _ESC50, "urbansound8k": _URBANSOUND8K, "fsdkaggle2018": _FSDKAGGLE2018}
    if not needed.get(layout, set()) <= set(table.headings):
        raise ManifestError(
            f"{table.path} is not a list of the layout {layout!r}, which has the columns "
            f"{', '.join(sorted(needed[layout]))}: give another layout, or none"
        )
    roles = table.roles(columns)
    if layout == "urbansound8k":  # its times are those of the recording that the slice was cut from
        roles = {role: heading for role, heading in roles.items() if role not in ("start", "end")}
    wanted = ("path", "label", "start", "end") if layout == "strong" else ("path", "label")
    missing = [role for role in wanted if role not in roles]
    if missing:
        raise ManifestError(_lacking(table, missing, spare=set(table.headings) - set(roles.values())))
    return roles


def _lacking(table: Table, missing: Sequence[str], *, spare: Set[str]) -> str:
    """Say which columns are missing and how to name them; one that is left over must be the only one missing."""
    heading = next(iter(spare)) if len(spare) == len(missing) == 1 else "HEADING"
    given = " ".join(f"--columns {shlex.quote(f'{role}={heading}')}" for role in missing)
    return (
        f"{table.path} has no column for {' and '.join(missing)}, only {', '.join(table.headings)}: say which it is "
        f"with {given} (in Python columns={dict.fromkeys(missing, heading)}), or rename it"
    )


def _draft_clips(table: Table, roles: Mapping[str, str]) -> dict[_Key, _Draft]:
    drafts: dict[_Key, _Draft] = {}
    for row, labels in zip(table.rows, table.labels(roles["label"]), strict=True):
        spans = [table.number(row, roles[role]) if role in roles else None for role in ("start", "end")]
        draft = drafts.setdefault((_name(table, row, roles), spans[0], spans[1]), _Draft())
        draft.labels |= dict.fromkeys(labels)
        if row.cells.get(roles.get("events", "")):
            draft.events = event_cell(table.path, row, roles["events"])
        _add_facts(draft, table, row, roles)
    return drafts


def _draft_events(table: Table, roles: Mapping[str, str]) -> dict[_Key, _Draft]:
    drafts: dict[_Key, _Draft] = {}
    for row, events in row_events(table, roles):
        draft = drafts.setdefault((_name(table, row, roles), None, None), _Draft(events=[]))
        draft.labels |= dict.fromkeys(event.label for event in events)
        draft.events = sorted({*(draft.events or ()), *events}, key=lambda event: (event.onset_seconds, event.label))
        _add_facts(draft, table, row, roles)
    return drafts


def _name(table: Table, row: Row, roles: Mapping[str, str]) -> str:
    name = row.cells[roles["path"]]
    if not name:
        raise ManifestError(f"line {row.line} of {table.path} names no file in the column {roles['path']}")
    return name


def _add_facts(draft: _Draft, table: Table, row: Row, roles: Mapping[str, str]) -> None:
    """Add what else a row says of its clip; rows of one clip must agree."""
    for role, value in _facts(table, row, roles):
        if draft.facts.setdefault(role, value) != value:
            raise ManifestError(
                f"line {row.line} of {table.path}: {row.cells[roles['path']]} has {role} {value!r} here and "
                f"{draft.facts[role]!r} above; a clip has one"
            )


def _facts(table: Table, row: Row, roles: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for role in ("fold", "group", "split", "verified"):
        text = row.cells[roles[role]] if role in roles else ""
        if not text:
            continue
        if role in ("fold", "group"):
            yield role, text
            continue
        known: Mapping[str, Any] = SPLITS if role == "split" else _TRUE
        if text.casefold() not in known:
            raise ManifestError(
                f"line {row.line} of {table.path}: {roles[role]} is {text!r}, and must be one of {', '.join(known)}"
            )
        yield role, known[text.casefold()]


def _nothing(table: Table, missing: int, whereabouts: Whereabouts) -> str:
    if not missing:
        return f"{table.path} lists no clips: it needs a row for each"
    places = ", ".join(str(folder) for folder in whereabouts.folders)
    return f"none of the {missing} files that {table.path} lists is in {places}: say with --audio where they are"
