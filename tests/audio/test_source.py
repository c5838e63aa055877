"""Bytes, files, pipes and what else can be read; and that nothing is left open."""

import io
import os
import subprocess
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from earmark.audio.decode import open_audio, read_audio
from earmark.audio.source import ByteSource
from earmark.errors import AudioError, EarmarkError, NotAudioError, OptionError
from tests.audio.conftest import SECONDS, Encode, need

FORMS = {
    "sound.flac": (),
    "sound.ogg": ("-c:a", "libvorbis"),
    "sound.mp3": (),
    "sound.m4a": ("-c:a", "aac"),
    "fast.m4a": ("-c:a", "aac", "-movflags", "+faststart"),
    "sound.webm": ("-c:a", "libopus"),
    "sound.aac": (),
}


class Pipe(io.RawIOBase):
    """Bytes that can only be read forward, in small steps."""

    def __init__(self, content: bytes, step: int = 1000) -> None:
        self._content, self._step = io.BytesIO(content), step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._content.read(min(self._step, len(buffer)))
        buffer[: len(data)] = data
        return len(data)


@pytest.mark.parametrize("name", FORMS)
def test_bytes_and_file_objects_give_the_samples_of_the_path(name: str, ffmpeg: Encode) -> None:
    path = ffmpeg(name, *FORMS[name])
    expected, _ = read_audio(path, 16_000)
    content = path.read_bytes()
    assert np.array_equal(read_audio(content, 16_000)[0], expected)
    assert np.array_equal(read_audio(bytearray(content), 16_000)[0], expected)  # type: ignore[arg-type]
    with path.open("rb") as file, path.open("rb", buffering=0) as raw:
        for source in (file, raw, io.BytesIO(content)):
            waveform, reader = read_audio(source, 16_000)
            assert np.array_equal(waveform, expected)
            assert not source.closed
    assert reader.name == "<stream>"


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("step", [7, 5000])
def test_a_stream_that_cannot_seek(name: str, step: int, ffmpeg: Encode) -> None:
    path = ffmpeg(name, *FORMS[name])
    expected, _ = read_audio(path, 16_000)
    waveform, reader = read_audio(Pipe(path.read_bytes(), step), 16_000)  # type: ignore[arg-type]
    if name == "sound.mp3":  # the padding at its end is known only to those who can seek
        assert len(expected) <= len(waveform) < len(expected) + 1600
        waveform, expected = waveform[: len(expected) - 500], expected[:-500]
    assert waveform.shape == expected.shape
    assert np.allclose(waveform, expected, atol=1e-5)
    assert reader.findings == ()


def test_a_file_object_is_read_from_its_beginning(wav: Path) -> None:
    file = io.BytesIO(wav.read_bytes())
    file.seek(0, os.SEEK_END)
    assert read_audio(file, 16_000)[1].seconds == SECONDS
    assert read_audio(file, 16_000)[1].seconds == SECONDS


def test_a_stream_is_read_from_where_it_stands(wav: Path) -> None:
    pipe = Pipe(b"skip me" + wav.read_bytes())
    pipe.read(7)
    assert read_audio(pipe, 16_000)[1].seconds == SECONDS  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "ogg", "matroska", "adts", "mpegts"])
