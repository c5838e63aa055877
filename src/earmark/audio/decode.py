"""Any recording, in mono blocks at the model's rate, in constant memory, with what was found on the way.

For example::

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
from earmark.errors import AudioError, EmptyAudioError, NonFiniteSamplesError, NotAudioError, OptionError

__all__ = ["MOST_SECONDS", "AudioReader", "Source", "check_span", "open_audio", "read_audio", "source_name"]

MOST_SECONDS = 1e9
"""The latest start and end: 31 years, of which the samples can be counted at any rate."""

_MOST_BLOCK_VALUES = 1 << 22  # 16 MB, also of a thousand channels


def open_audio(
    source: Source, sample_rate_hz: int, *, start: float = 0.0, end: float | None = None, block_seconds: float = 10.0
) -> "AudioReader":
    """Open a recording for one pass.

    Parameters
    ----------
    source : Source
        A path, the bytes of a file, a binary file object (read from its beginning if it can seek, else from where it
        stands), or ``(array, sample_rate_hz)`` with an array of shape (samples,) or (samples, channels). A reader that
        was opened for the same rate, `start` and `end` is given back, so that one may look at its header first.
    sample_rate_hz : int
        What the model wants.
    start, end : float
        What to analyse, in seconds, at most `MOST_SECONDS`; to the end by default, and never beyond it.
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
    check_span(start, end)
    if not 0 < block_seconds < math.inf:
        raise OptionError(f"block_seconds={block_seconds} must be more than 0.")
    if isinstance(source, AudioReader):
        return source.meant_for(rate_hz, start, end)
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


