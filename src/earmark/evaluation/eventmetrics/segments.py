"""Segment-based measures: second by second, which labels are there and which were found.

Mesaros, Heittola and Virtanen, "Metrics for polyphonic sound event detection", Applied Sciences 6 (2016); the figures
are those of sed_eval.
"""

import math
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError
from earmark.evaluation.eventmetrics.counts import (
    TOLERANCE_SECONDS,
    Counts,
    EventMetrics,
    Span,
    checked_pairs,
    labels_of,
)


def match_segments(
    reference: Sequence[Iterable[Span]],
    estimated: Sequence[Iterable[Span]],
    durations_seconds: Sequence[float],
    *,
    segment_seconds: float = 1.0,
    labels: Iterable[Hashable] | None = None,
) -> EventMetrics:
    """Compare events segment by segment: a label is in a segment that one of its events touches.

    Parameters
    ----------
    reference, estimated : sequence of iterable of (label, onset, offset)
        What is there and what was found, for each recording.
    durations_seconds : sequence of float
        Of the recordings.
    segment_seconds : float
        Above 0.
    labels : iterable, optional
        Count these alone; by default all that occur.

    Returns
    -------
    EventMetrics
        With the error rate: a miss and a false alarm in one segment are one substitution.

    Raises
    ------
    OptionError
        If lengths differ, an event ends before it begins, or the segment has no length.
    """
    pairs = checked_pairs(reference, estimated)
    if segment_seconds <= 0 or len(durations_seconds) != len(pairs):
        raise OptionError(
            f"segments of {segment_seconds} s, {len(durations_seconds)} durations for {len(pairs)} recordings: "
            "segments are longer than 0 and every recording has a duration"
        )
    names = labels_of(pairs, labels)
    columns = {label: column for column, label in enumerate(names)}
    totals, errors = np.zeros((3, len(names)), np.int64), 0
    for pair, duration in zip(pairs, durations_seconds, strict=True):
        longest = max([duration, *(span[2] for spans in pair for span in spans)])
        count = math.ceil(longest / segment_seconds - TOLERANCE_SECONDS)
        there, found = (_roll(spans, columns, count, segment_seconds) for spans in pair)
        totals += [(there & found).sum(axis=0), (found & ~there).sum(axis=0), (there & ~found).sum(axis=0)]
        alarms, misses = (found & ~there).sum(axis=1), (there & ~found).sum(axis=1)
        errors += int(np.maximum(alarms, misses).sum())  # of each pair of them one, a substitution
    present = int(totals[0].sum() + totals[2].sum())
    counts = {label: Counts(*(int(part) for part in totals[:, column])) for label, column in columns.items()}
    return EventMetrics(counts, errors / present if present else math.nan)


def _roll(spans: Iterable[Span], columns: dict[Hashable, int], count: int, segment_seconds: float) -> NDArray[np.bool_]:
    """Return which labels each segment has: bool, shape (segments, labels)."""
    roll = np.zeros((count, len(columns)), bool)
    for label, onset, offset in spans:
        if label in columns:
            first = math.floor(onset / segment_seconds + TOLERANCE_SECONDS)
            last = math.ceil(offset / segment_seconds - TOLERANCE_SECONDS)
            roll[first:last, columns[label]] = True
    return roll
