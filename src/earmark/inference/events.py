"""The decision rule in time: one state machine turns frame scores into events, for a file and for a stream.

A file is a stream that has ended, so `find_events` is `EventTracker` fed with all of it, and the events are the same
for any way of cutting the frames into pushes.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError
from earmark.inference.results import Event
from earmark.model.card import DecisionRule, Label

TOLERANCE_SECONDS = 1e-6
"""Edges are sums of floats: a gap or a duration this close to its limit counts as equal to it."""

BLOCK_FRAMES = 4096
"""How many frames `find_events` decides at a time, which bounds the memory it needs on top of the scores."""


@dataclass(frozen=True, slots=True)
class EventChange:
    """News of one event.

    Parameters
    ----------
    kind : {"open", "close"}
        ``open`` when the event is certain to be kept, ``close`` when no later frame can belong to it.
    event : Event
        As far as it is known: the offset and score of an open event may still grow.
    """

    kind: Literal["open", "close"]
    event: Event

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"kind", "label", "id", "onset", "offset", "score"}``: what programs get to know of it."""
        return {"kind": self.kind, **self.event.to_dict()}


@dataclass(slots=True)
class _Progress:
    """An event that may still grow."""

    onset: float
    offset: float = 0.0
    score: float = 0.0
    gap_score: float = 0.0  # highest in the gaps so far; that after `offset` counts once it is merged
    announced: bool = False

    def change(self, kind: Literal["open", "close"], label: Label) -> EventChange:
        return EventChange(kind, Event(label.name, label.id, self.onset, self.offset, self.score))


class _Run(NamedTuple):
    """Frames in a row in which one class sounds, or does not; frame numbers are those of the buffer."""

    column: int
    start: int
    stop: int
    sounds: bool
    peak: float


