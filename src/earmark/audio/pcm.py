"""Raw samples without a header, as they come out of a pipe: `arecord -f S16_LE ... | earmark listen - --rate 16000`."""

from collections.abc import Iterator
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from earmark.audio.resample import checked_rate_hz
from earmark.audio.samples import to_float32, to_mono
from earmark.errors import NonFiniteSamplesError, OptionError

__all__ = ["PcmFormat", "PcmStream"]

PcmFormat: TypeAlias = Literal["s16le", "f32le"]

_DTYPES: dict[str, np.dtype[Any]] = {"s16le": np.dtype("<i2"), "f32le": np.dtype("<f4")}
_MOST_CHANNELS = 1024


class PcmStream:
    """Mono blocks from a stream of raw samples, each as soon as it is there.

    Parameters
    ----------
    stream : BinaryIO
        Such as ``sys.stdin.buffer``; it stays open.
    sample_rate_hz : int
        Of the samples.
    channels : int
        Interleaved; their mean is given out.
    format : {"s16le", "f32le"}
        16-bit integers or 32-bit floats, both little-endian.
    block_seconds : float
        The most that a block holds. It holds less when less is there: no block waits to be filled.

    Raises
    ------
    SampleRateError, OptionError
        If a rate, a number or a format is impossible.
    """

    def __init__(
        self,
        stream: BinaryIO,
        sample_rate_hz: int,
        *,
        channels: int = 1,
        format: PcmFormat = "s16le",  # noqa: A002 - what ffmpeg and arecord call it
        block_seconds: float = 0.1,
    ) -> None:
        if format not in _DTYPES:
            raise OptionError(f"The PCM format {format!r} is not known: give one of {', '.join(_DTYPES)}.")
        if not 1 <= channels <= _MOST_CHANNELS:
            raise OptionError(f"channels={channels} must be between 1 and {_MOST_CHANNELS}.")
        if not block_seconds > 0:
            raise OptionError(f"block_seconds={block_seconds} must be more than 0.")
        self.sample_rate_hz = checked_rate_hz(sample_rate_hz, "the PCM stream")
        self._dtype, self._channels = _DTYPES[format], channels
        self._block_samples = max(1, round(block_seconds * self.sample_rate_hz))
        # `read` of a buffered stream waits until all bytes are there, `read1` does not.
        self._read = getattr(stream, "read1", stream.read)
        self._samples = 0

    @property
    def seconds(self) -> float:
        """How much was read so far."""
        return self._samples / self.sample_rate_hz

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield float32 blocks of shape (samples,), never empty, until the stream ends.

        Raises
        ------
        NonFiniteSamplesError
            At NaN or infinite samples, as 16-bit samples show when they are read as floats.
        """
        sample_bytes = self._dtype.itemsize * self._channels
        rest = b""
        while data := self._read(self._block_samples * sample_bytes - len(rest)):
            data = rest + data
            whole = len(data) - len(data) % sample_bytes
            rest = data[whole:]
            if whole:
                yield self._block(data[:whole])

    def _block(self, data: bytes) -> NDArray[np.float32]:
        block = to_float32(np.frombuffer(data, self._dtype).reshape(-1, self._channels))
        if not np.isfinite(block).all():
            raise NonFiniteSamplesError(
                f"The PCM stream holds NaN or infinite samples after {self.seconds:.3f} s: is it really f32le?"
            )
        self._samples += len(block)
        return to_mono(block)
