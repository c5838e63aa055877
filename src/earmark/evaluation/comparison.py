"""What sounds in a recording beside what is heard in it, where the truth is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from earmark.audio.synthesis import AUDIOSET, SILENCE, Passage
from earmark.inference.results import Event, TimelineResult
from earmark.model.card import Label

__all__ = ["Comparison", "compare"]

_LEAST_OVERLAP = 0.25  # of a passage: less is the tail of a neighbour


@dataclass(frozen=True, slots=True)
class Comparison:
    """One sound, and what is made of it. Times are seconds.

    Parameters
    ----------
    label : str
        What it is.
    onset, offset : float
        From when to when it sounds.
    heard : Event, optional
        The event of its name; where there is none, the one that overlaps most with it.
    right : bool
        Whether `heard` bears its name; of silence, whether nothing is heard.
    highest : str
        The label of highest mean score during it.
    highest_right : bool
        Whether that is its name.
    """

    label: str
    onset: float
    offset: float
    heard: Event | None
    right: bool
    highest: str
    highest_right: bool


def compare(
    truth: Sequence[Passage],
    timeline: TimelineResult,
    events: Sequence[Event],
    synonyms: Mapping[str, Sequence[str]] = AUDIOSET,
) -> list[Comparison]:
    """Hold the truth of a recording against the answers of a model.

    Parameters
    ----------
    truth : sequence of Passage
        What sounds when; one at a time.
    timeline : TimelineResult
        Of the same recording.
    events : sequence of Event
        Of the same recording.
    synonyms : Mapping of str to sequence of str
        Other names of a label that count as it. Upper and lower case are one; the id of a label
        counts as its name does.
    """
    return [
        _compared(passage, timeline, events, {passage.label, *synonyms.get(passage.label, ())}) for passage in truth
    ]


def _compared(passage: Passage, timeline: TimelineResult, events: Sequence[Event], names: set[str]) -> Comparison:
    label, onset, offset = passage
    own = {name.casefold() for name in names}
    least = _LEAST_OVERLAP * (offset - onset)
    near = [event for event in events if _overlap(event, passage) >= least]
    named = [event for event in near if {event.id.casefold(), event.label.casefold()} & own]
    heard = max(named or near, key=lambda event: _overlap(event, passage), default=None)
    highest = _highest(passage, timeline)
    return Comparison(
        label=label,
        onset=onset,
        offset=offset,
        heard=heard,
        right=bool(named) or (label == SILENCE and heard is None),
        highest=highest.name,
        highest_right=bool({highest.id.casefold(), highest.name.casefold()} & own),
    )


def _overlap(event: Event, passage: Passage) -> float:
    return min(event.offset, passage.offset) - max(event.onset, passage.onset)


def _highest(passage: Passage, timeline: TimelineResult) -> Label:
    """Return the label of highest mean score in the frames that the passage touches."""
    inside = (timeline.edges[1:] > passage.onset) & (timeline.edges[:-1] < passage.offset)
    return timeline.labels[int(timeline.scores[inside].mean(axis=0).argmax())]
