"""The polyphonic sound detection score: how well events are found over all thresholds, exactly.

Bilen et al., "A framework for the robust evaluation of sound event detection", ICASSP 2020, computed at every threshold
at which anything changes, as Ebbers, Serizel and Haeb-Umbach, "Threshold-independent evaluation of sound event
detection scores", ICASSP 2022. A detection is a run of frames that reach the threshold; no smoothing, no hysteresis.
"""

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earmark.errors import OptionError
from earmark.evaluation.eventmetrics.counts import TOLERANCE_SECONDS, Span

Floats = NDArray[np.float64]

_HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PsdsSettings:
    """What counts as found, and what false alarms cost.

    Parameters
    ----------
    dtc : float
        Detection tolerance: a detection is right if at least so much of it lies on events of its label, in (0, 1].
    gtc : float
        Ground-truth intersection: an event is found if right detections cover at least so much of it, in (0, 1].
    cttc : float
        Cross-trigger tolerance: a wrong detection is a cross trigger if at least so much of it lies on events of
        another label, in (0, 1].
    alpha_ct : float
        Weight of cross triggers in the effective false-positive rate, at least 0.
    alpha_st : float
        Weight of the spread over labels, which is taken off the mean, at least 0.
    e_max : float
        Effective false positives an hour up to which the area counts, above 0.
    """

    dtc: float = 0.7
    gtc: float = 0.7
    cttc: float = 0.3
    alpha_ct: float = 0.0
    alpha_st: float = 1.0
    e_max: float = 100.0

    def __post_init__(self) -> None:
        shares = (self.dtc, self.gtc, self.cttc)
        if not all(0.0 < share <= 1.0 for share in shares) or min(self.alpha_ct, self.alpha_st) < 0 or self.e_max <= 0:
            raise OptionError(
                f"{self} is not allowed: dtc, gtc and cttc lie above 0 and up to 1, "
                "alpha_ct and alpha_st are 0 or more, e_max is above 0"
            )


PSDS1 = PsdsSettings(dtc=0.7, gtc=0.7, alpha_ct=0.0, alpha_st=1.0, e_max=100.0)
"""DCASE 2021 task 4, scenario 1: events must be located well."""

PSDS2 = PsdsSettings(dtc=0.1, gtc=0.1, cttc=0.3, alpha_ct=0.5, alpha_st=1.0, e_max=100.0)
"""DCASE 2021 task 4, scenario 2: labels must not be confused."""


@dataclass(frozen=True, slots=True, eq=False)
class Psds:
    """A polyphonic sound detection score.

    Parameters
    ----------
    score : float
        Area under the curve up to `e_max`, over `e_max`: 0 to 1; NaN where no label has events.
    of_label : dict
        The same of each label by itself; NaN for one without events, which the score leaves out.
    false_positive_rates, true_positive_ratios : ndarray of float64, shape (points,)
        The curve, a staircase: effective false positives an hour, and the effective share of events that are found.
    """

    score: float
    of_label: dict[Hashable, float]
    false_positive_rates: Floats
    true_positive_ratios: Floats

    def to_dict(self) -> dict[str, Any]:
        """Return score and labels as JSON-ready data, without the curve; what is NaN becomes None."""
        return {
            "score": _plain(self.score),
            "labels": {str(label): _plain(value) for label, value in self.of_label.items()},
        }


class _Curve(NamedTuple):
    """A staircase: from each rate on, the ratio of the same place."""

    rates: Floats
    ratios: Floats

    def at(self, rates: Floats) -> Floats:
        places = np.searchsorted(self.rates, rates, side="right")
        return np.concatenate([[0.0], self.ratios])[places]

    def area(self, limit: float) -> float:
        edges = np.append(self.rates, limit)
        return float(np.sum(np.diff(edges) * self.ratios) / limit)