@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_pipe_from_ffmpeg(form: str, buffering: int, wav: Path) -> None:
    command = [need("ffmpeg"), "-v", "error", "-i", str(wav), "-f", form, "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=buffering) as process:
        assert process.stdout is not None
        waveform, reader = read_audio(process.stdout, 16_000)
    assert reader.seconds == pytest.approx(SECONDS, abs=0.1)
    assert len(waveform) == pytest.approx(SECONDS * 16_000, abs=1600)
    assert reader.findings == ()
    if form == "wav":
        assert np.array_equal(waveform, read_audio(wav, 16_000)[0])


def test_a_pipe_from_sox(wav: Path) -> None:
    with subprocess.Popen([need("sox"), str(wav), "-t", "wav", "-"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert read_audio(process.stdout, 16_000)[1].seconds == SECONDS


def test_a_named_pipe(wav: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.wav"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(wav.read_bytes()))
    writer.start()
    waveform, reader = read_audio(fifo, 16_000)
    writer.join()
    assert np.array_equal(waveform, read_audio(wav, 16_000)[0])
    assert reader.findings == ()


def test_blocks_come_while_the_stream_goes_on(wav: Path) -> None:
    content = wav.read_bytes()
    read_end, write_end = os.pipe()
    half = len(content) // 2
    may_end = threading.Event()

    def write() -> None:
        with os.fdopen(write_end, "wb") as file:
            file.write(content[:half])
            file.flush()
            assert may_end.wait(20)
            file.write(content[half:])

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(read_end, "rb") as stream, open_audio(stream, 16_000, block_seconds=0.1) as reader:
        heard = 0
        for block in reader:
            heard += len(block)
            if heard > 16_000:
                may_end.set()
    writer.join()
    assert heard == SECONDS * 16_000


def test_start_and_end_of_a_stream(wav: Path) -> None:
    expected, _ = read_audio(wav, 44_100, start=1.0, end=2.0)
    waveform, reader = read_audio(Pipe(wav.read_bytes()), 44_100, start=1.0, end=2.0)  # type: ignore[arg-type]
    assert np.array_equal(waveform, expected)
    assert (reader.seconds, reader.findings) == (1.0, ())
    with pytest.raises(OptionError, match=r"start=5 s is not before the end of <stream>, which lasts 3\.000 s"):
        read_audio(Pipe(wav.read_bytes()), 44_100, start=5.0)  # type: ignore[arg-type]


def test_a_cut_stream(ffmpeg: Encode) -> None:
    content = ffmpeg("sound.flac").read_bytes()
    _, reader = read_audio(Pipe(content[: len(content) // 2]), 16_000)  # type: ignore[arg-type]
    assert [finding.code for finding in reader.findings] == ["truncated"]


def test_a_file_inside_a_zip(wav: Path, tmp_path: Path) -> None:
    path = tmp_path / "sounds.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(wav, "sound.wav")
    with zipfile.ZipFile(path) as archive, archive.open("sound.wav") as member:
        assert np.array_equal(read_audio(member, 16_000)[0], read_audio(wav, 16_000)[0])  # type: ignore[arg-type]


class Failing(io.BytesIO):
    """A file whose reads fail after some bytes, as on a network drive."""

    def __init__(self, content: bytes, good_bytes: int, error: BaseException) -> None:
        super().__init__(content)
        self.good_bytes, self.error = good_bytes, error

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() + (size or 0) > self.good_bytes:
            raise self.error
        return super().read(size)


@pytest.mark.parametrize("name", ["sound.flac", "sound.mp3"])
@pytest.mark.parametrize("error", [OSError("the network drive went away"), RuntimeError("decompression failed")])
def test_a_read_that_fails(name: str, error: Exception, ffmpeg: Encode, capfd: pytest.CaptureFixture[str]) -> None:
    content = ffmpeg(name).read_bytes()
    for good_bytes in (10, len(content) // 2):
        with pytest.raises(AudioError, match=f"Reading <stream> failed: {error}") as caught:
            read_audio(Failing(content, good_bytes, error), 16_000)
        assert caught.value.__cause__ is error
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["sound.flac", "sound.mp3"])
@pytest.mark.parametrize("seekable", [True, False])
def test_ctrl_c_during_a_read(name: str, seekable: bool, ffmpeg: Encode) -> None:
    content = ffmpeg(name).read_bytes()
    for good_bytes in (10, len(content) // 2):
        file = Failing(content, good_bytes, KeyboardInterrupt())
        if not seekable:
            file.seekable, file.read1 = lambda: False, file.read  # type: ignore[method-assign, assignment]
        with pytest.raises(KeyboardInterrupt):
            read_audio(file, 16_000)


def test_nothing_is_read_after_a_failure(wav: Path) -> None:
    file = Failing(wav.read_bytes(), 1000, OSError("gone"))
    source = ByteSource(file, "file", owned=False)
    assert source.read(2000) == b""
    file.good_bytes = 10_000
    assert source.read(2000) == b""
    with pytest.raises(AudioError, match="Reading file failed: gone"):
        source.raise_failure()


def test_a_closed_file(wav: Path) -> None:
    file = wav.open("rb")
    file.close()
    with pytest.raises(AudioError, match=r"sound\.wav may not be read: I/O operation on closed file"):
        open_audio(file, 16_000)


def test_text(wav: Path, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("sound")
    with path.open() as file, pytest.raises(OptionError, match="open it in binary mode"):
        open_audio(file, 16_000)  # type: ignore[arg-type]


def open_descriptors() -> set[str]:
    links = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            links.add(f"{entry.name}:{entry.readlink()}")
        except FileNotFoundError:  # the listing's own
            continue
    return links


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are listed in /proc")
def test_no_descriptor_is_left_open(ffmpeg: Encode, wav: Path, tmp_path: Path) -> None:
    paths = [ffmpeg(name, *options) for name, options in FORMS.items()]
    noise, damaged = tmp_path / "noise.wav", tmp_path / "damaged.flac"
    noise.write_bytes(bytes(5000))
    content = bytearray(paths[0].read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    damaged.write_bytes(content)

    def give_up(path: Path) -> None:
        with open_audio(path, 16_000, block_seconds=0.1) as reader:
            next(iter(reader))

    def only_open(path: Path) -> None:
        open_audio(path, 16_000).close()

    def without_with(path: Path) -> None:
        list(open_audio(path, 16_000))

    def late(path: Path) -> None:
        read_audio(path, 16_000, start=99.0)

    def stream(path: Path) -> None:
        read_audio(Pipe(path.read_bytes()), 16_000)  # type: ignore[arg-type]

    ways: list[Callable[[Path], object]] = [give_up, only_open, without_with, late, stream]
    read_audio(wav, 16_000)
    before = open_descriptors()
    for path in (*paths, wav, noise, damaged):
        for way in ways:
            try:
                way(path)
            except EarmarkError:
                continue
    assert open_descriptors() == before


def test_an_endless_device_is_not_sound() -> None:
    began = time.monotonic()
    with pytest.raises(NotAudioError):
        open_audio("/dev/zero", 16_000)
    assert time.monotonic() - began < 5


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "hour.wav"
    with path.open("wb") as file:
        file.write(b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0")
        file.write(b"data\xff\xff\xff\xff")
        file.truncate(44 + 3600 * 32_000)
    tracemalloc.start()
    with open_audio(path, 44_100) as reader:
        for block in reader:
            assert len(block) <= 11 * 44_100
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reader.seconds == 3600.0
    assert peak_bytes < 10e6  # the whole waveform would take 635 MB
