"""Event-based measures: an event is found if an event of its label begins, and ends, close enough to it.

Mesaros, Heittola and Virtanen, "Metrics for polyphonic sound event detection", Applied Sciences 6 (2016); the figures
are those of sed_eval and sed_scores_eval.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from earmark.errors import OptionError
from earmark.evaluation.eventmetrics.counts import (
    TOLERANCE_SECONDS,
    Counts,
    EventMetrics,
    Span,
    checked_pairs,
    labels_of,
)


@dataclass(frozen=True, slots=True)
class Collar:
    """How far an event may be off and still count as found.

    Parameters
    ----------
    onset_seconds : float
        At most so much between the onsets.
    offset_seconds : float, optional
        At most so much between the offsets; by default offsets are not compared.
    offset_share : float
        Or so much of the true event's length, where that is more, in [0, 1]. DCASE: 0.2 s and a share of 0.2.
    """

    onset_seconds: float = 0.2
    offset_seconds: float | None = None
    offset_share: float = 0.0

    def __post_init__(self) -> None:
        if min(self.onset_seconds, self.offset_seconds or 0.0, self.offset_share) < 0:
            raise OptionError(
                f"collar of {self.onset_seconds} s and {self.offset_seconds} s, share {self.offset_share}: "
                "none may be negative"
            )

    def holds(self, there: Span, found: Span) -> bool:
        """Return whether an event that was found is close enough to one that is there."""
        if abs(there[1] - found[1]) > self.onset_seconds + TOLERANCE_SECONDS:
            return False
        if self.offset_seconds is None:
            return True
        allowed = max(self.offset_seconds, self.offset_share * (there[2] - there[1]))
        return abs(there[2] - found[2]) <= allowed + TOLERANCE_SECONDS


def match_events(
    reference: Sequence[Iterable[Span]],
    estimated: Sequence[Iterable[Span]],
    *,
    collar: Collar | None = None,
    labels: Iterable[Hashable] | None = None,
) -> EventMetrics:
    """Compare events by their edges.

    Each true event is matched with at most one that was found, so that as many as possible are (a maximum matching).

    Parameters
    ----------
    reference, estimated : sequence of iterable of (label, onset, offset)
        What is there and what was found, for each recording.
    collar : Collar, optional
        By default 0.2 s at the onset.
    labels : iterable, optional
        Count these alone; by default all that occur.

    Raises
    ------
    OptionError
        If the two differ in length, or an event ends before it begins.
    """
    pairs = checked_pairs(reference, estimated)
    limits = collar or Collar()
    counts: dict[Hashable, Counts] = {}
    for label in labels_of(pairs, labels):
        hits = there = found = 0
        for pair in pairs:
            true, guessed = ([span for span in spans if span[0] == label] for spans in pair)
            hits += _matches(true, guessed, limits)
            there, found = there + len(true), found + len(guessed)
        counts[label] = Counts(hits, found - hits, there - hits)
    return EventMetrics(counts)


def _matches(true: Sequence[Span], found: Sequence[Span], collar: Collar) -> int:
    """Return the size of a maximum matching, by augmenting paths (Berge 1957)."""
    near = [[index for index, guess in enumerate(found) if collar.holds(event, guess)] for event in true]
    event_of: dict[int, int] = {}  # by what was found
    guess_of: dict[int, int] = {}  # by what is there
    for event in range(len(true)):
        came_from: dict[int, int] = {}  # for each guess the event whose it could be
        waiting = deque([event])
        while waiting:
            current = waiting.popleft()
            fresh = [guess for guess in near[current] if guess not in came_from]
            came_from.update(dict.fromkeys(fresh, current))
            free = next((guess for guess in fresh if guess not in event_of), None)
            if free is not None:
                _reassign(free, came_from, event_of, guess_of)
                break
            waiting.extend(event_of[guess] for guess in fresh)
    return len(event_of)


def _reassign(free: int, came_from: dict[int, int], event_of: dict[int, int], guess_of: dict[int, int]) -> None:
    """Give a free guess to the event it was reached from, that event's own guess to the one before, and so on."""
    guess: int | None = free
    while guess is not None:
        event = came_from[guess]
        own = guess_of.get(event)
        event_of[guess], guess_of[event] = event, guess
        guess = own
