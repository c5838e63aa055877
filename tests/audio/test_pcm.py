"""Raw samples from a pipe: every block as soon as it is there, whatever the pieces in which they come."""

import io
import os
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.audio.decode import read_audio
from earmark.audio.microphone import PcmStream
from earmark.errors import NonFiniteSamplesError, OptionError, SampleRateError
from tests.audio.conftest import make_sound, need

RATE_HZ = 16_000
SAMPLES = np.round(make_sound(2, RATE_HZ, 0.2) * 32_767).astype("<i2")


class Pieces(io.RawIOBase):
    """Bytes that come in pieces of given lengths."""

    def __init__(self, content: bytes, lengths: list[int]) -> None:
        self._content, self._lengths = io.BytesIO(content), iter(lengths)

    def read(self, size: int = -1) -> bytes:
        return self._content.read(min(size, next(self._lengths, size)))


@given(
    lengths=st.lists(st.integers(1, 3000)), channels=st.sampled_from([1, 2]), pcm=st.sampled_from(["s16le", "f32le"])
)
def test_any_pieces_give_the_same_samples(lengths: list[int], channels: int, pcm: str) -> None:
    samples = SAMPLES[:, :channels]
    content = samples if pcm == "s16le" else samples.astype("<f4") / 32_768
    stream = PcmStream(Pieces(content.tobytes(), lengths), RATE_HZ, channels=channels, format=pcm)  # type: ignore[arg-type]
    blocks = list(stream)
    assert min(map(len, blocks)) > 0
    assert max(map(len, blocks)) <= 1600
    assert np.allclose(np.concatenate(blocks), samples.mean(axis=1) / 32_768, atol=1e-7)
    assert np.concatenate(blocks).dtype == np.float32
    assert stream.seconds == 0.2


@pytest.mark.parametrize("buffering", [0, -1])
def test_a_block_does_not_wait_to_be_filled(buffering: int) -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb", buffering=buffering) as source, os.fdopen(write_end, "wb", buffering=0) as sink:
        blocks = iter(PcmStream(source, RATE_HZ, block_seconds=1.0))
        for length in (10, 1, 300):
            sink.write(SAMPLES[:length, 0].tobytes())
            assert len(next(blocks)) == length  # would wait for ever, were a second of sound needed
        sink.write(b"\x01")  # half a sample, when the writer is killed
        sink.close()
        assert list(blocks) == []


def test_from_ffmpeg(wav: Path) -> None:
    command = [need("ffmpeg"), "-v", "error", "-i", wav, "-f", "f32le", "-c:a", "pcm_f32le", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        stream = PcmStream(process.stdout, 44_100, channels=2, format="f32le")  # type: ignore[arg-type]
        waveform = np.concatenate(list(stream))
    assert np.array_equal(waveform, read_audio(wav, 44_100)[0])


def test_it_keeps_up_with_a_writer_in_another_thread() -> None:
    read_end, write_end = os.pipe()
    content = SAMPLES.tobytes() * 100

    def write() -> None:
        with os.fdopen(write_end, "wb") as sink:
            sink.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(read_end, "rb") as source:
        heard = sum(map(len, PcmStream(source, RATE_HZ, channels=2)))
    writer.join()
    assert heard == 100 * len(SAMPLES)


def test_floats_that_are_none() -> None:
    # -1 in 16 bits is half of a NaN in 32.
    wrong = PcmStream(io.BytesIO(np.full(100, -1, "<i2").tobytes()), RATE_HZ, format="f32le")
    with pytest.raises(NonFiniteSamplesError, match="is it really f32le"):
        list(wrong)


def test_impossible_settings() -> None:
    empty = io.BytesIO()
    with pytest.raises(OptionError, match="'s24le' is not known: give one of s16le, f32le"):
        PcmStream(empty, RATE_HZ, format="s24le")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="channels=0"):
        PcmStream(empty, RATE_HZ, channels=0)
    with pytest.raises(OptionError, match="block_seconds=0"):
        PcmStream(empty, RATE_HZ, block_seconds=0)
    with pytest.raises(SampleRateError, match="sample rate of the PCM stream is 0 Hz"):
        PcmStream(empty, 0)
