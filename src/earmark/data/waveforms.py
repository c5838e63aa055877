"""The waveforms of a manifest's clips, decoded once and kept while they fit in memory."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from earmark.audio.decode import read_audio
from earmark.errors import OptionError

if TYPE_CHECKING:
    from earmark.data.manifest import Clip, Manifest

__all__ = ["Waveform", "Waveforms"]

Waveform = NDArray[np.float32]

_BITS = 15
_LOWEST, _HIGHEST = -(1 << _BITS), (1 << _BITS) - 1


class _Packed(NamedTuple):
    """A waveform as whole numbers times a power of two."""

    steps: NDArray[np.int16]
    exponent: int

    @classmethod
    def of(cls, waveform: Waveform) -> "_Packed":
        exponent = _fitting_exponent(float(waveform.min()), float(waveform.max()))
        return cls(np.rint(np.ldexp(waveform, -exponent)).astype(np.int16), exponent)

    def unpack(self) -> Waveform:
        return np.ldexp(self.steps.astype(np.float32), self.exponent)


def _fitting_exponent(low: float, high: float) -> int:
    """Return the exponent of the smallest power of two of which int16 numbers reach from `low` to `high`."""
    about = int(np.frexp(max(-low, high))[1]) - _BITS
    fits = (e for e in (about - 1, about) if round(low * 2.0**-e) >= _LOWEST and round(high * 2.0**-e) <= _HIGHEST)
    return next(fits, about + 1)


class Waveforms(Sequence[Waveform]):
    """Decoded clips: mono, at one rate, in the manifest's order.

    A clip is decoded when it is first asked for and then kept, as int16 times a power of two of its own. That is exact
    for 16-bit recordings that need no resampling and no mixing of channels; else it is off by at most 1/32,768 of the
    clip's peak. Nothing is clipped, however loud. What no longer fits `memory_bytes` is decoded again each time, to the
    same samples. Several threads may ask at once.

    Parameters
    ----------
    manifest : Manifest
        The clips; their start and end are heeded.
    sample_rate_hz : int
        What the network wants.
    memory_bytes : int
        The most that is kept; 0 keeps nothing.
    threads : int, optional
        Clips that `load_all` decodes side by side; by default as many as there are cores.

    Raises
    ------
    OptionError
        If `memory_bytes` is negative or `threads` is below 1.
    """

    def __init__(
        self, manifest: "Manifest", sample_rate_hz: int, *, memory_bytes: int = 2 << 30, threads: int | None = None
    ) -> None:
        if memory_bytes < 0:
            raise OptionError(f"memory_bytes={memory_bytes} is not allowed: give 0 or more")
        if threads is not None and threads < 1:
            raise OptionError(f"threads={threads} is not allowed: give 1 or more")
        self.sample_rate_hz = sample_rate_hz
        self._clips = manifest.clips
        self._threads = threads or _cores()
        self._kept: dict[int, _Packed] = {}
        self._free_bytes = memory_bytes
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._clips)

    @overload
    def __getitem__(self, index: int) -> Waveform: ...

    @overload
    def __getitem__(self, index: slice) -> list[Waveform]: ...

    def __getitem__(self, index: int | slice) -> Waveform | list[Waveform]:
        """Return the samples of a clip, float32 of shape (samples,), the caller's own; or those of a slice of clips.

        Raises
        ------
        AudioError
            If the clip cannot be decoded, or holds no sample, or not one between its start and end.
        IndexError
            If there is no such clip.
        """
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        kept = self._kept.get(place)
        return (self._load(place) if kept is None else kept).unpack()

    def load_all(self, report: Callable[[int, int], None] | None = None) -> None:
        """Decode what fits in memory, on several threads.

        Parameters
        ----------
        report : callable, optional
            Is told after each clip how many are done, and of how many.

        Raises
        ------
        AudioError
            For the first clip, in their order, that cannot be decoded.
        """
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="earmark")
        try:
            for done, _ in enumerate(pool.map(self._load_if_room, range(len(self))), start=1):
                if report is not None:
                    report(done, len(self))
        finally:
            pool.shutdown(cancel_futures=True)

    @property
    def kept(self) -> int:
        """How many clips are in memory."""
        return len(self._kept)

    def _load_if_room(self, place: int) -> None:
        if place not in self._kept and self._free_bytes > 0:
            self._load(place)

    def _load(self, place: int) -> _Packed:
        packed = _Packed.of(_decode(self._clips[place], self.sample_rate_hz))
        with self._lock:
            if place not in self._kept and packed.steps.nbytes <= self._free_bytes:
                self._kept[place] = packed
                self._free_bytes -= packed.steps.nbytes
        return packed


def _decode(clip: "Clip", sample_rate_hz: int) -> Waveform:
    return read_audio(clip.path, sample_rate_hz, start=clip.start_seconds or 0.0, end=clip.end_seconds)[0]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
