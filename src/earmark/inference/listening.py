"""The loop between a source of sound and a stream: nothing is waited for, and what was lost is said.

Reading goes on in a thread of its own, with a bounded queue behind it. A source that can wait, such as a pipe or a
file, waits while the queue is full. Live sound cannot: then all that is queued is given up at once, so that scores are
about now again and not about some seconds ago, and the gap is reported. Time runs on through a gap.
"""

import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from earmark.audio.check import Finding
from earmark.errors import NonFiniteSamplesError
from earmark.inference.events import EventChange
from earmark.inference.stream import Stream, StreamUpdate

__all__ = ["BlockSource", "Gap", "Listening", "Paced"]

QUEUE_SECONDS = 5.0
"""How much sound may wait to be scored."""

_POLL_SECONDS = 0.1  # a signal's handler runs between two looks at the queue

Block = NDArray[np.float32]


class BlockSource(Protocol):
    """Blocks of sound as they come: an `AudioReader`, a `PcmStream`, a `Microphone`.

    It may have the attributes `lost_seconds`, how much it has not heard so far, and `findings`, what it noticed.
    """

    @property
    def sample_rate_hz(self) -> int:
        """Of the blocks."""
        ...  # pragma: no cover - a protocol

    def __iter__(self) -> Iterator[Block]:
        """Yield float32 blocks of shape (samples,)."""
        ...  # pragma: no cover - a protocol


@dataclass(frozen=True, slots=True)
class Gap:
    """Sound that was not scored, from `onset` to `offset` in seconds since listening began, and why."""

    onset: float
    offset: float
    reason: str


class Listening:
    """Follows a source with a stream; iterate it once.

    Parameters
    ----------
    source : BlockSource
        Read in a thread of its own until it ends.
    open_stream : callable
        Takes the source's sample rate and returns a fresh `Stream`, at the beginning and after each gap.
    live : bool
        Whether the source cannot wait.
    duration_seconds : float, optional
        Listen no longer than this.
    queue_seconds : float
        How much sound may wait to be scored.

    Attributes
    ----------
    seconds : float
        Since listening began, gaps included.
    lost_seconds : float
        In gaps.
    stopped : bool
        Whether `stop` was called.
    """

    def __init__(
        self,
        source: BlockSource,
        open_stream: Callable[[int], Stream],
        *,
        live: bool,
        duration_seconds: float | None = None,
        queue_seconds: float = QUEUE_SECONDS,
    ) -> None:
        self._source, self._open_stream = source, open_stream
        self._rate_hz = source.sample_rate_hz
        self._queue = _BlockQueue(round(queue_seconds * self._rate_hz), live=live)
        duration_samples = math.inf if duration_seconds is None else duration_seconds * self._rate_hz
        self._limit = round(min(duration_samples, sys.maxsize))
        self._position = 0  # samples that were scored or lost
        self.lost_seconds = 0.0
        self.stopped = self._heard_to_its_end = False
        self._stream: Stream | None = None
        self._stream_begin_seconds = 0.0

    @property
    def seconds(self) -> float:  # noqa: D102 - see the class
        return self._position / self._rate_hz

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the source noticed, if it says such things, once it has ended by itself; nothing before."""
        return tuple(getattr(self._source, "findings", ())) if self._heard_to_its_end else ()

    def stop(self) -> None:
        """Stop listening: iteration ends with what was scored, and closes the events that are open. For signals."""
        self.stopped = True
        self._queue.stop()

    def pause(self) -> None:
        """Close the events that are open: the source has nothing for now. For the thread that the source runs in."""
        self._queue.put(None)

    def __iter__(self) -> Iterator[StreamUpdate | Gap]:
        """Yield an update for each block that completes a frame or changes an event, and the gaps.

        Times are seconds since listening began.

        Raises
        ------
        EarmarkError
            What the source raises, after the updates of all that came before.
        """
        threading.Thread(target=self._read, name="earmark listening", daemon=True).start()
        try:
            yield from self._follow()
        finally:
            self._queue.stop()  # whatever ended it, the thread ends too

    def _follow(self) -> Iterator[StreamUpdate | Gap]:
        while (queued := self._queue.get()) is not None:
            if queued.block is None:
                yield from self._close()
            else:
                yield from self._hear(queued.begin, queued.block, queued.reason)
        yield from self._close()
        if self._queue.stopped:
            return
        yield from self._skip_to(self._queue.end, self._queue.reason)
        if self._queue.error is not None:
            raise self._queue.error
        self._heard_to_its_end = self._queue.end < self._limit

    def _hear(self, begin: int, block: Block, reason: str) -> Iterator[StreamUpdate | Gap]:
        if begin > self._position:
            yield from self._close()
            yield from self._skip_to(begin, reason)
        if self._stream is None:
            self._stream, self._stream_begin_seconds = self._open_stream(self._rate_hz), self.seconds
        try:
            update = self._stream.feed(block)
        except NonFiniteSamplesError as error:
            yield from self._close()
            yield from self._skip_to(begin + len(block), str(error))
        else:
            self._position += len(block)
            yield from self._timed(update)

    def _close(self) -> Iterator[StreamUpdate]:
        if self._stream is not None:
            yield from self._timed(self._stream.finish())
            self._stream = None

    def _skip_to(self, position: int, reason: str) -> Iterator[Gap]:
        if position > self._position:
            gap = Gap(self.seconds, position / self._rate_hz, reason)
            self.lost_seconds += gap.offset - gap.onset
            self._position = position
            yield gap

    def _timed(self, update: StreamUpdate) -> Iterator[StreamUpdate]:
        """Yield an update, if it brings anything, with the times of listening instead of its stream's."""
        if len(update.scores) or update.changes:
            begin = self._stream_begin_seconds
            changes = tuple(_later(change, begin) for change in update.changes)
            yield replace(update, edges=update.edges + begin, changes=changes)

    def _read(self) -> None:
        """Fill the queue; this is the thread's work."""
        try:
            self._fill()
        except Exception as error:  # noqa: BLE001 - it is raised again where somebody can catch it
            self._queue.error = error
        self._queue.finish()

    def _fill(self) -> None:
        lost_before = 0.0
        for block in self._source:
            lost_seconds = getattr(self._source, "lost_seconds", 0.0)
            self._queue.skip(round((lost_seconds - lost_before) * self._rate_hz), "the source did not hear it")
            lost_before = lost_seconds
            if not self._queue.put(block[: max(0, self._limit - self._queue.end)]) or self._queue.end >= self._limit:
                return


