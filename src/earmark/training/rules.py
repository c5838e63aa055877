"""Fitting the decision rule: thresholds from any labels; smoothing, durations and gaps where strong labels exist."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.data.manifest import LabelledEvent
from earmark.evaluation.eventmetrics import Collar, match_events
from earmark.inference.events import find_events
from earmark.model.card import ClassRule, DecisionRule, Label
from earmark.training.thresholds import Thresholds, Wanted, fit_thresholds

EVENTS_FOR_HALF = 30
"""With so many strong labels a class's threshold is half its own, half that of all: frames of one event are alike."""

OFF_SHARE = 0.5
"""Off is this share of on where no strong labels say better."""

_ROUNDS = 2
_HIGHEST = 0.97  # of a raised threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """What is tried, by event F1, where strong labels exist; of equals the first, which does least.

    Parameters
    ----------
    raised : tuple of float
        Factors of all thresholds.
    off_shares : tuple of float
        Of a threshold: where an event ends.
    smoothing_frames, duration_frames, gap_frames : tuple of float
        In frames. F1 alone would drop every short event together with the false ones among them: the longest of the
        durations bounds what is lost.
    """

    raised: tuple[float, ...] = (1.0,)
    off_shares: tuple[float, ...] = (OFF_SHARE, 0.3, 0.7, 1.0)
    smoothing_frames: tuple[float, ...] = (0, 3, 5, 9)
    duration_frames: tuple[float, ...] = (0, 1.5, 2.5, 4.5)
    gap_frames: tuple[float, ...] = (0, 1.5, 2.5, 4.5)

    def values(self, hop_seconds: float) -> dict[str, tuple[float, ...]]:
        """Return what is tried by the names of what it is tried for, times in seconds."""
        times = {
            "smoothing_seconds": self.smoothing_frames,
            "min_duration_seconds": self.duration_frames,
            "merge_gap_seconds": self.gap_frames,
        }
        seconds = {name: tuple(frames * hop_seconds for frames in each) for name, each in times.items()}
        return {"raised": self.raised, "off_share": self.off_shares, **seconds}


@dataclass(frozen=True, slots=True)
class FittedRule:
    """A decision rule, and what a reader must know of how it was fitted."""

    rule: DecisionRule
    notes: tuple[str, ...] = ()


def fit_rule(
    frames: Sequence[NDArray[np.float32]],
    targets: NDArray[np.float32],
    labels: Sequence[Label],
    *,
    wanted: Wanted | None = None,
    edges: Sequence[NDArray[np.float64]] = (),
    events: Sequence[Sequence[LabelledEvent] | None] = (),
    frame_hop_seconds: float = 1.0,
    grid: Grid = Grid(),
) -> FittedRule:
    """Fit a decision rule to clips that the model was not trained on.

    Parameters
    ----------
    frames : sequence of ndarray of float32, shape (frames, classes)
        Calibrated scores of each clip's frames; a clip's own score as its only frame where there are none.
    targets : ndarray of float32, shape (clips, classes)
        1 where a clip has a label.
    labels : sequence of Label
        The columns.
    wanted : Wanted, optional
        By default the best F1.
    edges : sequence of ndarray of float64, shape (frames + 1,)
        Where each clip's frames lie, in seconds; needed with `events`.
    events : sequence of (sequence of LabelledEvent, or None)
        Each clip's strong labels, by the label's id or name; None where unknown.
    frame_hop_seconds : float
        > 0.
    grid : Grid
        What is tried with `events`.

    Notes
    -----
    Without strong labels a class's threshold divides clips by their highest frame: an event anywhere in a clip without
    the label is a false alarm. With them it divides frames by what covers their middle, and a class with few events
    keeps close to the threshold of all classes together; and smoothing, the off threshold, shortest duration and widest
    gap are those of best event F1 on a small grid, one after the other. Without any clip the rule is the usual one.
    """
    if not frames:
        return FittedRule(DecisionRule(), ("No clip was held out to fit thresholds on: they are the usual ones.",))
    strong = [index for index, known in enumerate(events) if known is not None]
    if not strong:
        peaks = np.stack([scores.max(axis=0) for scores in frames])
        thresholds = fit_thresholds(peaks, targets, [label.name for label in labels], wanted)
        return FittedRule(_rule(thresholds, labels, OFF_SHARE), thresholds.notes)
    heard = [_Heard(frames[index], edges[index], events[index] or ()) for index in strong]
    truth = np.concatenate([clip.truth(labels) for clip in heard])
    scores = np.concatenate([clip.frames for clip in heard])
    trust = _trust([span for clip in heard for span in clip.spans(labels)], labels)
    thresholds = fit_thresholds(scores, truth, [label.name for label in labels], wanted, trust=trust)
    return FittedRule(_tuned(heard, thresholds, labels, frame_hop_seconds, grid), thresholds.notes)


@dataclass(frozen=True, slots=True)
class _Heard:
    """A clip of which it is known what is heard when."""

    frames: NDArray[np.float32]
    edges: NDArray[np.float64]
    events: Sequence[LabelledEvent]

    def truth(self, labels: Sequence[Label]) -> NDArray[np.float32]:
        """Return 1 where an event covers the middle of a frame, shape (frames, classes)."""
        middles = (self.edges[:-1] + self.edges[1:]) / 2
        truth = np.zeros(self.frames.shape, np.float32)
        for event in self.events:
            covered = (event.onset_seconds <= middles) & (middles < event.offset_seconds)
            for column, label in enumerate(labels):
                if event.label in (label.id, label.name):
                    truth[covered, column] = 1
        return truth

    def spans(self, labels: Sequence[Label]) -> Iterator[tuple[str, float, float]]:
        """Yield the events with the ids of their labels."""
        ids = {label.name: label.id for label in labels} | {label.id: label.id for label in labels}
        for event in self.events:
            if event.label in ids:
                yield ids[event.label], event.onset_seconds, event.offset_seconds


def _trust(spans: Sequence[tuple[str, float, float]], labels: Sequence[Label]) -> NDArray[np.float64]:
    """Return how much of a class's threshold is its own, by its number of events."""
    counts = Counter(label_id for label_id, _, _ in spans)
    events = np.array([counts[label.id] for label in labels], np.float64)
    return np.asarray(events / (events + EVENTS_FOR_HALF))


