"""A microphone as an endless row of blocks that survives a device which disappears, and says what it lost."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from earmark.audio.doctor import Finding
from earmark.audio.pcm import PcmFormat, PcmStream
from earmark.audio.samples import to_mono
from earmark.errors import MicrophoneError, MissingExtraError

__all__ = ["InputDevice", "Microphone", "PcmFormat", "PcmStream", "list_devices"]

_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 0.25, 4.0
# Of a device with more, such as an array or a mixer, the first two are heard.
_MOST_CHANNELS = 2


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A sound device that can record.

    Parameters
    ----------
    index : int
        What `Microphone` takes as its device.
    name : str
        A part of it will do as well.
    channels, sample_rate_hz : int
        At most, and by default.
    is_default : bool
        Whether `Microphone` takes it when none is named.
    """

    index: int
    name: str
    channels: int
    sample_rate_hz: int
    is_default: bool


def list_devices(*, sounddevice: Any = None) -> tuple[InputDevice, ...]:
    """Return the sound devices that can record.

    Parameters
    ----------
    sounddevice : module, optional
        A stand-in for the package of that name.

    Returns
    -------
    tuple of InputDevice
        In the system's order; empty if there is none.

    Raises
    ------
    MissingExtraError, MicrophoneError
        If sounddevice, or the PortAudio library under it, is not installed.
    """
    sounddevice = sounddevice or _import_sounddevice()
    try:
        default = sounddevice.query_devices(kind="input")["index"]
    except (sounddevice.PortAudioError, ValueError):
        default = None  # there is none
    return tuple(
        InputDevice(
            index=device["index"],
            name=device["name"],
            channels=device["max_input_channels"],
            sample_rate_hz=round(device["default_samplerate"]),
            is_default=device["index"] == default,
        )
        for device in sounddevice.query_devices()
        if device["max_input_channels"] > 0
    )


def _import_sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise MissingExtraError.for_extra("live", "sounddevice", "Listening to a microphone") from error
    except OSError as error:
        raise MicrophoneError(
            "The PortAudio library is not installed; on Debian and Ubuntu: sudo apt install libportaudio2"
        ) from error
    return sounddevice


