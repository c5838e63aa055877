"""A microphone that stalls, vanishes, comes back or overruns, played by a device with a thread of its own."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from earmark.audio.doctor import Finding
from earmark.audio.microphone import InputDevice, Microphone, list_devices
from earmark.errors import MicrophoneError, MissingExtraError

RATE_HZ = 16_000
BLOCK_SECONDS = 0.01
BLOCK = 160

Act = Callable[["FakeStream"], None]


class PortAudioError(Exception):
    """As sounddevice calls it."""


def talk(stream: "FakeStream") -> None:
    """Give blocks until the stream is closed."""
    while stream.give():
        time.sleep(0.001)


def talk_then_end(blocks: int) -> Act:
    """Give blocks, then end as a driver does that notices."""

    def act(stream: "FakeStream") -> None:
        for _ in range(blocks):
            stream.give()
        stream.finished_callback()

    return act


def talk_then_stall(blocks: int) -> Act:
    """Give blocks, then nothing, as a driver does that does not."""

    def act(stream: "FakeStream") -> None:
        for _ in range(blocks):
            stream.give()

    return act


def refuse(stream: "FakeStream") -> None:
    """Be not there."""
    raise PortAudioError("Device unavailable [PaErrorCode -9985]")


@dataclass
class FakeSoundDevice:
    """Stands in for the package sounddevice: each opening of the device plays the next act."""

    acts: list[Act]
    devices: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"index": 0, "name": "Speakers", "max_input_channels": 0, "default_samplerate": 48_000.0},
            {"index": 1, "name": "USB microphone", "max_input_channels": 1, "default_samplerate": float(RATE_HZ)},
            {"index": 2, "name": "Array", "max_input_channels": 8, "default_samplerate": 44_100.0},
        ]
    )
    streams: list["FakeStream"] = field(default_factory=list)
    restarts: int = 0

    PortAudioError = PortAudioError

    def query_devices(self, device: int | str | None = None, kind: str | None = None) -> Any:
        if device is None and kind is None:
            return self.devices
        for info in self.devices:
            if info["max_input_channels"] and (device is None or device in (info["index"], info["name"])):
                return info
        raise ValueError(f"No input device matching {device!r}")

    def InputStream(self, **options: Any) -> "FakeStream":  # noqa: N802 - as sounddevice calls it
        stream = FakeStream(self.acts.pop(0) if len(self.acts) > 1 else self.acts[0], **options)
        self.streams.append(stream)
        return stream

    def _terminate(self) -> None:
        self.restarts += 1

    def _initialize(self) -> None:
        pass


class FakeStream:
    """A stream whose thread calls back, as PortAudio's does."""

    def __init__(self, act: Act, **options: Any) -> None:
        self.options, self.finished_callback, self._callback = (
            options,
            options["finished_callback"],
            options["callback"],
        )
        self._act = act
        self._closed = threading.Event()
        self.clock, self.slowest_callback_seconds = 100.0, 0.0
        self.given = 0

    def start(self) -> None:
        if self._act is refuse:
            refuse(self)
        self._thread = threading.Thread(target=self._act, args=(self,))
        self._thread.start()

    def give(self, *, overflow: bool = False, hole_seconds: float = 0.0) -> bool:
        samples = np.full((BLOCK, self.options["channels"]), 0.001 * self.given, np.float32)
        self.clock += hole_seconds
        began = time.monotonic()
        self._callback(
            samples, BLOCK, SimpleNamespace(inputBufferAdcTime=self.clock), SimpleNamespace(input_overflow=overflow)
        )
        self.slowest_callback_seconds = max(self.slowest_callback_seconds, time.monotonic() - began)
        samples[:] = np.nan  # the buffer is the driver's again
        self.clock += BLOCK / RATE_HZ
        self.given += 1
        return not self._closed.is_set()

    def close(self) -> None:
        self._closed.set()
        if getattr(self, "_thread", None) and self._thread is not threading.current_thread():
            self._thread.join()
        self.finished_callback()


def microphone(sounddevice: FakeSoundDevice, **options: Any) -> Microphone:
    settings = {"block_seconds": BLOCK_SECONDS, "stall_seconds": 0.1, "patience_seconds": 2.0}
    return Microphone(sounddevice=sounddevice, **(settings | options))


@pytest.fixture
def events() -> list[Finding]:
    return []


def take(blocks: Iterator[np.ndarray], count: int) -> np.ndarray:
    return np.concatenate([next(blocks) for _ in range(count)])


def test_blocks_come_in_order_as_mono_floats() -> None:
    sounddevice = FakeSoundDevice([talk])
    with microphone(sounddevice, queue_seconds=60) as source:
        assert source.sample_rate_hz == RATE_HZ
        heard = take(iter(source), 20)
    assert heard.dtype == np.float32
    assert np.allclose(heard.reshape(20, BLOCK), 0.001 * np.arange(20)[:, np.newaxis])
    assert source.lost_seconds == 0.0
    assert sounddevice.streams[0].options["blocksize"] == BLOCK


def test_a_device_is_chosen_by_name_and_its_first_two_channels_are_heard() -> None:
    sounddevice = FakeSoundDevice([talk])
    with microphone(sounddevice, device="Array") as source:
        assert source.sample_rate_hz == 44_100
        assert next(iter(source)).shape == (BLOCK,)
    assert sounddevice.streams[0].options["channels"] == 2