class EventTracker:
    """Turns frame scores into events as they come, by the one rule that `DecisionRule` describes.

    Per class: the running median is compared with the on and off thresholds (hysteresis), stretches closer than the
    merge gap become one event, and what is then still shorter than the minimum duration is dropped. An event goes
    from the left edge of its first frame to the right edge of its last; its score is the highest score in between as
    the model gave it, before smoothing.

    The median of frame i is over the frames i - h to i + h that exist, so at both ends of the signal the window is
    cut, not mirrored or shrunk: a click in the very first frame is smoothed away like any other. Where the
    cut leaves an even number of frames it is the lower of the two middle scores. A decision comes h frames late.

    Memory is constant: 2 h frames of scores, and the events in progress.

    Parameters
    ----------
    rule : DecisionRule
        Thresholds, smoothing, minimum duration, merge gap.
    labels : sequence of Label
        The columns of the scores.
    frame_hop_seconds : float
        What one frame stands for, > 0; turns the rule's smoothing into an odd number of frames.
    """

    def __init__(self, rule: DecisionRule, labels: Sequence[Label], frame_hop_seconds: float) -> None:
        self._labels = tuple(labels)
        self._on, self._off = _thresholds(rule, self._labels)
        # 2 h + 1 is the odd number nearest to the smoothing in frames, the larger one of two.
        self._half = int(rule.smoothing_seconds / frame_hop_seconds / 2 + TOLERANCE_SECONDS)
        self._enough_seconds = rule.min_duration_seconds - TOLERANCE_SECONDS
        self._apart_seconds = rule.merge_gap_seconds - TOLERANCE_SECONDS
        self._scores: NDArray[np.float32]
        self._spans: NDArray[np.float64]
        self._reset()

    def push(self, scores: NDArray[np.float32], edges: NDArray[np.float64]) -> list[EventChange]:
        """Take the next frames and return what they decide, in the order in which it happened.

        Parameters
        ----------
        scores : ndarray of float32, shape (frames, classes)
            Probabilities; any number of frames, none included.
        edges : ndarray of float64, shape (frames + 1,)
            Seconds, rising: frame i stands for ``edges[i]`` to ``edges[i + 1]``.

        Raises
        ------
        OptionError
            If the shapes do not fit the labels or each other.
        """
        if scores.ndim != 2 or scores.shape[1] != len(self._labels) or edges.shape != (len(scores) + 1,):
            raise OptionError(
                f"scores {scores.shape} with edges {edges.shape} do not fit {len(self._labels)} labels: "
                "give scores of shape (frames, classes) and edges of shape (frames + 1,)"
            )
        self._scores = np.concatenate([self._scores, scores.astype(np.float32, copy=False)])
        self._spans = np.concatenate([self._spans, np.stack([edges[:-1], edges[1:]], axis=1)])
        return self._decide(len(self._scores) - self._half)

    @property
    def settled_seconds(self) -> float:
        """Before which time no later frame changes what is in an event and what is not."""
        begun = (event.offset if event.announced else event.onset for event in self._progress.values())
        return min([self._until, *begun])

    def finish(self, end_seconds: float | None = None) -> list[EventChange]:
        """End the signal and return the last changes: what still sounds ends with the sound.

        The tracker is then ready for another signal.

        Parameters
        ----------
        end_seconds : float, optional
            Where the sound ends, if that is later than the last edge that was pushed: a stream learns it only now.
        """
        changes = self._decide(len(self._scores))
        for column, progress in sorted(self._progress.items()):
            if end_seconds is not None and self._active[column]:
                progress.offset = end_seconds
            if not progress.announced and progress.offset >= progress.onset + self._enough_seconds:
                progress.announced = True
                changes.append(progress.change("open", self._labels[column]))
            if progress.announced:
                changes.append(progress.change("close", self._labels[column]))
        self._reset()
        return changes

    def _reset(self) -> None:
        self._progress: dict[int, _Progress] = {}
        self._active = np.zeros(len(self._labels), dtype=bool)  # in the last decided frame
        self._until = -np.inf  # right edge of the last decided frame
        self._decided = 0  # frames at the front of the buffer that are only there for the windows of later ones
        self._scores = np.empty((0, len(self._labels)), dtype=np.float32)
        self._spans = np.empty((0, 2), dtype=np.float64)  # left and right edge of each frame

    def _decide(self, stop: int) -> list[EventChange]:
        """Decide the frames of the buffer before `stop`, and forget those that no later window reaches."""
        start = self._decided
        if stop <= start:
            return []
        # Most classes are silent most of the time. A median is at most the maximum, so these are all that can change:
        hot = np.flatnonzero((self._scores.max(axis=0) >= self._on) | self._in_progress())
        changes: list[tuple[int, int, EventChange]] = []
        if len(hot):
            active = self._hysteresis(hot, start, stop)
            self._active[hot] = active[-1]
            ends = self._spans[:stop, 1].tolist()
            for run in self._runs(hot, active, start, stop):
                changes += self._sound(run, ends) if run.sounds else self._pause(run, ends)
        self._until = float(self._spans[stop - 1, 1])
        forgotten = max(0, stop - self._half)
        self._scores, self._spans = self._scores[forgotten:].copy(), self._spans[forgotten:].copy()
        self._decided = stop - forgotten
        return [change for _, _, change in sorted(changes, key=lambda item: item[:2])]

    def _in_progress(self) -> NDArray[np.bool_]:
        mask = np.zeros(len(self._labels), dtype=bool)
        mask[list(self._progress)] = True
        return mask

    def _hysteresis(self, hot: NDArray[np.intp], start: int, stop: int) -> NDArray[np.bool_]:
        """Return in which frames from `start` to `stop` the `hot` classes sound: bool, shape (frames, hot)."""
        scores = self._scores[:, hot]
        rises = _median_reaches(scores, self._on[hot], self._half, start, stop)
        falls = ~_median_reaches(scores, self._off[hot], self._half, start, stop)
        # A frame between the thresholds is as the last frame outside them was; row 0 is the frame before `start`.
        outside = np.where(rises | falls, np.arange(1, stop - start + 1)[:, None], 0)
        state = np.concatenate([self._active[hot][None], rises])
        return np.take_along_axis(state, np.maximum.accumulate(outside, axis=0), axis=0)

    def _runs(self, hot: NDArray[np.intp], active: NDArray[np.bool_], start: int, stop: int) -> Iterator[_Run]:
        """Cut the frames of each hot class where it begins or ceases to sound."""
        flat = active.T.ravel()  # class after class
        cuts = np.append(True, flat[1:] != flat[:-1])
        cuts[:: stop - start] = True
        first = np.flatnonzero(cuts)
        peaks = np.maximum.reduceat(self._scores[start:stop, hot].T.ravel(), first)
        columns, starts = np.divmod(first, stop - start)
        starts += start
        stops = starts + np.diff(first, append=len(flat))
        values = (hot[columns], starts, stops, flat[first], peaks)
        return map(_Run, *(value.tolist() for value in values))

    def _sound(self, run: _Run, ends: list[float]) -> Iterator[tuple[int, int, EventChange]]:
        """Let the event of a run grow, and announce it once it is long enough."""
        progress = self._progress.get(run.column)
        if progress is None:
            progress = self._progress[run.column] = _Progress(onset=float(self._spans[run.start, 0]))
        progress.score = max(progress.score, progress.gap_score)
        if not progress.announced:
            enough = bisect_left(ends, progress.onset + self._enough_seconds, run.start, run.stop)
            if enough < run.stop:
                heard = self._scores[run.start : enough + 1, run.column]
                progress.score = max(progress.score, float(heard.max()))
                progress.offset = ends[enough]
                progress.announced = True
                yield enough, run.column, progress.change("open", self._labels[run.column])
        progress.score = max(progress.score, run.peak)
        progress.offset = ends[run.stop - 1]

    def _pause(self, run: _Run, ends: list[float]) -> Iterator[tuple[int, int, EventChange]]:
        """Close the event before a run of silence once the gap is too wide to merge."""
        progress = self._progress.get(run.column)
        if progress is None:
            return
        progress.gap_score = max(progress.gap_score, run.peak)
        apart = bisect_left(ends, progress.offset + self._apart_seconds, run.start, run.stop)
        if apart < run.stop:
            del self._progress[run.column]
            if progress.announced:
                yield apart, run.column, progress.change("close", self._labels[run.column])


