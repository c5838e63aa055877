"""One pass of a model over one recording: decode, cut, score, in order and in constant memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.audio.check import short_finding
from earmark.audio.decode import AudioReader, Source, open_audio
from earmark.inference.parallel import ordered_map
from earmark.inference.timeline import Segment, Segmenter, frame_edges
from earmark.model.backends import Backend, Outputs


class Scan:
    """Outputs of a model along a recording; iterate it once, then ask for `facts`.

    Parameters
    ----------
    backend : Backend
        The loaded model.
    source : path, bytes, binary file or (array, rate)
        The recording.
    threads : int
        Segments scored side by side.
    start, end : float
        Seconds; only what lies between is analysed. None for the end of the recording.
    """

    def __init__(self, backend: Backend, source: Source, *, threads: int, start: float, end: float | None) -> None:
        self._backend, self._source, self._threads = backend, source, threads
        self._start, self._end = start, end
        self._reader: AudioReader | None = None

    def __iter__(self) -> Iterator[tuple[NDArray[np.float64], Outputs]]:
        """Yield the edges of each segment's frames, in seconds, and the model's outputs for it (a batch of one)."""
        card = self._backend.card
        with open_audio(self._source, card.sample_rate, start=self._start, end=self._end) as self._reader:
            for segment, outputs in ordered_map(self._score, self._segments(self._reader), self._threads):
                edges = frame_edges(card, segment.first_frame, segment.frames, start=self._start)
                yield np.minimum(edges, self.end_seconds), outputs  # the last frame reaches beyond the sound

    def _score(self, segment: Segment) -> tuple[Segment, Outputs]:
        return segment, self._backend.run(segment.waveform[None])

    def _segments(self, reader: AudioReader) -> Iterator[Segment]:
        segmenter = Segmenter(self._backend.card)
        for block in reader:
            yield from segmenter.push(block)
        yield from segmenter.finish()

    @property
    def end_seconds(self) -> float:
        """Where on the timeline the analysed sound ends; known once everything was read."""
        return self._start + (self._reader.seconds if self._reader else 0.0)

    def facts(self, **parameters: Any) -> dict[str, Any]:
        """Return what every result carries, as keyword arguments of a `Result`; known once everything was read."""
        assert self._reader is not None, "facts are known after the scan"
        card = self._backend.card
        short = short_finding(self._reader.seconds, card.frame_length_seconds)
        findings = [*self._reader.findings, *([short] if short else [])]
        return {
            "file": self._reader.name,
            "model": card.name,
            "model_version": card.version,
            "calibrated": card.calibrated,
            "seconds": self._reader.seconds,
            "notes": tuple(str(finding) for finding in findings),
            "parameters": {**parameters, "start": self._start, "end": self._end},
        }
