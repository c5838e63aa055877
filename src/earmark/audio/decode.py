"""Any recording, in mono blocks at the model's rate, in constant memory, with what was found on the way.

    with open_audio("street.m4a", 16_000) as reader:
        for block in reader:
            ...
    print(reader.seconds, *reader.findings)
"""

import math
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from earmark.audio.array import ArrayDecoder
from earmark.audio.container import examine
from earmark.audio.decoder import Decoder
from earmark.audio.doctor import Doctor, Finding
from earmark.audio.resample import Resampler, checked_rate_hz
from earmark.audio.samples import to_mono
from earmark.audio.source import ByteSource, Source, open_bytes, source_name
from earmark.errors import AudioError, EmptyAudioError, NonFiniteSamplesError, OptionError

__all__ = ["AudioReader", "Source", "open_audio", "read_audio", "source_name"]


def open_audio(
    source: Source, sample_rate_hz: int, *, start: float = 0.0, end: float | None = None, block_seconds: float = 10.0
) -> "AudioReader":
    """Open a recording for one pass.

    Parameters
    ----------
    source : Source
        A path, the bytes of a file, a binary file object (read from its beginning if it can seek, else from where it
        stands), or ``(array, sample_rate_hz)`` with an array of shape (samples,) or (samples, channels).
    sample_rate_hz : int
        What the model wants.
    start, end : float
        What to analyse, in seconds; to the end by default, and never beyond it.
    block_seconds : float
        The most that is decoded at a time. It changes no sample, only memory and delay.

    Returns
    -------
    AudioReader
        To be closed, or used in a ``with`` statement.

    Raises
    ------
    AudioNotFoundError, AudioIsFolderError, EmptyAudioError, NotAudioError, NoSoundTrackError
        If there is no such file, or nothing to hear in it.
    SampleRateError, OptionError
        If a rate, `start`, `end` or `block_seconds` is impossible.
    """
    rate_hz = checked_rate_hz(sample_rate_hz, "the model")
    _check_span(start, end, block_seconds)
    decoder = _decoder(source)
    try:
        return AudioReader(decoder, source_name(source), rate_hz, start=start, end=end, block_seconds=block_seconds)
    except BaseException:
        decoder.close()
        raise


def read_audio(
    source: Source, sample_rate_hz: int, *, start: float = 0.0, end: float | None = None
) -> tuple[NDArray[np.float32], "AudioReader"]:
    """Read a recording, or the part from `start` to `end` seconds, into memory.

    Parameters
    ----------
    source, sample_rate_hz, start, end
        As for `open_audio`.

    Returns
    -------
    waveform : ndarray of float32, shape (samples,)
        Mono, at `sample_rate_hz`.
    reader : AudioReader
        Closed; it knows `seconds` and `findings`.

    Raises
    ------
    EarmarkError
        As `open_audio` and `AudioReader.__iter__`.
    """
    with open_audio(source, sample_rate_hz, start=start, end=end) as reader:
        blocks = list(reader)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), reader


def _check_span(start: float, end: float | None, block_seconds: float) -> None:
    if not 0 <= start < math.inf:
        raise OptionError(f"start={start} s must be 0 or more.")
    if end is not None and not start < end < math.inf:
        raise OptionError(f"end={end} s must lie after start={start} s.")
    if not 0 < block_seconds < math.inf:
        raise OptionError(f"block_seconds={block_seconds} must be more than 0.")


def _decoder(source: Source) -> Decoder:
    if isinstance(source, tuple | np.ndarray):
        return ArrayDecoder.of(source)
    opened = open_bytes(source)
    try:
        return _choose_decoder(opened)
    except BaseException:
        opened.close()
        raise


def _choose_decoder(opened: ByteSource) -> Decoder:
    container = examine(opened)
    opened.raise_failure()
    if container.libsndfile:
        import soundfile

        from earmark.audio.sndfile import SndfileDecoder

        try:
            return SndfileDecoder(opened, container)
        except soundfile.LibsndfileError:
            opened.raise_failure()
    from earmark.audio.ffmpeg import FFmpegDecoder

    return FFmpegDecoder(opened.spooled() if container.needs_seeking else opened, container)


class AudioReader:
    """A recording as mono blocks; made by `open_audio`, iterable once.

    Attributes
    ----------
    name : str
        As `source_name` says.
    sample_rate_hz : int
        Of the blocks.
    source_rate_hz, channels : int
        Of the source.
    container, codec : str
        Of the source, in lower case: ``wav`` and ``pcm_16``, ``mp4`` and ``aac``, ``array`` and ``int16``.
    """

    def __init__(
        self, decoder: Decoder, name: str, sample_rate_hz: int, *, start: float, end: float | None, block_seconds: float
    ) -> None:
        self.name, self.sample_rate_hz = name, sample_rate_hz
        self.source_rate_hz = checked_rate_hz(decoder.rate_hz, name)
        self.channels, self.container, self.codec = decoder.channels, decoder.container, decoder.codec
        self._decoder = decoder
        self._start = round(start * self.source_rate_hz)
        self._stop = None if end is None else max(round(end * self.source_rate_hz), self._start + 1)
        self._block_samples = max(round(block_seconds * self.source_rate_hz), 1)
        self._samples = 0
        self._used = False
        self._doctor = Doctor(self.source_rate_hz, sample_rate_hz)
        if decoder.claimed_seconds is not None:
            self._check_length(decoder.claimed_seconds)
    ...
