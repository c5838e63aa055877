"""libsndfile: WAV, FLAC, Ogg Vorbis and their like."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from earmark.audio.container import Container
from earmark.audio.doctor import Finding
from earmark.audio.source import ByteSource

__all__ = ["SndfileDecoder"]

# libsndfile tells that a read met damage, not where; repeating the read in steps of this size finds it.
_DAMAGE_STEP_SAMPLES = 1024


class SndfileDecoder:
    """Decodes with libsndfile; a `Decoder`.

    Parameters
    ----------
    source : ByteSource
        Seekable.
    container : Container
        What its bytes say.

    Raises
    ------
    soundfile.SoundFileError
        If libsndfile refuses the file, or cannot seek in it.
    """

    findings: tuple[Finding, ...] = ()

    def __init__(self, source: ByteSource, container: Container) -> None:
        self._source = source
        self._file = self._open()
        if not self._file.seekable():  # soundfile tells no end from a failure there
            self._file.close()
            raise soundfile.SoundFileRuntimeError(f"libsndfile cannot seek in {source.title}")
        self.rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.container = {"WAVEX": "wav"}.get(self._file.format, self._file.format.lower())
        self.codec = self._file.subtype.lower()
        seconds = max(container.claimed_share or 1.0, 1.0) * self._file.frames / self.rate_hz
        self.claimed_seconds: float | None = seconds if container.ended else None
        self.slack_seconds = 0.001  # codecs in blocks round their length up
        self.position = 0
        intact = container.intact_samples
        self.samples: int = self._file.frames if intact is None else min(intact, self._file.frames)
        self.broken = intact is not None or not container.ended

    def _open(self) -> Any:
        self._source.seek(0)
        path = self._source.path
        if path is not None and os.name == "posix":  # where a path is bytes, and not always text
            return soundfile.SoundFile(os.fsencode(path))
        return soundfile.SoundFile(path or self._source)

    def blocks(self, start: int, stop: int | None, block_samples: int) -> Iterator[NDArray[np.float32]]:
        """Yield samples as `Decoder.blocks` says."""
        stop = self.samples if stop is None else min(stop, self.samples)
        try:
            self._skip(min(start, stop), block_samples)
            yield from self._read(stop, block_samples)
        except soundfile.LibsndfileError:
            self._source.raise_failure()
            self.broken = True
            yield from self._up_to_damage(max(start, self.position), stop)

    def _read(self, stop: int, block_samples: int) -> Iterator[NDArray[np.float32]]:
        while self.position < stop:
            samples = min(block_samples, stop - self.position)
            block: NDArray[np.float32] = self._file.read(samples, dtype="float32", always_2d=True)
            self._source.raise_failure()
            if not len(block):
                return
            self.position += len(block)
            yield block

    def _skip(self, start: int, block_samples: int) -> None:
        if self.codec == "vorbis":  # in the last page libsndfile seeks to a neighbour, so decode and drop
            for _ in self._read(start, block_samples):
                pass
        elif start:
            self.position = self._file.seek(start)

    def _up_to_damage(self, start: int, stop: int) -> Iterator[NDArray[np.float32]]:
        """Decode again from the beginning, because seeking may fail in a damaged file, and yield what is sound."""
        self._file.close()
        self._file = self._open()
        self.position = 0
        with contextlib.suppress(soundfile.LibsndfileError):
            for block in self._read(stop, _DAMAGE_STEP_SAMPLES):
                new = min(self.position - start, len(block))
                if new > 0:
                    yield block[-new:]

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
        self._source.close()