@pytest.mark.parametrize("vanish", [talk_then_end, talk_then_stall])
def test_a_device_that_vanishes_is_opened_again(vanish: Callable[[int], Act], events: list[Finding]) -> None:
    sounddevice = FakeSoundDevice([vanish(5), refuse, talk])
    with microphone(sounddevice, on_event=events.append) as source:
        blocks = iter(source)
        before = take(blocks, 5)
        gone = time.monotonic()
        after = take(blocks, 5)
        away_seconds = time.monotonic() - gone
    assert np.allclose(before[::BLOCK], 0.001 * np.arange(5))
    assert np.allclose(after[::BLOCK], 0.001 * np.arange(5))
    assert [event.code for event in events] == ["microphone-lost", "microphone-back", "sound-lost"]
    assert 0.7 < source.lost_seconds < away_seconds + 0.1  # the pauses of 0.25 and 0.5 s at least
    assert f"{source.lost_seconds:.2f} s were not heard" in events[2].message
    assert sounddevice.restarts == 2
    assert sounddevice.streams[-1].options["samplerate"] == RATE_HZ


def test_a_device_that_does_not_come_back(events: list[Finding]) -> None:
    sounddevice = FakeSoundDevice([talk_then_end(3), refuse])
    began = time.monotonic()
    with microphone(sounddevice, on_event=events.append, patience_seconds=0.6) as source:
        blocks = iter(source)
        take(blocks, 3)
        with pytest.raises(MicrophoneError, match=r"went away 0\.6 s ago and did not come back: Device unavailable"):
            next(blocks)
    assert time.monotonic() - began < 3
    assert [event.code for event in events] == ["microphone-lost"]


def test_a_device_that_comes_back_but_stays_silent() -> None:
    sounddevice = FakeSoundDevice([talk_then_end(3), talk_then_stall(0)])
    with microphone(sounddevice, patience_seconds=1.0) as source:
        blocks = iter(source)
        take(blocks, 3)
        with pytest.raises(MicrophoneError, match="it stays silent"):
            next(blocks)
    assert len(sounddevice.streams) >= 3


def test_a_reader_that_is_too_slow_loses_sound_and_the_device_never_waits(events: list[Finding]) -> None:
    def talk_fast(stream: FakeStream) -> None:
        for _ in range(100):
            stream.give()
        while stream.give():
            time.sleep(0.01)

    sounddevice = FakeSoundDevice([talk_fast])
    with microphone(sounddevice, on_event=events.append, queue_seconds=0.2) as source:
        blocks = iter(source)
        deadline = time.monotonic() + 5
        while sounddevice.streams[0].given < 100 and time.monotonic() < deadline:
            time.sleep(0.01)
        heard = take(blocks, 20)
        assert source.lost_seconds >= 80 * BLOCK_SECONDS - 1e-9
    assert np.allclose(heard[::BLOCK], 0.001 * np.arange(20))
    assert sounddevice.streams[0].slowest_callback_seconds < 0.1
    assert {event.code for event in events} == {"sound-lost"}
    told = sum(float(event.message.split()[0]) for event in events)
    assert told == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize(("hole_seconds", "lost_seconds"), [(0.35, 0.35), (0.0, BLOCK_SECONDS)])
def test_an_overrun_in_the_driver_is_counted(hole_seconds: float, lost_seconds: float, events: list[Finding]) -> None:
    def overrun(stream: FakeStream) -> None:
        stream.give()
        stream.give(overflow=True, hole_seconds=hole_seconds)
        talk(stream)

    with microphone(FakeSoundDevice([overrun]), on_event=events.append) as source:
        take(iter(source), 3)
        assert source.lost_seconds == pytest.approx(lost_seconds)
    assert [event.code for event in events] == ["sound-lost"]


def test_closing_ends_the_thread_that_listens() -> None:
    for acts in ([talk], [talk_then_stall(1)], [talk_then_end(1), refuse]):
        source = microphone(FakeSoundDevice(acts), stall_seconds=30.0, patience_seconds=30.0)
        with source:
            first = threading.Event()

            def listen(source: Microphone = source, first: threading.Event = first) -> None:
                for _ in source:
                    first.set()

            thread = threading.Thread(target=listen)
            thread.start()
            assert first.wait(5)
            time.sleep(0.05)
        thread.join(5)
        assert not thread.is_alive()


def test_no_microphone() -> None:
    sounddevice = FakeSoundDevice([talk], devices=[])
    with pytest.raises(MicrophoneError, match="Cannot open a microphone: No input device matching None"):
        microphone(sounddevice).__enter__()
    assert list_devices(sounddevice=sounddevice) == ()


def test_a_microphone_that_is_taken() -> None:
    with pytest.raises(MicrophoneError, match="Cannot open the microphone 'USB microphone': Device unavailable"):
        microphone(FakeSoundDevice([refuse]), device="USB microphone").__enter__()


def test_a_microphone_that_is_not_open() -> None:
    with pytest.raises(MicrophoneError, match="use it in a `with` statement"):
        next(iter(microphone(FakeSoundDevice([talk]))))


def test_devices() -> None:
    assert list_devices(sounddevice=FakeSoundDevice([talk])) == (
        InputDevice(index=1, name="USB microphone", channels=1, sample_rate_hz=RATE_HZ, is_default=True),
        InputDevice(index=2, name="Array", channels=8, sample_rate_hz=44_100, is_default=False),
    )


def test_the_extra_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtraError, match=r"needs sounddevice.*pip install 'earmark\[live\]'"):
        Microphone()
    with pytest.raises(MissingExtraError, match="Listening to a microphone"):
        list_devices()


def test_portaudio_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutPortAudio:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [WithoutPortAudio(), *sys.meta_path])
    with pytest.raises(MicrophoneError, match="apt install libportaudio2"):
        Microphone()
