"""WAV in all its forms: sample types, many channels, odd chunks, and lengths that are not what the header says."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.audio.decode import open_audio, read_audio
from earmark.errors import NotAudioError, SampleRateError
from tests.audio.conftest import Encode, make_sound

RATE_HZ = 16_000
SOUND = make_sound(1, RATE_HZ, 2.0)


def wav(samples: np.ndarray = SOUND, subtype: str = "PCM_16", form: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, format=form, subtype=subtype)
    return file.getvalue()


def chunk(name: bytes, content: bytes, *, pad: bool = True) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2 if pad else 0)


def riff(*chunks: bytes, riff_bytes: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if riff_bytes is None else riff_bytes) + body


def pcm_format(channels: int = 1, bits: int = 16) -> bytes:
    frame_bytes = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, RATE_HZ, RATE_HZ * frame_bytes, frame_bytes, bits))


PCM = (SOUND[:, 0] * 32_767).astype("<i2")
EXPECTED = PCM.astype(np.float32) / 32_768


@pytest.mark.parametrize(
    ("subtype", "tolerance"),
    [
        ("PCM_U8", 1 / 128),
        ("PCM_16", 1 / 32_768),
        ("PCM_24", 2**-23),
        ("PCM_32", 2**-24),
        ("FLOAT", 0),
        ("DOUBLE", 0),
        ("ULAW", 0.02),
        ("ALAW", 0.02),
        ("IMA_ADPCM", None),
        ("MS_ADPCM", None),
        ("GSM610", None),
    ],
)
@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF"])
def test_every_sample_type(subtype: str, tolerance: float | None, form: str) -> None:
    if not soundfile.check_format(form, subtype):
        pytest.skip(f"libsndfile writes no {subtype} in {form}")
    content = wav(subtype=subtype, form=form)
    waveform, reader = read_audio(content, RATE_HZ)
    assert reader.findings == ()
    assert len(waveform) >= len(SOUND)  # codecs with blocks pad the last one
    error = waveform[: len(SOUND)] - SOUND[:, 0]
    if tolerance is None:
        assert error.std() < 0.5 * SOUND.std()
    else:
        assert np.abs(error).max() <= tolerance


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_extensible_with_many_channels(channels: int, subtype: str) -> None:
    sound = make_sound(channels, RATE_HZ, 0.5)
    content = wav(sound, subtype, "WAVEX")
    assert struct.unpack("<H", content[20:22]) == (65_534,)
    waveform, reader = read_audio(content, RATE_HZ)
    assert reader.channels == channels
    assert np.allclose(waveform, sound.mean(axis=1), atol=1e-4)


@pytest.mark.parametrize("encoding", ["mu-law", "a-law", "gsm-full-rate", "ima-adpcm", "ms-adpcm"])
def test_telephone_files_of_sox(encoding: str, sox: Encode) -> None:
    path = sox(f"{encoding}.wav", "-r", "8000", "-c", "1", "-e", encoding)
    waveform, reader = read_audio(path, 8000)
    assert reader.seconds == pytest.approx(3.0, abs=0.07)
    assert reader.findings == ()
    assert np.abs(waveform).max() > 0.2


@pytest.mark.parametrize("codec", ["libmp3lame", "g726", "adpcm_ms", "pcm_s32le", "pcm_f64le", "wmav2", "ac3"])
def test_wav_around_other_codecs(codec: str, ffmpeg: Encode) -> None:
    options = ("-ar", "8000", "-ac", "1") if codec == "g726" else ()
    _, reader = read_audio(ffmpeg("sound.wav", "-c:a", codec, *options), RATE_HZ)
    assert reader.container == "wav"
    assert reader.seconds == pytest.approx(3.0, abs=0.1)
    assert [finding.code for finding in reader.findings] in ([], ["narrow-band"])


def test_chunks_before_and_behind_with_odd_sizes() -> None:
    junk = chunk(b"JUNK", bytes(27)), chunk(b"LIST", b"INFOISFT\x05\0\0\0test\0\0"), chunk(b"bext", b"x" * 603)
    behind = chunk(b"LIST", b"a" * 7001), chunk(b"id3 ", b"ID3" + bytes(9000))
    content = riff(junk[0], pcm_format(), *junk[1:], chunk(b"data", PCM.tobytes()), *behind)
    waveform, reader = read_audio(content, RATE_HZ)
    assert np.array_equal(waveform, EXPECTED)
    assert (reader.duration_seconds, reader.findings) == (2.0, ())


def test_an_odd_number_of_bytes_with_and_without_its_pad_byte() -> None:
    samples = (SOUND[:31_999, 0] * 127 + 128).astype(np.uint8)
    for pad in (True, False):
        data = chunk(b"data", samples.tobytes(), pad=pad)
        content = riff(pcm_format(bits=8), data, chunk(b"LIST", b"a" * 9000))
        waveform, reader = read_audio(content, RATE_HZ)
        assert np.array_equal(waveform, (samples.astype(np.float32) - 128) / 128)
        assert reader.findings == ()


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_length_that_the_writer_did_not_know(claimed: int) -> None:
    content = riff(pcm_format(), b"data" + struct.pack("<I", claimed) + PCM.tobytes(), riff_bytes=claimed)
    waveform, reader = read_audio(content, RATE_HZ)
    assert np.array_equal(waveform, EXPECTED)
    assert (reader.seconds, reader.findings) == (2.0, ())


def test_a_length_that_is_too_long() -> None:
    content = riff(pcm_format(), b"data" + struct.pack("<I", 3 * len(PCM.tobytes())) + PCM.tobytes())
    waveform, reader = read_audio(content, RATE_HZ)
    assert np.array_equal(waveform, EXPECTED)
    assert (reader.seconds, reader.duration_seconds) == (2.0, 6.0)
    (finding,) = reader.findings
    assert finding.code == "truncated"
    assert "only 2.00 s could be read, the header claims 6.00 s" in finding.message


def test_a_length_that_is_too_short_as_beyond_4_gigabytes() -> None:
    content = riff(pcm_format(), b"data" + struct.pack("<I", 6400) + PCM.tobytes())
    for block_seconds in (10.0, 0.3):
        with open_audio(content, RATE_HZ, block_seconds=block_seconds) as reader:
            waveform = np.concatenate(list(reader))
        assert np.array_equal(waveform, EXPECTED)
        (finding,) = reader.findings
        assert str(finding) == "wrong-length: the header claims 0.20 s, the file holds 2.00 s: all of it was read."
    part, _ = read_audio(content, RATE_HZ, start=1.5)
    assert np.array_equal(part, EXPECTED[24_000:])


def test_a_file_of_more_than_4_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "day.wav"
    data_bytes = 5 * 2**30
    with path.open("wb") as file:
        file.write(riff(pcm_format(), b"data" + struct.pack("<I", data_bytes % 2**32)))
        file.write(PCM.tobytes())
        file.truncate(44 + data_bytes)  # sparse
    waveform, reader = read_audio(path, RATE_HZ, start=1.0, end=3.0)
    assert np.array_equal(waveform, np.append(EXPECTED[16_000:], np.zeros(16_000, np.float32)))
    assert reader.seconds == 2.0


@pytest.mark.parametrize("behind", [b"\x01" * 2000, bytes(100_000)])
def test_padding_behind_the_samples_is_no_sound(behind: bytes) -> None:
    _, reader = read_audio(riff(pcm_format(), chunk(b"data", PCM.tobytes())) + behind, RATE_HZ)
    assert (reader.seconds, reader.findings) == (2.0, ())


def test_a_claim_of_a_billion_hours() -> None:
    content = bytearray(wav(form="RF64"))
    place = content.index(b"ds64") + 16
    content[place : place + 8] = struct.pack("<Q", 2 * RATE_HZ * 3600 * 10**9)
    waveform, reader = read_audio(bytes(content), RATE_HZ)
    assert len(waveform) == 2 * RATE_HZ
    assert [finding.code for finding in reader.findings] == ["truncated"]


@pytest.mark.parametrize("rate_hz", [1, 50, 100_000_000])
def test_a_rate_in_the_header_that_cannot_be(rate_hz: int) -> None:
    content = bytearray(wav())
    content[24:28] = struct.pack("<I", rate_hz)
    with pytest.raises(SampleRateError, match=f"sample rate of <bytes> is {rate_hz} Hz"):
        open_audio(bytes(content), RATE_HZ)


@pytest.mark.parametrize("size", [-1, -(2**62), 2**62])
def test_a_chunk_of_caf_with_an_impossible_size(size: int) -> None:
    content = wav(form="CAF")
    place = content.index(b"desc") + 4
    with pytest.raises(NotAudioError):
        open_audio(content[:place] + struct.pack(">q", size) + content[place + 8 :], RATE_HZ)


def test_64_bit_integers_are_refused() -> None:
    sphere = wav(subtype="PCM_32", form="W64")
    place = sphere.index(b"fmt ") + 24
    header = struct.pack("<HHIIHH", 1, 1, RATE_HZ, 8 * RATE_HZ, 8, 64)
    with pytest.raises(NotAudioError):
        read_audio(sphere[:place] + header + sphere[place + 16 :], RATE_HZ)


def test_thousands_of_chunks_do_not_hang() -> None:
    content = riff(pcm_format(), *[chunk(b"JUNK", b"")] * 100_000, chunk(b"data", PCM.tobytes()))
    assert np.array_equal(read_audio(content, RATE_HZ)[0], EXPECTED)