def psds(
    reference: Sequence[Iterable[Span]],
    frames: Sequence[tuple[ArrayLike, ArrayLike]],
    labels: Sequence[Hashable],
    *,
    settings: PsdsSettings = PSDS1,
    durations_seconds: Sequence[float] | None = None,
) -> Psds:
    """Compute the polyphonic sound detection score.

    Parameters
    ----------
    reference : sequence of iterable of (label, onset, offset)
        What is there, for each recording. Events of one label that overlap count as one.
    frames : sequence of (edges, scores)
        For each recording: ``edges`` of shape (frames + 1,), seconds, and ``scores`` of shape (frames, labels).
    labels : sequence
        The columns of the scores.
    settings : PsdsSettings
    durations_seconds : sequence of float, optional
        Of the recordings; by default up to their last edge.

    Raises
    ------
    OptionError
        If shapes or lengths do not fit, or an event has a label that is no column.
    """
    recordings = _checked(reference, frames, labels)
    durations = [recording.edges[-1] for recording in recordings] if durations_seconds is None else durations_seconds
    hours = float(np.sum(durations)) / _HOUR_SECONDS
    events = np.array([sum(len(each.events[column]) for each in recordings) for column in range(len(labels))], np.int64)
    known = np.flatnonzero(events)
    lengths = np.sum([recording.covered[-1] for recording in recordings], axis=0)
    curves: dict[int, _Curve] = {}
    for column in known.tolist():
        others = known[known != column] if settings.alpha_ct else known[:0]
        parts = [_changes(recording, column, others, settings) for recording in recordings]
        counts = _accumulated(np.concatenate(parts))
        rates = counts[:, 1] / hours if hours else counts[:, 1]
        if len(others):
            crossed = counts[:, 2:] * _HOUR_SECONDS / np.maximum(lengths[others], TOLERANCE_SECONDS)
            rates = rates + settings.alpha_ct * crossed.mean(axis=1)
        curves[column] = _staircase(rates, counts[:, 0] / events[column], settings.e_max)
    return _psds(labels, curves, settings)


def _psds(labels: Sequence[Hashable], curves: dict[int, _Curve], settings: PsdsSettings) -> Psds:
    of_label = {
        label: curves[column].area(settings.e_max) if column in curves else math.nan
        for column, label in enumerate(labels)
    }
    if not curves:
        return Psds(math.nan, of_label, np.zeros(0), np.zeros(0))
    rates = np.unique(np.concatenate([curve.rates for curve in curves.values()]))
    ratios = np.stack([curve.at(rates) for curve in curves.values()])
    effective = np.maximum(ratios.mean(axis=0) - settings.alpha_st * ratios.std(axis=0), 0.0)
    return Psds(_Curve(rates, effective).area(settings.e_max), of_label, rates, effective)


@dataclass(frozen=True, eq=False)
class _Recording:
    """One recording: scores of shape (frames, labels), edges, and of each label its events of shape (events, 2)."""

    edges: Floats
    scores: Floats
    events: list[Floats]

    @cached_property
    def covered(self) -> Floats:
        """How much of each label's events lies before each edge, and all of it in a last row: (edges + 1, labels)."""
        edges = np.append(self.edges, np.inf)
        return np.stack([_before(edges, spans).sum(axis=1) for spans in self.events], axis=1)


def _checked(
    reference: Sequence[Iterable[Span]], frames: Sequence[tuple[ArrayLike, ArrayLike]], labels: Sequence[Hashable]
) -> list[_Recording]:
    if len(reference) != len(frames):
        raise OptionError(f"events of {len(reference)} recordings and frames of {len(frames)}: give one for one")
    recordings = []
    for number, (spans, (edges, scores)) in enumerate(zip(reference, frames, strict=True)):
        there, times, values = list(spans), np.asarray(edges, np.float64), np.asarray(scores, np.float64)
        if values.shape != (len(times) - 1, len(labels)):
            raise OptionError(
                f"recording {number}: scores of shape {values.shape} do not fit {len(times)} edges and "
                f"{len(labels)} labels; give (frames, labels) and frames + 1 edges"
            )
        unknown = [label for label, _, _ in there if label not in labels]
        if unknown:
            raise OptionError(f"recording {number} has an event of {unknown[0]!r}, which is no column of the scores")
        recordings.append(_Recording(times, values, [_merged(there, label) for label in labels]))
    return recordings


def _merged(spans: Iterable[Span], label: Hashable) -> Floats:
    """Return onsets and offsets of a label in order, overlapping ones as one: shape (events, 2)."""
    merged: list[list[float]] = []
    for onset, offset in sorted((onset, offset) for name, onset, offset in spans if name == label):
        if merged and onset <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], offset)
        else:
            merged.append([onset, offset])
    return np.array(merged, np.float64).reshape(-1, 2)