def check_span(start: float, end: float | None) -> None:
    """Refuse a start and an end, in seconds, that no recording can have.

    Raises
    ------
    OptionError
        If the start is negative, or the end not after it, or either not finite or beyond `MOST_SECONDS`.
    """
    if not 0 <= start <= MOST_SECONDS:
        raise OptionError(f"start={start} s must be 0 or more, and at most {MOST_SECONDS:.0f} s.")
    if end is not None and not start < end <= MOST_SECONDS:
        raise OptionError(f"end={end} s must lie after start={start} s, and at most at {MOST_SECONDS:.0f} s.")


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
        except soundfile.SoundFileError:
            opened.raise_failure()
    from earmark.audio.ffmpeg import FFmpegDecoder

    return FFmpegDecoder(opened, container)


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
        self._asked = (sample_rate_hz, start, end)
        self.source_rate_hz = checked_rate_hz(decoder.rate_hz, name)
        self.channels, self.container, self.codec = decoder.channels, decoder.container, decoder.codec
        self._decoder = decoder
        self._start = round(start * self.source_rate_hz)
        self._stop = None if end is None else max(round(end * self.source_rate_hz), self._start + 1)
        most_samples = max(_MOST_BLOCK_VALUES // self.channels, 1)
        self._block_samples = max(round(min(block_seconds * self.source_rate_hz, most_samples)), 1)
        self._samples = 0
        self._read = False
        self._doctor = Doctor(self.source_rate_hz, sample_rate_hz)
        if decoder.samples is not None and self._start >= decoder.samples:
            raise self._nothing_there(decoder.samples / self.source_rate_hz)

    @property
    def duration_seconds(self) -> float | None:
        """What the header claims, in seconds; None if it claims nothing exact. `seconds` is what was there."""
        return self._decoder.claimed_seconds

    @property
    def seconds(self) -> float:
        """How much of the source was analysed so far."""
        return self._samples / self.source_rate_hz

    @property
    def peak(self) -> float:
        """The largest magnitude of the samples so far; full scale is 1."""
        return self._doctor.peak

    @property
    def rms_db(self) -> float:
        """Root mean square of the samples so far, all channels, in dB of full scale; ``-inf`` for silence."""
        return self._doctor.rms_db

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the decoder and the doctor noticed; complete after the last block."""
        return (*self._decoder.findings, *self._length_findings(), *self._doctor.findings())

    def meant_for(self, sample_rate_hz: int, start: float, end: float | None) -> Self:
        """Return the reader itself; raise OptionError if it was opened for another rate, start or end."""
        asked = (sample_rate_hz, start, end)
        if asked != self._asked:
            raise OptionError(
                f"{self.name} was opened for rate, start and end {self._asked}, and {asked} is asked: open it again."
            )
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the source; a file object of the caller stays open."""
        self._decoder.close()

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield float32 blocks of shape (samples,), never empty, of any length.

        Raises
        ------
        NonFiniteSamplesError
            At the first NaN or infinite sample.
        EmptyAudioError, OptionError
            If there is not one sample, or none between `start` and `end`.
        AudioError
            If a file object fails, or on a second pass.
        """
        if self._read:
            raise AudioError(f"{self.name} was read already: open it again for another pass.")
        self._read = True
        return self._blocks()

    def _blocks(self) -> Iterator[NDArray[np.float32]]:
        resampler = Resampler(self.source_rate_hz, self.sample_rate_hz)
        given = 0
        try:
            for mono in self._mono_blocks():
                block = resampler.feed(mono, last=self._is_last())
                given += len(block)
                if len(block):
                    yield block
            rest = resampler.finish()
            if len(rest):
                yield rest
            elif not given:
                raise EmptyAudioError(
                    f"{self.name} lasts {self.seconds} s: less than one sample at {self.sample_rate_hz} Hz."
                )
        finally:
            self.close()

    def _is_last(self) -> bool:
        ends = [end for end in (self._stop, self._decoder.samples) if end is not None]
        return bool(ends) and self._decoder.position >= min(ends)

    def _mono_blocks(self) -> Iterator[NDArray[np.float32]]:
        blocks = self._decoder.blocks(self._start, self._stop, self._block_samples)
        for block in blocks:
            mono = to_mono(block)
            if not self._doctor.feed(block, mono):
                raise self._non_finite(block, blocks)
            self._samples += len(block)
            yield mono
        if not self._samples:
            raise self._nothing_there(self._decoder.position / self.source_rate_hz)

    def _nothing_there(self, seconds: float) -> EmptyAudioError | NotAudioError | OptionError:
        if self._start and seconds:
            start = self._start / self.source_rate_hz
            return OptionError(f"start={start:g} s is not before the end of {self.name}, which lasts {seconds:.3f} s.")
        if self._decoder.broken:
            return NotAudioError(f"Nothing in {self.name} can be decoded: it is damaged; copy or download it again.")
        return EmptyAudioError(f"{self.name} holds no samples: record, copy or download it again.")

    def _non_finite(self, block: NDArray[np.float32], rest: Iterator[NDArray[np.float32]]) -> NonFiniteSamplesError:
        bad = _non_finite_rows(block)
        first_seconds = (self._start + self._samples + int(bad.argmax())) / self.source_rate_hz
        count = int(bad.sum())
        if self.duration_seconds is not None:  # a stream may never end
            count += sum(int(_non_finite_rows(more).sum()) for more in rest)
        many = "1 NaN or infinite sample," if count == 1 else f"{count} NaN or infinite samples, the first"
        return NonFiniteSamplesError(
            f"{self.name} holds {many} at {first_seconds:.3f} s: it was written wrongly, so make it again."
        )

    def _length_findings(self) -> Iterator[Finding]:
        """Compare what was read with what the header claims."""
        decoder = self._decoder
        claimed, read = decoder.claimed_seconds, decoder.position / self.source_rate_hz
        if not self._samples or (self._stop is not None and decoder.position >= self._stop):
            return
        if claimed is not None and abs(claimed - read) <= decoder.slack_seconds:
            return  # whatever failed behind the last sample was no sound
        if decoder.broken or (claimed is not None and claimed > read):
            of_all = "its full length is unknown" if claimed is None else f"the header claims {claimed:.2f} s"
            yield Finding(
                "truncated",
                f"only {read:.2f} s could be read, {of_all}: the file is damaged there or was cut off; copy or "
                "download it again, or save what is left with: ffmpeg -i FILE -af aresample=async=1 OUT.wav",
            )
        elif claimed is not None:
            yield Finding(
                "wrong-length", f"the header claims {claimed:.2f} s, the file holds {read:.2f} s: all of it was read."
            )


def _non_finite_rows(block: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.logical_not(np.isfinite(block).all(axis=1))