def _rule(
    thresholds: Thresholds, labels: Sequence[Label], off_share: float, raised: float = 1.0, **times: float
) -> DecisionRule:
    def pair(threshold: float) -> dict[str, float]:
        on = round(min(threshold * raised, max(threshold, _HIGHEST)), 6)
        return {"on": on, "off": round(on * off_share, 6)}

    others = {
        label.id: ClassRule(**pair(float(on)))
        for label, on in zip(labels, thresholds.of_class, strict=True)
        if on != thresholds.shared
    }
    return DecisionRule(**pair(thresholds.shared), classes=others, **times)


def _tuned(
    heard: Sequence[_Heard], thresholds: Thresholds, labels: Sequence[Label], hop_seconds: float, grid: Grid
) -> DecisionRule:
    """Choose each of the rule's other numbers by event F1 while the rest stays, twice round."""
    values = grid.values(hop_seconds)
    best: dict[str, Any] = {name: each[0] for name, each in values.items()}
    reference = [list(clip.spans(labels)) for clip in heard]
    for _ in range(_ROUNDS):
        for name, each in values.items():
            trials = [_rule(thresholds, labels, **{**best, name: value}) for value in each]
            scored = [_event_f1(heard, reference, rule, labels, hop_seconds) for rule in trials]
            best[name] = each[int(np.argmax(scored))]
    return _rule(thresholds, labels, **{name: round(value, 6) for name, value in best.items()})


def _event_f1(
    heard: Sequence[_Heard],
    reference: Sequence[Sequence[tuple[str, float, float]]],
    rule: DecisionRule,
    labels: Sequence[Label],
    hop_seconds: float,
) -> float:
    """Return the micro F1 of events whose edges are right to a frame, or 0.2 s, or a fifth of the event's length."""
    near = max(0.2, hop_seconds)
    found = [
        [(event.id, event.onset, event.offset) for event in find_events(c.frames, c.edges, rule, labels, hop_seconds)]
        for c in heard
    ]
    limits = Collar(onset_seconds=near, offset_seconds=near, offset_share=0.2)
    score = match_events(reference, found, collar=limits).total.f1
    return 0.0 if np.isnan(score) else score
