"""Unknown sound in time: events of none of the classes, which lie between those of classes and never beside one."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from earmark.inference.events import EventChange, EventTracker
from earmark.inference.novelty import OFF_SHARE
from earmark.model.card import NONE_OF_THESE, ClassRule, DecisionRule

SHORTEST_SECONDS = 1.0
"""An event of unknown sound is at least this long, and two frames: what is shorter is the seam between two classes."""


class UnknownTracker:
    """Turns novelty into events of `NONE_OF_THESE` wherever no event of a class is.

    What lies between two events of classes is a signal of its own, to which the rule of all events is applied: an event
    opens at the threshold and closes below `OFF_SHARE` of it. So none reaches into an event of a class, or over one.

    Frames wait until it is settled whether they are in an event of a class. Memory is constant, as that of
    `EventTracker`: what waits is no longer than the rule's gaps and durations.

    Parameters
    ----------
    rule : DecisionRule
        Smoothing and gaps; its shortest event where that is longer than `SHORTEST_SECONDS` and two frames.
    threshold : float
        Novelty in [0, 1].
    frame_hop_seconds : float
        What one frame stands for, > 0.
    """

    def __init__(self, rule: DecisionRule, threshold: float, frame_hop_seconds: float) -> None:
        own = replace(
            rule,
            min_duration_seconds=max(rule.min_duration_seconds, SHORTEST_SECONDS, 2 * frame_hop_seconds),
            classes={NONE_OF_THESE.id: ClassRule(threshold, OFF_SHARE * threshold)},
        )
        self._tracker = EventTracker(own, (NONE_OF_THESE,), frame_hop_seconds)
        self._novelty: NDArray[np.float32]
        self._reset()

    def push(
        self,
        novelty: NDArray[np.float32],
        edges: NDArray[np.float64],
        changes: Iterable[EventChange],
        settled_seconds: float,
    ) -> list[EventChange]:
        """Take the next frames, and return what can be said of all so far.

        Parameters
        ----------
        novelty : ndarray of float32, shape (frames,)
        edges : ndarray of float64, shape (frames + 1,)
            Seconds, as `EventTracker.push` takes them.
        changes : iterable of EventChange
            What these frames changed about events of classes.
        settled_seconds : float
            `EventTracker.settled_seconds` of these.
        """
        self._novelty = np.concatenate([self._novelty, novelty])
        self._spans += pairwise(edges.tolist())
        for change in changes:
            offset = change.event.offset if change.kind == "close" else np.inf
            self._classes[change.event.id, change.event.onset] = offset
        return self._decide(settled_seconds)

    def finish(self, changes: Iterable[EventChange], end_seconds: float | None = None) -> list[EventChange]:
        """End the signal, with the last changes of events of classes; see `EventTracker.finish`."""
        last = self.push(np.empty(0, np.float32), np.zeros(1), changes, np.inf)
        last += self._tracker.finish(end_seconds)
        self._reset()
        return last

    def _reset(self) -> None:
        self._novelty = np.empty(0, np.float32)
        self._spans: list[tuple[float, float]] = []  # left and right edge of each frame that waits
        self._classes: dict[tuple[str, float], float] = {}  # the offset of an event by id and onset

    def _decide(self, settled_seconds: float) -> list[EventChange]:
        """Pass on the frames that are in no event of a class, and end the signal where one begins."""
        settled = [span for span in self._spans if span[1] <= settled_seconds]
        changes, start = [], 0
        for in_class, frames in groupby(settled, self._is_in_class):
            spans = np.array(list(frames))
            if in_class:
                changes += self._tracker.finish()
            else:
                scores = self._novelty[start : start + len(spans), None]
                changes += self._tracker.push(scores, np.append(spans[:, 0], spans[-1, 1]))
            start += len(spans)
        self._novelty, self._spans = self._novelty[start:], self._spans[start:]
        passed = settled[-1][1] if settled else -np.inf
        self._classes = {event: offset for event, offset in self._classes.items() if offset > passed}
        return changes

    def _is_in_class(self, span: tuple[float, float]) -> bool:
        return any(onset <= span[0] and span[1] <= offset for (_, onset), offset in self._classes.items())
