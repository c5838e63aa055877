"""How well events are found: by their edges, second by second, and over all thresholds at once.

Everywhere the events of a recording are a sequence of ``(label, onset, offset)``, times in seconds; several recordings
are a sequence of those. Labels are names or numbers, whatever the caller uses, as long as both sides use the same.
What cannot be said, such as the recall of a label without events, is NaN, and means leave it out. NumPy is all that is
needed.
"""

from earmark.evaluation.eventmetrics.counts import Counts, EventMetrics, Span
from earmark.evaluation.eventmetrics.matching import Collar, match_events
from earmark.evaluation.eventmetrics.polyphonic import PSDS1, PSDS2, Psds, PsdsSettings, psds
from earmark.evaluation.eventmetrics.segments import match_segments

__all__ = [
    "PSDS1",
    "PSDS2",
    "Collar",
    "Counts",
    "EventMetrics",
    "Psds",
    "PsdsSettings",
    "Span",
    "match_events",
    "match_segments",
    "psds",
]
