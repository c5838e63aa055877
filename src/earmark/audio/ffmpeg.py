"""FFmpeg, through PyAV: M4A, WebM, Opus, MP3, video, and every stream that cannot seek."""

import contextlib
import itertools
import re
from collections.abc import Iterator

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from earmark.audio.container import Container
from earmark.audio.doctor import Finding
from earmark.audio.samples import to_float32
from earmark.audio.source import ByteSource
from earmark.errors import EmptyAudioError, NoSoundTrackError, NotAudioError

__all__ = ["FFmpegDecoder"]

# Only containers that hold their sound themselves and that FFmpeg knows by a mark: no playlist, which would open other
# files or addresses, no picture, no text.
_FORMATS = (
    "aa,aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,iff,ircam,loas,matroska,webm,mlp,mov,mp4,m4a,"
    "3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,mxf,nut,ogg,oma,rm,sox,tak,truehd,tta,voc,w64,wav,wtv,wv,xwma"
)
# Of these FFmpeg estimates the length from the bit rate, or knows only that of the longest track.
_GUESSED_DURATION = ("aac", "ac3", "eac3", "dts", "mlp", "truehd", "loas", "mpeg", "mpegts", "avi", "flv")
# Timestamps are rounded, to milliseconds in some containers; a lost packet leaves a hole of 20 ms or more, a lost page
# or cluster one of a second.
_HOLE_SECONDS = 0.1
# Beyond these a late start is a mistake: of clocks that have nothing in common, or of a damaged header.
_MOST_LATE_SECONDS, _MOST_LATE_SECONDS_OF_UNKNOWN_LENGTH = 86_400.0, 60.0