def _changes(recording: _Recording, column: int, others: NDArray[np.intp], settings: PsdsSettings) -> Floats:
    """Return how the counts of one label in one recording change when the threshold comes down to each score.

    Returns
    -------
    ndarray of float64, shape (distinct scores, 3 + others)
        The score, then changes of events found, false positives and cross triggers with each other label.
    """
    edges, scores, events = recording.edges, recording.scores[:, column], recording.events[column]
    thresholds = np.unique(scores)[::-1]
    first, last, births, deaths = _detections(scores)
    lengths = edges[last] - edges[first]
    before = _before(edges, events)
    on_events = before[last] - before[first]
    right = on_events.sum(axis=1) >= settings.dtc * lengths - TOLERANCE_SECONDS
    wrong = [~right[:, None]]
    if len(others):
        elsewhere = (recording.covered[last] - recording.covered[first])[:, others]
        wrong.append(~right[:, None] & (elsewhere >= settings.cttc * lengths[:, None] - TOLERANCE_SECONDS))
    each = np.concatenate([*wrong, np.where(right[:, None], on_events, 0.0)], axis=1)
    changes = np.zeros((len(thresholds) + 1, each.shape[1]))  # the last row is below all scores, where none dies
    np.add.at(changes, np.searchsorted(-thresholds, -births), each)
    np.subtract.at(changes, np.searchsorted(-thresholds, -deaths), each)
    needed = settings.gtc * (events[:, 1] - events[:, 0]) - TOLERANCE_SECONDS
    found = (np.cumsum(changes[:-1, 1 + len(others) :], axis=0) >= needed).sum(axis=1)
    return np.column_stack([thresholds, np.diff(found, prepend=0), changes[:-1, : 1 + len(others)]])


def _before(edges: Floats, spans: Floats) -> Floats:
    """Return how much of each span lies before each edge: shape (edges, spans)."""
    before: Floats = np.clip(edges[:, None], spans[:, 0], spans[:, 1]) - spans[:, 0]
    return before


def _detections(scores: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, Floats]:
    """Return every detection that any threshold gives: there are no more of them than frames.

    The detection around a frame, at its score as the threshold, reaches to the next lower scores on both sides. It is
    there for thresholds from its birth down to its death, the higher of those two, where it becomes part of a longer
    one.

    Returns
    -------
    first, last : ndarray of int
        Edges.
    births, deaths : ndarray of float64
        Scores; the death of the last detection is minus infinity.
    """
    values = [*scores.tolist(), -math.inf]
    found: list[tuple[int, int, float, float]] = []
    rising: list[int] = []  # frames whose detections have not ended, scores never falling
    for frame, value in enumerate(values):
        while rising and values[rising[-1]] > value:
            peak = values[rising.pop()]
            left = rising[-1] if rising else -1
            if left < 0 or values[left] < peak:  # else it is the one around its equal
                found.append((left + 1, frame, peak, max(value, values[left])))
        rising.append(frame)
    first, last, births, deaths = zip(*found, strict=True) if found else ((), (), (), ())
    return np.array(first, np.intp), np.array(last, np.intp), np.array(births, float), np.array(deaths, float)


def _accumulated(changes: Floats) -> Floats:
    """Return counts at every threshold of any recording, from none found on: shape (thresholds + 1, counts)."""
    ranked = changes[np.argsort(-changes[:, 0], kind="stable")]
    last = np.flatnonzero(np.append(np.diff(ranked[:, 0]), 1.0)[: len(ranked)])
    counts = np.cumsum(ranked[:, 1:], axis=0)[last]
    return np.concatenate([np.zeros((1, counts.shape[1])), counts])


def _staircase(rates: Floats, ratios: Floats, limit: float) -> _Curve:
    """Return the best ratio that is reached at each rate or below, up to a limit."""
    order = np.lexsort((ratios, rates))
    rates, best = rates[order], np.maximum.accumulate(ratios[order])
    last = np.append(np.flatnonzero(np.diff(rates)), len(rates) - 1)
    kept = last[rates[last] <= limit]
    return _Curve(rates[kept], best[kept])


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
