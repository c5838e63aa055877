"""A whole recording at the resolution of a picture, in constant memory: envelope, spectrogram, class scores, events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from earmark.audio.decode import Source, open_audio
from earmark.features.logmel import LogMel, picture_settings
from earmark.inference.classifier import Classifier
from earmark.inference.eventfinder import EventFinder
from earmark.inference.events import EventChange, closed_events
from earmark.inference.novelty import NoveltyMode
from earmark.inference.results import Event, EventsResult
from earmark.inference.scan import Scan
from earmark.inference.timeline import frame_edges
from earmark.model.card import DecisionRule, Label

__all__ = ["Columns", "Overview", "overview"]

MOST_COLUMNS = 2000
"""Time steps kept of each part, at most: more than a page has dots to print them."""

FLOOR_DB = -80.0
"""What lies further below the loudest band is as good as silent."""


Matrix: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Overview:
    """What a picture of a recording shows. Times are seconds of the recording; every part covers `start` to `end`.

    Parameters
    ----------
    result : EventsResult
        The events, and whence they come.
    start, end : float
        What was analysed.
    sound_edges : ndarray of float64, shape (columns + 1,)
        The columns of `envelope` and `spectrogram_db`.
    envelope : ndarray of float32, shape (columns, 2)
        Lowest and highest sample.
    spectrogram_db : ndarray of float, shape (columns, bands)
        Mean power, 0 for the highest, at least `FLOOR_DB`.
    settings : LogMel
        Of the spectrogram's bands.
    labels : tuple of Label
        The columns of `scores`; where unknown sound is refused, "none of these" is one, with novelty as its score.
    score_edges : ndarray of float64, shape (steps + 1,)
    scores : ndarray of float32, shape (steps, labels)
        Highest score in each step.
    """

    result: EventsResult
    start: float
    end: float
    sound_edges: Matrix
    envelope: NDArray[np.float32]
    spectrogram_db: Matrix
    settings: LogMel
    labels: tuple[Label, ...]
    score_edges: Matrix
    scores: NDArray[np.float32]


def overview(
    classifier: Classifier,
    source: Source,
    *,
    rule: DecisionRule | None = None,
    allow: Sequence[str] = (),
    deny: Sequence[str] = (),
    start: float = 0.0,
    end: float | None = None,
    novelty: NoveltyMode = "reject",
    novelty_threshold: float | None = None,
) -> Overview:
    """Look at a recording as a whole. It is read twice, so a source that cannot be opened again will not do.

    Parameters
    ----------
    classifier : Classifier
        Gives the scores; its sample rate is that of the spectrogram, which so shows what the model hears.
    source, rule, allow, deny, start, end, novelty, novelty_threshold
        As for `Classifier.events`.

    Raises
    ------
    AudioError, LabelError, OptionError
        As `Classifier.events`.
    """
    finder = EventFinder(
        classifier.backend, rule=rule, allow=allow, deny=deny, novelty=novelty, novelty_threshold=novelty_threshold
    )
    scan = Scan(classifier.backend, source, threads=classifier.threads, start=start, end=end)
    peaks, events = _scored(scan, finder)
    sound = _sound(source, classifier.card.sample_rate, start, end)
    steps = [frame_edges(classifier.card, row, 0, start=start)[0] for row in range(0, peaks.rows, peaks.span)]
    return Overview(
        result=EventsResult(events=events, **scan.facts(**finder.parameters)),
        start=start,
        end=scan.end_seconds,
        sound_edges=np.append(start + sound.onsets, scan.end_seconds),
        envelope=sound.envelope.values * np.array([-1, 1], np.float32),
        spectrogram_db=_decibels(sound.power.values / sound.power.counts[:, None]),
        settings=sound.settings,
        labels=finder.heard,
        score_edges=np.array([*steps, scan.end_seconds]),
        scores=peaks.values,
    )


def _scored(scan: Scan, finder: EventFinder) -> tuple["Columns", tuple[Event, ...]]:
    """Return the highest scores in time, and the events."""
    peaks = Columns(np.maximum, len(finder.heard))
    changes: list[EventChange] = []
    for edges, outputs in scan:
        peaks.push(finder.heard_scores(outputs))
        changes += finder.push(outputs, edges)
    return peaks, closed_events([*changes, *finder.finish(scan.end_seconds)])


def _sound(source: Source, sample_rate_hz: int, start: float, end: float | None) -> "_Sound":
    sound = _Sound(sample_rate_hz)
    with open_audio(source, sample_rate_hz, start=start, end=end) as reader:
        for block in reader:
            sound.push(block)
    sound.finish()
    return sound


def _decibels(power: Matrix) -> Matrix:
    """Return power in dB relative to its highest value, no lower than `FLOOR_DB`."""
    highest = power.max() or 1.0
    return np.asarray(10 * np.log10(np.maximum(power / highest, 10 ** (FLOOR_DB / 10))))


class Columns:
    """Rows of numbers, however many, kept as a bounded number of columns: when they are full, neighbours are merged.

    Parameters
    ----------
    merge : {numpy.maximum, numpy.add}
        How rows become one column.
    width : int
        Numbers in a row.
    most : int
        Columns to keep, even. Once there are as many rows, at least half as many columns are kept.

    Attributes
    ----------
    rows : int
        Taken so far.
    span : int
        Rows in each column but the last, which may have fewer.
    """

    def __init__(self, merge: np.ufunc, width: int, most: int = MOST_COLUMNS) -> None:
        self.rows, self.span = 0, 1
        self._merge = merge
        self._empty = 0.0 if merge is np.add else -np.inf
        self._values = np.full((most, width), self._empty, np.float32)

    def push(self, rows: NDArray[Any]) -> None:
        """Take rows, shape (rows, width)."""
        most = len(self._values)
        while len(rows):
            taken, rows = np.split(rows, [most * self.span - self.rows])
            columns = (self.rows + np.arange(len(taken))) // self.span
            first = np.flatnonzero(np.diff(columns, prepend=-1))
            merged = self._merge.reduceat(taken, first, axis=0)
            self._values[columns[first]] = self._merge(self._values[columns[first]], merged)
            self.rows += len(taken)
            if self.rows == most * self.span:
                self._values[: most // 2] = self._merge.reduce(self._values.reshape(most // 2, 2, -1), axis=1)
                self._values[most // 2 :] = self._empty
                self.span *= 2

    @property
    def counts(self) -> NDArray[np.intp]:
        """Rows in each column, shape (columns,)."""
        return np.minimum(self.span, self.rows - np.arange(0, self.rows, self.span))

    @property
    def values(self) -> NDArray[np.float32]:
        """What was kept, shape (columns, width)."""
        return self._values[: -(-self.rows // self.span)]


class _Sound:
    """Envelope and spectrogram of samples that come in blocks: a row each 10 ms."""

    def __init__(self, sample_rate_hz: int) -> None:
        self.settings = picture_settings(sample_rate_hz)
        self.envelope, self.power = Columns(np.maximum, 2), Columns(np.add, self.settings.bands)
        self._mel = self.settings.mel.astype(np.float32)
        # Zeros before the sound put the middle of each window over the middle of its row.
        self._lead = (self.settings.window_length - self.settings.hop_length) // 2
        self._pending = np.zeros(self._lead, np.float32)

    @property
    def onsets(self) -> Matrix:
        """Where the columns begin, in seconds since the first sample."""
        return np.arange(0, self.power.rows, self.power.span) * self.settings.hop_seconds

    def push(self, block: NDArray[np.float32]) -> None:
        self._pending = np.concatenate([self._pending, block])
        self._take(self.settings.frame_count(len(self._pending)))

    def finish(self) -> None:
        rows = -(-(len(self._pending) - self._lead) // self.settings.hop_length)
        self._pending = np.pad(self._pending, (0, self.settings.window_length))
        self._take(rows)

    def _take(self, rows: int) -> None:
        """Turn the first samples that are pending into so many rows."""
        if not rows:
            return
        hop, window = self.settings.hop_length, self.settings.window_length
        steps = self._pending[self._lead : self._lead + rows * hop].reshape(rows, hop)
        frames = sliding_window_view(self._pending, window)[: rows * hop : hop]
        spectrum = np.fft.rfft(frames * self.settings.window.astype(np.float32), self.settings.fft_size)
        self.power.push(np.square(np.abs(spectrum)).astype(np.float32) @ self._mel)
        self.envelope.push(np.stack([-steps.min(axis=1), steps.max(axis=1)], axis=1))
        self._pending = self._pending[rows * hop :]
