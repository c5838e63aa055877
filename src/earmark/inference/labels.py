"""Which labels are meant: names, ids and wildcards turned into columns of the scores."""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from earmark.errors import LabelError, OptionError
from earmark.model.card import DecisionRule, Label

NEAREST = 5
"""How many similar names an error lists."""


def select_labels(labels: Sequence[Label], allow: Sequence[str] = (), deny: Sequence[str] = ()) -> NDArray[np.intp]:
    """Return the indices of the labels to keep, in the order of `labels`.

    Each entry is an id (``/m/06mb1``), a display name in any case (``rain``), or a wildcard over names in any case
    (``*bird*``, ``speech*``, ``[dh]og``; see `fnmatch`). An entry that is a name as it stands is never a wildcard.

    Parameters
    ----------
    labels : sequence of Label
        All labels of the model.
    allow : sequence of str
        Keep only these; empty for all.
    deny : sequence of str
        Then drop these.

    Raises
    ------
    LabelError
        If an entry matches no label; the message lists the nearest names.
    OptionError
        If nothing is left, or a string stands where a list of them is expected.
    """
    allowed = set(range(len(labels))) if len(allow) == 0 else _matches("allow", allow, labels)
    kept = sorted(allowed - _matches("deny", deny, labels))
    if not kept:
        raise OptionError(f"allow={list(allow)} and deny={list(deny)} leave no label; deny fewer or allow others")
    return np.array(kept, dtype=np.intp)


def rule_by_id(rule: DecisionRule, labels: Sequence[Label]) -> DecisionRule:
    """Return a rule whose exceptions go by label id, where they may have gone by name or wildcard.

    Parameters
    ----------
    rule : DecisionRule
        As a person wrote it.
    labels : sequence of Label
        All labels of the model.

    Raises
    ------
    LabelError
        If an exception matches no label.
    OptionError
        If this is no rule.
    """
    if not isinstance(rule, DecisionRule):
        raise OptionError(f"rule is a {type(rule).__name__}; give a DecisionRule")
    classes = {
        labels[index].id: thresholds
        for entry, thresholds in rule.classes.items()
        for index in sorted(_matches("rule", [entry], labels))
    }
    return replace(rule, classes=classes)


def split_labels(text: str, labels: Sequence[Label]) -> list[str]:
    """Return the entries of a comma-separated option, where names may have commas of their own.

    From the left, the longest stretch that is a label's name is one entry; what is no name ends at its comma.

    Parameters
    ----------
    text : str
        Such as ``Rain, child speech, kid speaking, *bird*``, which has three entries.
    labels : sequence of Label
        The labels of the model.
    """
    names = {_plain(label.name) for label in labels}
    most = 1 + max((name.count(",") for name in names), default=0)
    parts = text.split(",")
    entries = []
    start = 0
    while start < len(parts):
        ends = range(min(start + most, len(parts)), start + 1, -1)
        stop = next((end for end in ends if _plain(",".join(parts[start:end])) in names), start + 1)
        entries.append(",".join(parts[start:stop]).strip())
        start = stop
    return [entry for entry in entries if entry]


def listed(**filters: Sequence[str]) -> dict[str, list[str]]:
    """Return filters that `select_labels` has taken as JSON-ready lists."""
    return {name: list(entries) for name, entries in filters.items()}


def _matches(option: str, entries: Sequence[str], labels: Sequence[Label]) -> set[int]:
    """Return the indices of all labels that one of the entries matches."""
    if isinstance(entries, str):
        raise OptionError(f"{option} is the string {entries!r}; give a list of labels, such as {option}=[{entries!r}]")
    found: set[int] = set()
    for entry in entries:
        matching = _matching(entry, labels)
        if not matching:
            raise LabelError(_no_match(option, entry, labels))
        found |= matching
    return found


def _matching(entry: str, labels: Sequence[Label]) -> set[int]:
    """Return the indices of the labels that one entry matches."""
    plain = _plain(entry)
    exact = {index for index, label in enumerate(labels) if label.id == entry.strip() or _plain(label.name) == plain}
    return exact or {index for index, label in enumerate(labels) if fnmatchcase(_plain(label.name), plain)}


def _plain(name: str) -> str:
    """Return a name as it is compared: in one case, with single spaces, and a space after each comma."""
    return " ".join(re.sub(r"\s*,\s*", ", ", name.casefold()).split())


def _no_match(option: str, entry: str, labels: Sequence[Label]) -> str:
    names = list(dict.fromkeys(_nearest(entry, labels)))[:NEAREST]
    nearest = f"; nearest: {', '.join(map(repr, names))}" if names else ""
    return (
        f"{option}: no label matches {entry!r}{nearest}; "
        "'earmark models info NAME --labels' lists all that the model has"
    )


def _nearest(entry: str, labels: Sequence[Label]) -> Iterator[str]:
    """Yield names like the entry: those that have it inside, shortest first, then those spelt like it."""
    wanted = _plain(re.sub(r"[*?\[\]]", " ", entry))
    if not wanted:
        return
    names = {_plain(label.name): label.name for label in labels}
    inside = sorted((plain for plain in names if wanted in plain), key=len)
    yield from (names[plain] for plain in inside[: NEAREST - 2])
    # "Chuckle, chortle" is two names in one, either of which may be what was meant
    parts = {label.id.casefold(): label.name for label in labels}
    parts |= {part: name for plain, name in names.items() for part in (plain, *plain.split(", "))}
    yield from (parts[part] for part in difflib.get_close_matches(wanted, parts, n=2 * NEAREST))
