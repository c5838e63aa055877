"""libsndfile: WAV, FLAC, Ogg Vorbis and their like."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from earmark.audio.container import Container
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
    soundfile.LibsndfileError
        If libsndfile refuses the file.
    """

    def __init__(self, source: ByteSource, container: Container) -> None:
        self._source = source
        self._file = self._open()
        self.rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.container, self.codec = self._file.format.lower(), self._file.subtype.lower()
        seconds = max(container.claimed_share or 1.0, 1.0) * self._file.frames / self.rate_hz
        self.claimed_seconds: float | None = seconds if container.ended else None
        self.slack_seconds = 0.001  # codecs in blocks round their length up
        self.broken = not container.ended

    def _open(self) -> Any:
        self._source.seek(0)
        return soundfile.SoundFile(self._source.path or self._source)

    def blocks(self, start: int, stop: int | None, block_samples: int) -> Iterator[NDArray[np.float32]]:
        """Yield samples as `Decoder.blocks` says; every format that comes here seeks to the exact sample."""
        stop = self._file.frames if stop is None else min(stop, self._file.frames)
        position = start
        try:
            self._file.seek(min(start, stop))
            while position < stop and len(block := self._read(min(block_samples, stop - position))):
                yield block
                position += len(block)
        except soundfile.LibsndfileError:
            self.broken = True
            yield from self._up_to_damage(position, stop, block_samples)

    def _read(self, samples: int) -> NDArray[np.float32]:
        block: NDArray[np.float32] = self._file.read(samples, dtype="float32", always_2d=True)
        return block

    def _up_to_damage(self, start: int, stop: int, block_samples: int) -> Iterator[NDArray[np.float32]]:
        """Decode again from the beginning, because seeking may fail in a damaged file, and yield what is sound."""
        self._file.close()
        self._file = self._open()
        position = 0
        try:
            while position < start and len(block := self._read(min(block_samples, start - position))):
                position += len(block)
            while position < stop and len(block := self._read(min(_DAMAGE_STEP_SAMPLES, stop - position))):
                yield block
                position += len(block)
        except soundfile.LibsndfileError:
            return

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
        self._source.close()
