"""WAV on a pipe, as `ffmpeg -f wav -` and `sox -t wav -` write it: a header that knows no length, then raw samples.

FFmpeg, which reads all other streams, looks at two seconds of sound before it gives any and then gives an eighth of a
second at a time. Raw samples are there at once.
"""

import struct
from io import BufferedIOBase
from typing import Any, BinaryIO, cast

from earmark.audio.pcm import PcmFormat, PcmStream

__all__ = ["open_wav_pipe"]

_FORMATS: dict[tuple[int, int], PcmFormat] = {(1, 16): "s16le", (3, 32): "f32le"}
_EXTENSIBLE = 0xFFFE
# What writers put in the place of a length that they cannot know: 0, 0xFFFFFFFF, or just under 2 GiB.
_UNKNOWN_FROM_BYTES = 0x7FFF0000
_MOST_CHUNK_BYTES = 1 << 16  # of what stands before the samples


def open_wav_pipe(stream: BufferedIOBase, *, block_seconds: float) -> PcmStream | BinaryIO:
    """Read the header of a WAV file of unknown length.

    Parameters
    ----------
    stream : buffered binary stream
        At its first byte.
    block_seconds : float
        See `PcmStream`.

    Returns
    -------
    PcmStream or BinaryIO
        The samples; or, where it is anything else than 16-bit or float WAV of unknown length, the same stream with the
        bytes that were read put back, which cannot seek.
    """
    seen = _Unread(stream)
    layout = _layout(seen)
    if layout is None:
        return cast(BinaryIO, seen)
    rate_hz, channels, form = layout
    return PcmStream(cast(BinaryIO, stream), rate_hz, channels=channels, format=form, block_seconds=block_seconds)


def _layout(stream: "_Unread") -> tuple[int, int, PcmFormat] | None:
    """Read up to the first sample; return sample rate, channels and format."""
    riff = stream.take(12)
    if riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        return None
    described = b""
    while len(head := stream.take(8)) == 8:
        size = int.from_bytes(head[4:], "little")
        if head[:4] == b"data":
            return _described(described) if size == 0 or size >= _UNKNOWN_FROM_BYTES else None
        if size > _MOST_CHUNK_BYTES:
            return None
        body = stream.take(size + size % 2)
        if head[:4] == b"fmt ":
            described = body
    return None


def _described(chunk: bytes) -> tuple[int, int, PcmFormat] | None:
    """Return what a format chunk says, if it is a format that `PcmStream` knows."""
    if len(chunk) < 16:
        return None
    tag, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == _EXTENSIBLE:
        tag = int.from_bytes(chunk[24:26], "little")
    form = _FORMATS.get((tag, bits))
    return None if form is None else (rate_hz, channels, form)


class _Unread:
    """A stream whose first bytes can be taken and are given once more."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._taken = stream, b""

    def take(self, count: int) -> bytes:
        """Return the next bytes, all of them unless the stream ends."""
        data: bytes = self._stream.read(count)
        self._taken += data
        return data

    def read(self, count: int) -> bytes:
        """Return up to so many bytes, what was taken first; after `take` was last used."""
        if self._taken:
            data, self._taken = self._taken[:count], self._taken[count:]
            return data
        return bytes(self._stream.read1(count))

    def seekable(self) -> bool:
        """Return False."""
        return False
