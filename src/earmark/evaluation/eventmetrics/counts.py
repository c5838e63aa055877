"""Hits, false alarms and misses of each label, and what follows from them."""

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from earmark.errors import OptionError

Span: TypeAlias = tuple[Hashable, float, float]
"""Label, onset and offset; seconds."""

TOLERANCE_SECONDS = 1e-6
"""Edges are sums of floats: what is this close to a limit counts as on it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was found of one label, or of all.

    Parameters
    ----------
    hits, false_alarms, misses : int
        True positives, false positives and false negatives.
    """

    hits: int
    false_alarms: int
    misses: int

    @property
    def events(self) -> int:
        """How many there are in truth."""
        return self.hits + self.misses

    @property
    def precision(self) -> float:
        """Share of what was found that is there; 0 where nothing was found, NaN where nothing is there either."""
        return self._share(self.hits + self.false_alarms)

    @property
    def recall(self) -> float:
        """Share of what is there that was found; NaN where nothing is there."""
        return self._share(self.events)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN where nothing is there."""
        return math.nan if not self.events else 2 * self.hits / (2 * self.hits + self.false_alarms + self.misses)

    def _share(self, whole: int) -> float:
        return math.nan if not self.events else self.hits / whole if whole else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return counts and shares as JSON-ready data; what is NaN becomes None."""
        shares = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {
            "hits": self.hits,
            "false_alarms": self.false_alarms,
            "misses": self.misses,
            **{name: None if math.isnan(value) else round(value, 6) for name, value in shares.items()},
        }


@dataclass(frozen=True, slots=True)
class EventMetrics:
    """What was found of every label.

    Parameters
    ----------
    of_label : dict
        Counts by label.
    error_rate : float
        Substitutions, deletions and insertions for each segment of a label that is there; NaN where nothing is there
        or nobody asked.
    """

    of_label: dict[Hashable, Counts]
    error_rate: float = math.nan

    @property
    def total(self) -> Counts:
        """All labels together, for the micro average."""
        each = self.of_label.values()
        return Counts(sum(c.hits for c in each), sum(c.false_alarms for c in each), sum(c.misses for c in each))

    @property
    def f1_macro(self) -> float:
        """Mean F1 of the labels that have events; NaN where none has."""
        known = [counts.f1 for counts in self.of_label.values() if counts.events]
        return sum(known) / len(known) if known else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return micro and macro averages and every label as JSON-ready data."""
        return {
            **self.total.to_dict(),
            "f1_macro": _plain(self.f1_macro),
            "error_rate": _plain(self.error_rate),
            "labels": {str(label): counts.to_dict() for label, counts in self.of_label.items()},
        }


def checked_pairs(
    reference: Sequence[Iterable[Span]], estimated: Sequence[Iterable[Span]]
) -> list[tuple[list[Span], list[Span]]]:
    """Return the recordings as pairs of what is there and what was found.

    Raises
    ------
    OptionError
        If the two differ in length, or an event ends before it begins.
    """
    if len(reference) != len(estimated):
        raise OptionError(f"events of {len(reference)} recordings and of {len(estimated)} do not fit: give one for one")
    pairs = [(list(there), list(found)) for there, found in zip(reference, estimated, strict=True)]
    for label, onset, offset in (span for pair in pairs for spans in pair for span in spans):
        if not 0.0 <= onset <= offset < math.inf:
            raise OptionError(f"an event of {label!r} goes from {onset} to {offset} s: 0 <= onset <= offset is needed")
    return pairs


def labels_of(pairs: Iterable[tuple[list[Span], list[Span]]], labels: Iterable[Hashable] | None) -> list[Hashable]:
    """Return the labels to count: those given, or all that occur."""
    if labels is not None:
        return list(labels)
    return sorted({span[0] for pair in pairs for spans in pair for span in spans}, key=str)


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