class Microphone:
    """Mono float32 blocks from a sound device, in a ``with`` statement.

    The device fills a queue from its own thread and never waits. When the queue is full, because nobody reads, new
    sound is dropped and counted. When the device disappears it is opened again, after pauses that grow, and what was
    not heard meanwhile is counted.

    Parameters
    ----------
    device : int or str, optional
        Index or a part of the name; the system's default if none.
    block_seconds : float
        Of each block, about.
    queue_seconds : float
        How long the reader may be busy before sound is dropped.
    stall_seconds : float
        How long a device may give nothing before it is taken as gone: some drivers stop without a word.
    patience_seconds : float
        How long it may be gone before `MicrophoneError` is raised.
    on_event : callable, optional
        Told in words what happens, as a `Finding`: ``microphone-lost``, ``microphone-back``, ``sound-lost``. The thread
        that iterates calls it.
    sounddevice : module, optional
        A stand-in for the package of that name.
    """

    def __init__(
        self,
        device: int | str | None = None,
        *,
        block_seconds: float = 0.1,
        queue_seconds: float = 10.0,
        stall_seconds: float = 2.0,
        patience_seconds: float = 30.0,
        on_event: Callable[[Finding], None] | None = None,
        sounddevice: Any = None,
    ) -> None:
        self._device, self._block_seconds = device, block_seconds
        self._queue_blocks = max(2, round(queue_seconds / block_seconds))
        self._stall_seconds, self._patience_seconds = max(stall_seconds, 2 * block_seconds), patience_seconds
        self._tell = on_event or (lambda _: None)
        self._sounddevice = sounddevice or _import_sounddevice()
        self._recording: _Recording | None = None
        self._closed = threading.Event()
        self._past_lost_seconds = 0.0  # by recordings that ended

    @property
    def sample_rate_hz(self) -> int:
        """The device's own rate, the same after it came back."""
        return self._opened().rate_hz

    @property
    def lost_seconds(self) -> float:
        """How much sound was not heard: dropped here, overrun in the driver, or while the device was away."""
        return self._past_lost_seconds + (self._recording.lost_seconds if self._recording else 0.0)

    def __enter__(self) -> Self:
        """Open the device.

        Raises
        ------
        MicrophoneError
            If there is none, or it cannot be opened.
        """
        try:
            self._recording = self._record(rate_hz=None, last_heard=None)
        except (self._sounddevice.PortAudioError, ValueError) as error:
            which = "a microphone" if self._device is None else f"the microphone {self._device!r}"
            raise MicrophoneError(f"Cannot open {which}: {error}. Plug one in, or name another device.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; a thread that iterates comes to its end."""
        self._closed.set()
        if self._recording is not None:
            self._recording.close()

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield float32 blocks of shape (samples,) at `sample_rate_hz` until `close`.

        Raises
        ------
        MicrophoneError
            When the device was gone for longer than `patience_seconds`.
        """
        told_seconds = 0.0
        while not self._closed.is_set():
            recording = self._opened()
            block = recording.next_block(self._stall_seconds)
            if self.lost_seconds > told_seconds:
                self._tell(Finding("sound-lost", f"{self.lost_seconds - told_seconds:.2f} s were not heard."))
                told_seconds = self.lost_seconds
            if block is not None:
                yield block
            elif not self._closed.is_set():
                self._tell(Finding("microphone-lost", "the microphone gives no sound any more: opening it again."))
                self._reopen(recording)

    def _opened(self) -> "_Recording":
        if self._recording is None:
            raise MicrophoneError("The microphone is not open: use it in a `with` statement.")
        return self._recording

    def _record(self, *, rate_hz: int | None, last_heard: float | None) -> "_Recording":
        return _Recording(
            self._sounddevice,
            self._device,
            rate_hz=rate_hz,
            last_heard=last_heard,
            block_seconds=self._block_seconds,
            queue_blocks=self._queue_blocks,
        )

    def _reopen(self, gone: "_Recording") -> None:
        gone.close()
        delay_seconds, why = _FIRST_DELAY_SECONDS, "it stays silent"
        while time.monotonic() - gone.last_heard < self._patience_seconds:
            if self._closed.wait(delay_seconds):
                return
            delay_seconds = min(2 * delay_seconds, _LONGEST_DELAY_SECONDS)
            try:
                _look_again(self._sounddevice)
                recording = self._record(rate_hz=gone.rate_hz, last_heard=gone.last_heard)
            except (self._sounddevice.PortAudioError, ValueError) as error:
                why = str(error)
                continue
            self._past_lost_seconds += gone.lost_seconds
            self._recording = recording
            self._tell(Finding("microphone-back", "the microphone could be opened again."))
            return
        raise MicrophoneError(
            f"The microphone went away {self._patience_seconds:g} s ago and did not come back: {why}. Check the cable."
        )


def _look_again(sounddevice: Any) -> None:
    # PortAudio lists the devices once, when it starts: one that was plugged in again is only found by a restart, for
    # which sounddevice has no public name.
    sounddevice._terminate()
    sounddevice._initialize()


class _Recording:
    """One opening of a device: its stream, and the queue between the stream's thread and the reader's."""

    def __init__(
        self,
        sounddevice: Any,
        device: int | str | None,
        *,
        rate_hz: int | None,
        last_heard: float | None,
        block_seconds: float,
        queue_blocks: int,
    ) -> None:
        self._sounddevice = sounddevice
        self._queue: queue.Queue[NDArray[np.float32] | None] = queue.Queue(queue_blocks)
        self._expected_time: float | None = None
        self._resumes = last_heard is not None
        self.last_heard = time.monotonic() if last_heard is None else last_heard
        self.lost_seconds = 0.0
        info = sounddevice.query_devices(device, "input")
        self.rate_hz = rate_hz or round(info["default_samplerate"])
        self._stream = sounddevice.InputStream(
            device=device,
            samplerate=self.rate_hz,
            channels=min(info["max_input_channels"], _MOST_CHANNELS),
            blocksize=round(block_seconds * self.rate_hz),
            dtype="float32",
            callback=self._hear,
            finished_callback=self._end,
        )
        try:
            self._stream.start()
        except sounddevice.PortAudioError:
            self.close()
            raise

    def _hear(self, samples: NDArray[np.float32], count: int, when: Any, status: Any) -> None:
        """Take a block from the device's thread, which must not wait, nor lend its buffer for longer."""
        now, length_seconds = time.monotonic(), count / self.rate_hz
        if self._resumes:
            self._resumes = False
            self.lost_seconds += max(0.0, now - length_seconds - self.last_heard)
        if status.input_overflow:  # by how much, only the clock of the device may tell
            hole_seconds = when.inputBufferAdcTime - (self._expected_time or when.inputBufferAdcTime)
            self.lost_seconds += hole_seconds if hole_seconds > 0 else length_seconds
        self._expected_time = when.inputBufferAdcTime + length_seconds
        self.last_heard = now
        try:
            self._queue.put_nowait(samples.copy())
        except queue.Full:
            self.lost_seconds += length_seconds

    def _end(self) -> None:
        with contextlib.suppress(queue.Full):  # then the reader finds out when the queue is empty
            self._queue.put_nowait(None)

    def next_block(self, timeout_seconds: float) -> NDArray[np.float32] | None:
        """Return the next mono block, or None when the device ended or gave nothing for `timeout_seconds`."""
        try:
            block = self._queue.get(timeout=timeout_seconds)
        except queue.Empty:
            return None
        return None if block is None else to_mono(block)

    def close(self) -> None:
        """Close the stream, and wake the reader."""
        with contextlib.suppress(self._sounddevice.PortAudioError):  # a device that is gone cannot be closed properly
            self._stream.close()
        self._end()
