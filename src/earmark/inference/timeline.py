"""Cutting sound into segments, and where each frame lies in time.

A frame depends on `frame_length` samples and on nothing else (locality), so a recording may be cut anywhere between two
frames: the segments' frames, laid end to end, are the frames of the whole. A file and a stream differ only in how many
frames a segment waits for.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.model.card import ModelCard

Waveform = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of sound that is scored at once.

    Parameters
    ----------
    first_frame : int
        Number of its first frame in the recording.
    frames : int
        How many frames the model gives for it.
    waveform : ndarray of float32, shape (samples,)
    """

    first_frame: int
    frames: int
    waveform: Waveform


class Segmenter:
    """Cuts blocks of any size into segments.

    Parameters
    ----------
    card : ModelCard
        Frame length and hop.
    eager : bool
        For a stream: a segment for every block that completes a frame. Otherwise segments of `card.segment_frames`.
    """

    def __init__(self, card: ModelCard, *, eager: bool = False) -> None:
        self._length, self._hop = card.frame_length, card.frame_hop
        self._frame_count = card.frame_count
        self._most_frames = card.segment_frames
        self._eager = eager
        self._first_frame = 0
        self._pending: list[Waveform] = []  # joined when a segment is complete, so that tiny blocks cost little
        self._pending_samples = 0

    def push(self, block: Waveform) -> Iterator[Segment]:
        """Take a block of samples and yield the segments that it completes."""
        self._pending.append(block)
        self._pending_samples += len(block)
        complete = 1 + (self._pending_samples - self._length) // self._hop
        while complete >= (1 if self._eager else self._most_frames):
            frames = min(complete, self._most_frames)
            yield self._cut(frames, self._length + (frames - 1) * self._hop)
            complete -= frames

    def finish(self) -> Iterator[Segment]:
        """Yield what is left: its last frame is incomplete and the model pads it with zeros."""
        covered = self._length - self._hop if self._first_frame else 0  # the overlap that earlier frames have seen
        if self._pending_samples > covered:
            yield self._cut(self._frame_count(self._pending_samples), self._pending_samples)

    def _cut(self, frames: int, samples: int) -> Segment:
        sound = self._pending[0] if len(self._pending) == 1 else np.concatenate(self._pending)
        rest = sound[frames * self._hop :]
        self._pending, self._pending_samples = [rest], len(rest)
        segment = Segment(self._first_frame, frames, sound[:samples])
        self._first_frame += frames
        return segment


def frame_edges(card: ModelCard, first_frame: int, frames: int, *, start: float = 0.0) -> NDArray[np.float64]:
    """Return where frames begin and end on the timeline.

    A frame stands for one hop around the centre of the stretch that it depends on; the very first also for what lies
    before. So frames lie end to end and an event's edges are not biased to either side.

    Parameters
    ----------
    card : ModelCard
        Frame length and hop.
    first_frame, frames : int
        Which frames.
    start : float
        Seconds at which the recording's analysis began.

    Returns
    -------
    ndarray of float64, shape (frames + 1,)
        Seconds.
    """
    margin = (card.frame_length_seconds - card.frame_hop_seconds) / 2
    frame_numbers = np.arange(first_frame, first_frame + frames + 1, dtype=np.float64)
    edges: NDArray[np.float64] = start + margin + card.frame_hop_seconds * frame_numbers
    if first_frame == 0:
        edges[0] = start
    return edges
