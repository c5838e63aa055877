"""WAV on a pipe: headers without a length lead to raw samples at once, everything else is left as it was."""

import io
import struct
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.audio.decode import open_audio
from earmark.audio.pcm import PcmStream
from earmark.audio.wavpipe import open_wav_pipe
from earmark.errors import NotAudioError

RATE_HZ = 22_050
SAMPLES = (np.random.default_rng(8).uniform(-0.5, 0.5, (RATE_HZ // 2, 2)) * 32768).round().astype("<i2")


class Pipe(io.BufferedIOBase):
    """Bytes that come a few at a time and only once."""

    def __init__(self, data: bytes, at_once: int = 1000) -> None:
        self._data, self._at_once = io.BytesIO(data), at_once

    def read(self, size: int | None = -1) -> bytes:
        return self._data.read(size)

    def read1(self, size: int = -1) -> bytes:
        return self._data.read(min(size, self._at_once))

    def seekable(self) -> bool:
        return False


def wav(
    *, tag: int = 1, bits: int = 16, claim: int = 0xFFFFFFFF, extra: bytes = b"", data: bytes | None = None
) -> bytes:
    data = SAMPLES.tobytes() if data is None else data
    form = struct.pack("<HHIIHH", tag, 2, RATE_HZ, 0, 2 * bits // 8, bits)
    if tag == 0xFFFE:
        form += struct.pack("<HHIH", 22, bits, 3, 1) + b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    head = b"RIFF" + struct.pack("<I", claim) + b"WAVEfmt " + struct.pack("<I", len(form)) + form + extra
    return head + b"data" + struct.pack("<I", claim) + data


def opened(data: bytes, at_once: int = 1000):
    return open_wav_pipe(Pipe(data, at_once), block_seconds=0.02)


def left(stream) -> bytes:
    return b"".join(iter(lambda: stream.read(777), b""))


@pytest.mark.parametrize("claim", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF - 36])
@pytest.mark.parametrize("extra", [b"", b"LIST\x04\x00\x00\x00INFO", b"odd \x03\x00\x00\x00abc\x00"])
@pytest.mark.parametrize("tag", [1, 0xFFFE])
def test_samples_of_16_bits(claim: int, extra: bytes, tag: int) -> None:
    stream = opened(wav(tag=tag, claim=claim, extra=extra))
    assert isinstance(stream, PcmStream)
    assert stream.sample_rate_hz == RATE_HZ
    blocks = list(stream)
    assert max(map(len, blocks)) <= RATE_HZ // 50
    np.testing.assert_allclose(np.concatenate(blocks), SAMPLES.mean(axis=1) / 32768, atol=1e-6)


def test_samples_that_are_floats() -> None:
    floats = (SAMPLES / 32768).astype("<f4")
    stream = opened(wav(tag=3, bits=32, data=floats.tobytes()))
    np.testing.assert_allclose(np.concatenate(list(stream)), floats.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(
    "data",
    [
        wav(claim=SAMPLES.nbytes),  # a length that can be checked
        wav(tag=6, bits=8),
        wav(bits=24),
        wav(extra=b"huge" + struct.pack("<I", 1 << 24)),
        wav()[:40],
        b"RIFF\x00\x00\x00\x00AVI LIST",
        b"OggS" + bytes(2000),
        b"RI",
        b"",
    ],
)
@pytest.mark.parametrize("at_once", [1, 100_000])
def test_everything_else_is_put_back(data: bytes, at_once: int) -> None:
    stream = opened(data, at_once)
    assert not isinstance(stream, PcmStream)
    assert not stream.seekable()
    assert left(stream) == data


@given(data=st.binary(max_size=60))
def test_no_header_is_too_strange(data: bytes) -> None:
    head = b"RIFF\xff\xff\xff\xffWAVE" + data
    stream = opened(head)
    assert isinstance(stream, PcmStream) or left(stream) == head


def test_a_stream_put_back_can_be_decoded() -> None:
    reader = open_audio(opened(wav(claim=SAMPLES.nbytes)), RATE_HZ)
    np.testing.assert_allclose(np.concatenate(list(reader)), SAMPLES.mean(axis=1) / 32768, atol=1e-4)
    with pytest.raises(NotAudioError):
        open_audio(opened(bytes(range(256)) * 100), RATE_HZ)


@pytest.mark.parametrize(
    "command",
    [
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=f=440:r=22050:d=0.5", "-ac", "1", "-f", "wav", "-"],
        ["sox", "-n", "-r", "22050", "-c", "1", "-b", "16", "-t", "wav", "-", "synth", "0.5", "sine", "440"],
    ],
    ids=lambda command: command[0],
)
def test_what_real_programs_write(command: list[str]) -> None:
    data = subprocess.run(command, check=True, capture_output=True).stdout
    stream = opened(data)
    assert isinstance(stream, PcmStream)
    wave = np.concatenate(list(stream))
    assert len(wave) == pytest.approx(RATE_HZ / 2, abs=2)
    assert abs(int(np.abs(np.fft.rfft(wave)).argmax()) - 220) <= 1
