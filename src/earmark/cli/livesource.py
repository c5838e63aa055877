"""Where the sound of `earmark listen` comes from: a microphone, standard input, or a recording."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal

from earmark.cli.inputs import STDIN
from earmark.errors import NotAudioError, OptionError

if TYPE_CHECKING:
    from earmark.audio.check import Finding
    from earmark.inference.listening import BlockSource

LIVE_BLOCK_SECONDS = 0.02
"""A score waits for the rest of its last block, so blocks are short."""

FILE_BLOCK_SECONDS = 1.0

_FILE_MARKS = (b"RIFF", b"RF64", b"OggS", b"fLaC", b"caff", b"FORM", b"\x1aE\xdf\xa3")


@dataclass(frozen=True, slots=True)
class LiveSource:
    """The source that a command line asks for.

    Parameters
    ----------
    source : str or None
        ``-``, the path of a recording, or None for the microphone.
    device_name : str or None
        Number or part of the name of a microphone; None for the system's default.
    rate_hz : int or None
        Of raw PCM on standard input; None where that is a file.
    channels, pcm
        Of raw PCM; see `PcmStream`.
    realtime : bool
        Whether a recording is played as a microphone would hear it.

    Raises
    ------
    OptionError
        If they contradict each other.
    """

    source: str | None
    device_name: str | None
    rate_hz: int | None
    channels: int
    pcm: Literal["s16le", "f32le"]
    realtime: bool

    def __post_init__(self) -> None:
        if self.device_name is not None and self.source is not None:
            raise OptionError(f"--device-name is for the microphone, and {self.source} is none: leave out one of them")
        if self.rate_hz is not None and self.source != STDIN:
            raise OptionError("--rate is for raw PCM on standard input: give - as the source, or leave it out")
        if self.realtime and self.source in (None, STDIN):
            raise OptionError("--realtime is for a recording; a microphone and standard input set their own pace")
        if self.source == STDIN and (sys.stdin is None or sys.stdin.isatty()):
            raise OptionError("- reads sound from standard input, which is a terminal: pipe sound into it")

    @property
    def live(self) -> bool:
        """Whether it cannot wait. A pipe can: whoever writes into it then waits too."""
        return self.source is None or self.realtime

    @property
    def name(self) -> str:
        """What messages about its events call it."""
        if self.source is None:
            return self.device_name or "microphone"
        return "<stdin>" if self.source == STDIN else self.source

    @contextmanager
    def open(self, sample_rate_hz: int, tell: "Callable[[Finding], None]") -> "Iterator[BlockSource]":
        """Open the source.

        Parameters
        ----------
        sample_rate_hz : int
            What a recording is resampled to.
        tell : callable
            Takes what happens to the microphone; called by the thread that reads.
        """
        if self.source is None:
            from earmark.audio.microphone import Microphone

            name = self.device_name
            device = int(name) if name is not None and name.isdecimal() else name
            with Microphone(
                device, block_seconds=LIVE_BLOCK_SECONDS, patience_seconds=inf, on_event=tell
            ) as microphone:
                yield microphone
        elif self.source == STDIN:
            yield self._standard_input(sample_rate_hz)
        else:
            yield self._recording(self.source, sample_rate_hz)

    def _recording(self, path: str, sample_rate_hz: int) -> "BlockSource":
        from earmark.audio.decode import open_audio
        from earmark.inference.listening import Paced

        if self.realtime:
            return Paced(open_audio(path, sample_rate_hz, block_seconds=LIVE_BLOCK_SECONDS))
        return open_audio(path, sample_rate_hz, block_seconds=FILE_BLOCK_SECONDS)

    def _standard_input(self, sample_rate_hz: int) -> "BlockSource":
        from earmark.audio.decode import open_audio
        from earmark.audio.pcm import PcmStream
        from earmark.audio.wavpipe import open_wav_pipe

        # Not `sys.stdin`: the interpreter could not end while a thread waits for its lock.
        stream = io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False))
        if self.rate_hz is not None:
            if stream.peek(4)[:4] in _FILE_MARKS:
                raise OptionError("standard input has a header, so it is no raw PCM: leave out --rate")
            return PcmStream(
                stream, self.rate_hz, channels=self.channels, format=self.pcm, block_seconds=LIVE_BLOCK_SECONDS
            )
        opened = stream if stream.seekable() else open_wav_pipe(stream, block_seconds=LIVE_BLOCK_SECONDS)
        if isinstance(opened, PcmStream):
            return opened
        try:
            return open_audio(opened, sample_rate_hz, block_seconds=LIVE_BLOCK_SECONDS)
        except NotAudioError as error:
            raise NotAudioError(f"{error} If it is raw PCM, say its rate, such as --rate 16000.") from error