def find_events(
    scores: NDArray[np.float32],
    edges: NDArray[np.float64],
    rule: DecisionRule,
    labels: Sequence[Label],
    frame_hop_seconds: float,
) -> tuple[Event, ...]:
    """Return the events of a whole signal, by onset: what `EventTracker` closes when it is fed with all of it.

    Parameters are those of `EventTracker` and of its `push`.
    """
    tracker = EventTracker(rule, labels, frame_hop_seconds)
    changes = []
    for start in range(0, len(scores), BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, len(scores))
        changes += tracker.push(scores[start:stop], edges[start : stop + 1])
    return closed_events([*changes, *tracker.finish()])


def closed_events(changes: Iterable[EventChange]) -> tuple[Event, ...]:
    """Return the events that closed, by onset; those of one onset by offset, then id."""
    events = (change.event for change in changes if change.kind == "close")
    return tuple(sorted(events, key=lambda event: (event.onset, event.offset, event.id)))


def _thresholds(rule: DecisionRule, labels: Sequence[Label]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the on and off threshold of each label, in the scores' own type so that 0.7 reaches 0.7."""
    rules = [rule.of(label.id) for label in labels]
    return np.array([r.on for r in rules], dtype=np.float32), np.array([r.off for r in rules], dtype=np.float32)


def _median_reaches(
    scores: NDArray[np.float32], threshold: NDArray[np.float32], half: int, start: int, stop: int
) -> NDArray[np.bool_]:
    """Return where the running median of `scores` is at or above `threshold`, for the frames `start` to `stop`.

    It is where more than half of the window is: a running count answers that in one pass, however long the window.
    """
    counts = np.zeros((len(scores) + 1, scores.shape[1]), dtype=np.int64)
    np.cumsum(scores >= threshold, axis=0, out=counts[1:])
    frames = np.arange(start, stop)
    left, right = np.maximum(frames - half, 0), np.minimum(frames + half + 1, len(scores))
    return 2 * (counts[right] - counts[left]) > (right - left)[:, None]