class FFmpegDecoder:
    """Decodes the first sound track that FFmpeg can decode; a `Decoder`.

    Parameters
    ----------
    source : ByteSource
        Seekable or not.
    container : Container
        What its bytes say.

    Raises
    ------
    NotAudioError, NoSoundTrackError, EmptyAudioError
        If FFmpeg does not know the format, or finds no sound track, or no sound in it.
    """

    samples: int | None = None
    slack_seconds = 0.1  # padding of the codec, and the rounding of timestamps

    def __init__(self, source: ByteSource, container: Container) -> None:
        self._source = source.spooled() if container.needs_seeking else source
        self.position = 0
        self.broken = not container.ended
        self._claimed_share = container.claimed_share
        self._rate_hz: int | None = None
        self._end_seconds: float | None = None  # of the last frame, by the clock of the container
        self._skipped_packets = 0
        with contextlib.ExitStack() as opened:
            opened.callback(self._source.close)
            self._file = opened.enter_context(self._open(container))
            self._stream = self._sound_track()
            self._frames = self._decode()
            self._first = self._first_frame()
            self._zero_seconds = (self._file.start_time or 0) / av.time_base
            self._late_seconds = self._late()
            self._opened = opened.pop_all()
        self.rate_hz, self.channels = self._first.sample_rate, self._first.layout.nb_channels
        self.container, self.codec = self._names()
        self.findings = tuple(self._findings())
        self.claimed_seconds = self._duration_seconds() if container.ended and container.exact_duration else None

    def _open(self, container: Container) -> InputContainer:
        self._source.rewind()
        options = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}
        if container.continues:
            options["ignore_length"] = "1"
            self._source.forward_only()  # else FFmpeg searches for chunks behind the claimed length
        if not self._source.seekable() and self._source.head.startswith(b"RIFF"):
            options["probesize"] = "32768"  # else the first block waits for seconds of sound
        try:
            return av.open(self._source, "r", container_options=options, metadata_errors="ignore")
        except av.FFmpegError as error:
            raise self._not_audio() from error

    def _not_audio(self) -> NotAudioError:
        self._source.raise_failure()
        if self._source.head[4:8] == b"ftyp":
            return NotAudioError(
                f"{self._source.title} is an MP4 without a readable index: it was cut off while it was recorded or "
                "copied. Copy it again, or rebuild the index with a repair tool."
            )
        return NotAudioError(
            f"{self._source.title} is no sound or video file that libsndfile or FFmpeg knows: convert it to WAV first."
        )

    def _sound_track(self) -> AudioStream:
        if not self._file.streams:
            raise self._not_audio()
        track = next((track for track in self._file.streams.audio if track.codec_context is not None), None)
        if track is None:
            kinds = ", ".join(sorted({stream.type for stream in self._file.streams}))
            raise NoSoundTrackError(f"{self._source.title} has no sound track that FFmpeg can decode, only: {kinds}.")
        for stream in self._file.streams:
            if stream is not track and hasattr(stream, "discard"):  # PyAV 17.1: do not even read the pictures
                stream.discard = type(stream.discard).all
        return track

    def _names(self) -> tuple[str, str]:
        name = self._file.format.name
        container = {"mov,mp4,m4a,3gp,3g2,mj2": "mp4", "matroska,webm": "matroska"}.get(name, name)
        return container, self._stream.codec_context.codec.name.removesuffix("float")

    def _duration_seconds(self) -> float | None:
        """Return what the header claims for this track, if it does."""
        name = self._file.format.name
        if name in _GUESSED_DURATION:
            return None
        matroska = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", self._stream.metadata.get("DURATION", ""))
        if matroska:
            told = int(matroska[1]) * 3600 + int(matroska[2]) * 60 + float(matroska[3])
        elif self._stream.duration is not None and self._stream.time_base is not None:
            told = float(self._stream.duration * self._stream.time_base)
        elif self._file.duration is not None and len(self._file.streams) == 1:
            told = self._file.duration / av.time_base
        else:
            return None
        # Some write the time of the end, which is the same unless the file or its sound begins late.
        metadata = self._file.metadata
        writer = metadata.get("ENCODER") or metadata.get("encoder", "")
        tells_end = name == "ogg" or ("matroska" in name and writer.startswith("Lavf"))
        return told - max(self._zero_seconds, 0.0) if tells_end else told + self._late_seconds

    def _late(self) -> float:
        """Return how long after the beginning of the file its sound begins; 0 unless it is a gap to speak of.

        A clock may begin anywhere, so the zero is the earliest of all tracks.
        """
        if self._first.time is None or self._file.start_time is None:
            return 0.0
        most = self._file.duration / av.time_base if self._file.duration else _MOST_LATE_SECONDS_OF_UNKNOWN_LENGTH
        late = self._first.time - self._zero_seconds
        return late if _HOLE_SECONDS < late <= min(most, _MOST_LATE_SECONDS) else 0.0

    def _findings(self) -> Iterator[Finding]:
        tracks = self._file.streams.audio
        if len(tracks) > 1:
            yield Finding(
                "several-tracks",
                f"the file has {len(tracks)} sound tracks, of which number {tracks.index(self._stream) + 1} was "
                "analysed; extract another, here the second, with: ffmpeg -i FILE -map 0:a:1 OUT.wav",
            )
        if self._late_seconds:
            yield Finding(
                "late-start", f"the sound begins at {self._late_seconds:.2f} s of the file; silence was put before it."
            )

    def _first_frame(self) -> AudioFrame:
        frame = next(self._frames, None)
        self._source.raise_failure()
        if frame is not None and frame.format.name not in ("s64", "s64p"):  # numpy has it, PyAV does not
            return frame
        if frame is not None or self._skipped_packets or self.broken:
            raise NotAudioError(f"{self._source.title} has a sound track, but none of it can be decoded.")
        raise EmptyAudioError(f"{self._source.title} has a sound track without a single sample.")

    def _packets(self) -> "Iterator[Packet[AudioStream]]":
        try:
            yield from self._file.demux(self._stream)
        except av.FFmpegError:
            self.broken = True
        except IndexError:  # PyAV, after the last packet, when tracks appeared on the way as they do in broadcasts
            return

    def _decode(self) -> Iterator[AudioFrame]:
        """Yield frames up to the first damage; packets that fail before the first frame are passed over."""
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.FFmpegError:
                if b"ID3" in bytes(packet):  # between joined MP3 files
                    continue
                if self._rate_hz is not None:
                    self.broken = True
                    return
                self._skipped_packets += 1
                continue
            for frame in frames:
                if not self._follows(frame):
                    self.broken = True
                    return
                yield frame

    def _follows(self, frame: AudioFrame) -> bool:
        """Return whether a frame begins where the last one ended, at the same rate."""
        self._rate_hz = self._rate_hz or frame.sample_rate
        last_end, begin = self._end_seconds, frame.time
        if begin is None:
            begin = last_end
        self._end_seconds = None if begin is None else begin + frame.samples / frame.sample_rate
        # A clock that goes back belongs to the next link of a chained stream; one that leaps has lost something.
        leaps = begin is not None and last_end is not None and begin - last_end > _HOLE_SECONDS
        return not leaps and frame.sample_rate == self._rate_hz

    def blocks(self, start: int, stop: int | None, block_samples: int) -> Iterator[NDArray[np.float32]]:
        """Yield samples as `Decoder.blocks` says; what comes before `start` is decoded and dropped, to be exact."""
        for block in itertools.chain(self._silence(block_samples), self._even_blocks(block_samples)):
            self._source.raise_failure()
            wanted = block[max(start - self.position, 0) : None if stop is None else max(stop - self.position, 0)]
            self.position += len(block)
            if len(wanted):
                yield wanted
            if stop is not None and self.position >= stop:
                return
        self._source.raise_failure()
        if self._claimed_share is not None:  # FFmpeg may have trimmed the claim to the file
            self.claimed_seconds = self._claimed_share * self.position / self.rate_hz

    def _silence(self, block_samples: int) -> Iterator[NDArray[np.float32]]:
        """Yield what comes before a sound that begins late."""
        late_samples = round(self._late_seconds * self.rate_hz)
        for begin in range(0, late_samples, block_samples):
            yield np.zeros((min(block_samples, late_samples - begin), self.channels), np.float32)

    def _even_blocks(self, block_samples: int) -> Iterator[NDArray[np.float32]]:
        fifo, shape = AudioFifo(), _shape(self._first)
        for frame in itertools.chain([self._first], self._frames):
            if _shape(frame) != shape:  # a broadcast may go from mono to stereo
                yield from _columns(fifo.read())
                fifo, shape = AudioFifo(), _shape(frame)
            frame.pts = None  # else the queue refuses frames whose timestamps are rounded
            fifo.write(frame)
            while fifo.samples >= block_samples:
                yield from _columns(fifo.read(block_samples))
        yield from _columns(fifo.read())

    def close(self) -> None:
        """Let go of the file."""
        self._opened.close()


def _shape(frame: AudioFrame) -> tuple[str, int]:
    return frame.format.name, frame.layout.nb_channels


def _columns(frame: AudioFrame | None) -> Iterator[NDArray[np.float32]]:
    """Yield the samples of `frame`, if there are any, as shape (samples, channels)."""
    if frame is not None:
        samples = to_float32(frame.to_ndarray())
        yield samples.T if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels)