class Paced:
    """A source played in real time, as a microphone would hear it."""

    def __init__(self, source: BlockSource) -> None:
        self._source = source

    @property
    def sample_rate_hz(self) -> int:
        """Of the source."""
        return self._source.sample_rate_hz

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of the source."""
        return tuple(getattr(self._source, "findings", ()))

    def __iter__(self) -> Iterator[Block]:
        """Yield each block when its last sample would be heard."""
        began, samples = time.monotonic(), 0
        for block in self._source:
            samples += len(block)
            time.sleep(max(0.0, began + samples / self.sample_rate_hz - time.monotonic()))
            yield block


@dataclass(frozen=True, slots=True)
class _Queued:
    """A block, the sample at which it begins, and why there is a gap before it, if there is; or a pause."""

    begin: int
    block: Block | None
    reason: str


class _BlockQueue:
    """Blocks between the thread that reads and the one that listens; samples are counted since listening began."""

    def __init__(self, most_samples: int, *, live: bool) -> None:
        self._most_samples, self._live = most_samples, live
        self._queued: deque[_Queued] = deque()
        self._samples = 0
        self._changed = threading.Condition()
        self._finished = self.stopped = False
        self.end = 0  # of what the source gave, or lost
        self.reason = ""
        self.error: Exception | None = None

    def put(self, block: Block | None) -> bool:
        """Add a block, or None for a pause; return False when nobody listens any more."""
        with self._changed:
            if not self._live:
                self._changed.wait_for(lambda: self.stopped or self._samples < self._most_samples)
            elif self._samples >= self._most_samples:
                self._queued.clear()
                self._samples, self.reason = 0, "this machine could not keep up"
            self._queued.append(_Queued(self.end, block, self.reason))
            size = 0 if block is None else len(block)
            self._samples += size
            self.end += size
            self._changed.notify_all()
            return not self.stopped

    def skip(self, samples: int, reason: str) -> None:
        """Let time run on over samples that the source has lost."""
        if samples > 0:
            with self._changed:
                self.end += samples
                self.reason = reason

    def finish(self) -> None:
        """Say that no block will follow."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Say that nobody listens any more."""
        with self._changed:  # a lock that the same thread may take twice: a signal's handler may interrupt `get`
            self.stopped = True
            self._changed.notify_all()

    def get(self) -> _Queued | None:
        """Return what comes next; None when nothing will, or nobody listens any more."""
        with self._changed:
            while not (self._queued or self._finished or self.stopped):
                self._changed.wait(_POLL_SECONDS)
            if self.stopped or not self._queued:
                return None
            queued = self._queued.popleft()
            self._samples -= 0 if queued.block is None else len(queued.block)
            self._changed.notify_all()
            return queued


def _later(change: EventChange, seconds: float) -> EventChange:
    event = replace(change.event, onset=change.event.onset + seconds, offset=change.event.offset + seconds)
    return replace(change, event=event)
