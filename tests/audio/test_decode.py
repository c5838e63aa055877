"""Every container and codec gives the samples that its own tools give, in blocks as at once, from anywhere."""

import io
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark.audio.decode import MOST_SECONDS, open_audio, read_audio, source_name
from earmark.errors import (
    AudioError,
    AudioIsFolderError,
    AudioNotFoundError,
    EmptyAudioError,
    NonFiniteSamplesError,
    NoSoundTrackError,
    NotAudioError,
    OptionError,
    SampleRateError,
)
from tests.audio.conftest import RATE_HZ, SECONDS, Encode, make_sound, need

LOSSLESS = {
    "sound.flac": (),
    "sound.aiff": (),
    "sound.au": (),
    "sound.caf": (),
    "sound.w64": (),
    "sound.wv": (),
    "sound.mka": ("-c:a", "flac"),
    "alac.m4a": ("-c:a", "alac"),
    "flac.oga": ("-c:a", "flac"),
    "rf64.wav": ("-rf64", "always"),
}
LOSSY = {
    "sound.ogg": ("-c:a", "libvorbis", "-q:a", "8"),
    "sound.mp3": ("-b:a", "256k"),
    "vbr.mp3": ("-q:a", "2", "-write_xing", "0"),
    "sound.mp2": ("-b:a", "320k"),
    "sound.m4a": ("-c:a", "aac", "-b:a", "256k"),
    "sound.aac": ("-c:a", "aac", "-b:a", "256k"),
    "sound.opus": ("-c:a", "libopus", "-b:a", "256k"),
    "sound.webm": ("-c:a", "libopus", "-b:a", "256k"),
    "sound.mp4": ("-f", "lavfi", "-i", "testsrc=d=3:s=64x64:r=5", "-map", "0:a", "-map", "1:v", "-c:a", "aac"),
    "sound.mkv": ("-f", "lavfi", "-i", "testsrc=d=3:s=64x64:r=5", "-map", "1:v", "-map", "0:a", "-c:a", "libvorbis"),
    "sound.ts": ("-c:a", "mp2", "-b:a", "320k"),
}
ONE_OF_EACH_DECODER = ["sound.flac", "sound.ogg", "sound.mp3", "sound.m4a", "sound.opus"]


def encoded(ffmpeg: Encode, name: str) -> Path:
    return ffmpeg(name, *(LOSSLESS | LOSSY)[name])


def mono(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    mean = (samples[:, 0] + samples[:, 1]) / 2
    return mean if rate_hz == RATE_HZ else soxr.resample(mean, RATE_HZ, rate_hz, quality="HQ")


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_gives_the_samples_of_the_wav(name: str, ffmpeg: Encode, wav: Path) -> None:
    waveform, reader = read_audio(encoded(ffmpeg, name), 16_000)
    expected = mono(soundfile.read(wav, dtype="float32")[0], 16_000)
    assert waveform.dtype == np.float32
    assert np.array_equal(waveform, expected)
    assert (reader.seconds, reader.duration_seconds, reader.channels) == (SECONDS, SECONDS, 2)
    assert reader.findings == ()


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_gives_the_sound_in_its_place(name: str, ffmpeg: Encode, wav: Path) -> None:
    rate_hz = 48_000 if name in ("sound.opus", "sound.webm") else RATE_HZ
    waveform, reader = read_audio(encoded(ffmpeg, name), rate_hz)
    expected = mono(soundfile.read(wav, dtype="float32")[0], rate_hz)
    # Formats without a note of their padding begin late, by less than a tenth of a second.
    products = np.fft.irfft(np.fft.rfft(waveform, 1 << 19) * np.fft.rfft(expected, 1 << 19).conj())
    delay = int(products[:4800].argmax())
    length = min(len(waveform) - delay, len(expected)) - 2000
    error = waveform[delay : delay + length] - expected[:length]
    assert error.std() < 0.25 * expected.std()
    assert delay == 0 or name in ("vbr.mp3", "sound.mp2", "sound.ts", "sound.aac")
    assert reader.source_rate_hz == rate_hz
    assert reader.seconds == pytest.approx(SECONDS, abs=0.1)
    assert reader.findings == ()


def test_what_was_read_is_named(ffmpeg: Encode, wav: Path) -> None:
    found = {}
    for name in ("sound.flac", "sound.ogg", "sound.mp3", "sound.m4a", "sound.opus", "sound.mkv"):
        with open_audio(encoded(ffmpeg, name), 16_000) as reader:
            found[name] = (reader.container, reader.codec, reader.source_rate_hz)
    assert found == {
        "sound.flac": ("flac", "pcm_16", 44_100),
        "sound.ogg": ("ogg", "vorbis", 44_100),
        "sound.mp3": ("mp3", "mp3", 44_100),
        "sound.m4a": ("mp4", "aac", 44_100),
        "sound.opus": ("ogg", "opus", 48_000),
        "sound.mkv": ("matroska", "vorbis", 44_100),
    }


def test_the_name_of_a_file_says_nothing_about_its_content(ffmpeg: Encode, tmp_path: Path) -> None:
    disguised = tmp_path / "picture.jpg"
    disguised.write_bytes(encoded(ffmpeg, "sound.m4a").read_bytes())
    assert read_audio(disguised, 16_000)[1].codec == "aac"


@pytest.mark.parametrize("name", ONE_OF_EACH_DECODER)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(block_seconds=st.floats(0.001, 4.0))
def test_blocks_give_the_same_samples_as_the_whole(name: str, ffmpeg: Encode, block_seconds: float) -> None:
    path = encoded(ffmpeg, name)
    whole, _ = read_audio(path, 16_000)
    with open_audio(path, 16_000, block_seconds=block_seconds) as reader:
        blocks = list(reader)
    assert min(map(len, blocks)) > 0
    assert np.array_equal(np.concatenate(blocks), whole)


@pytest.mark.parametrize("name", ONE_OF_EACH_DECODER)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.floats(0, 2.9), length=st.floats(0.01, 3.5), block_seconds=st.floats(0.01, 4.0))
def test_a_part_is_a_slice(name: str, ffmpeg: Encode, start: float, length: float, block_seconds: float) -> None:
    path = encoded(ffmpeg, name)
    with open_audio(path, 16_000) as reader:
        rate_hz = reader.source_rate_hz
    whole, _ = read_audio(path, rate_hz)  # not resampled
    with open_audio(path, rate_hz, start=start, end=start + length, block_seconds=block_seconds) as reader:
        part = np.concatenate(list(reader))
    expected = whole[round(start * rate_hz) : round((start + length) * rate_hz)]
    assert np.array_equal(part, expected)
    assert reader.seconds == len(expected) / rate_hz
    assert {finding.code for finding in reader.findings} <= {"very-low-level"}  # of the first instant


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 22_050, 32_000, 48_000, 96_000])
def test_resampled_in_blocks_as_in_one_go(rate_hz: int) -> None:
    sound = make_sound(1, rate_hz, 1.0)
    with open_audio((sound, rate_hz), 16_000, block_seconds=0.017) as reader:
        blocks = np.concatenate(list(reader))
    assert np.array_equal(blocks, soxr.resample(sound[:, 0], rate_hz, 16_000, quality="HQ"))


class TestArrays:
    @pytest.mark.parametrize(
        ("dtype", "full_scale", "zero"),
        [("int8", 128, 0), ("uint8", 128, 128), ("int16", 32_768, 0), ("int32", 2**31, 0)],
    )
    def test_integers_are_scaled(self, dtype: str, full_scale: int, zero: int) -> None:
        samples = np.array([-1.0, -0.5, 0.0, 0.5] * 1000)
        waveform, reader = read_audio(((samples * full_scale + zero).astype(dtype), 16_000), 16_000)
        assert np.array_equal(waveform, samples.astype(np.float32))
        assert (reader.container, reader.codec, reader.name) == ("array", dtype, "<array>")

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_floats_are_taken_as_they_are(self, dtype: str) -> None:
        samples = np.array([0.25, -2.5] * 100, dtype)
        assert np.array_equal(read_audio((samples, 16_000), 16_000)[0], samples.astype(np.float32))

    @pytest.mark.parametrize("channels", [1, 2, 3, 6])
    def test_mono_is_the_mean(self, channels: int) -> None:
        sound = make_sound(channels, 16_000, 0.5)
        for given_as in (sound, np.asfortranarray(sound), np.repeat(sound, 2, axis=0)[::2]):
            waveform, reader = read_audio((given_as, 16_000), 16_000)
            assert np.allclose(waveform, sound.mean(axis=1), atol=1e-7)
            assert waveform.flags.c_contiguous
            assert reader.channels == channels

    def test_one_dimension_is_mono(self) -> None:
        sound = make_sound(1, 16_000, 0.5)
        assert np.array_equal(read_audio((sound[:, 0], 16_000), 16_000)[0], sound[:, 0])

    def test_a_rate_may_be_a_whole_float_or_a_numpy_number(self) -> None:
        for rate_hz in (16_000.0, np.int64(16_000), np.float32(16_000)):
            assert read_audio((np.ones(100, np.float32), rate_hz), 16_000)[1].source_rate_hz == 16_000

    @pytest.mark.parametrize("rate_hz", [0, -16_000, 99, 10**9, 16_000.5, None, "16000", float("nan"), float("inf")])
    def test_an_impossible_rate(self, rate_hz: object) -> None:
        with pytest.raises(SampleRateError, match="sample rate of the array"):
            open_audio((np.zeros(100, np.float32), rate_hz), 16_000)  # type: ignore[arg-type]

    def test_no_rate(self) -> None:
        with pytest.raises(SampleRateError, match="give the pair"):
            open_audio(np.zeros(100, np.float32), 16_000)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("samples", "words"),
        [
            (np.zeros(100, np.int64), "int64"),
            (np.zeros(100, bool), "bool"),
            (np.zeros(100, complex), "complex"),
            (np.zeros((2, 16_000), np.float32), "16000 channels"),
            (np.zeros((2, 2, 2), np.float32), r"\(2, 2, 2\)"),
            (np.float32(0), "float32"),
            ([0.0, 0.1], "list"),
        ],
    )
    def test_an_impossible_array(self, samples: object, words: str) -> None:
        with pytest.raises(OptionError, match=words):
            open_audio((samples, 16_000), 16_000)  # type: ignore[arg-type]

    def test_no_samples(self) -> None:
        for empty in (np.zeros(0, np.float32), np.zeros((0, 2), np.int16)):
            with pytest.raises(EmptyAudioError, match="no samples"):
                open_audio((empty, 16_000), 16_000)

    def test_less_than_one_sample_of_the_model(self) -> None:
        with pytest.raises(EmptyAudioError, match="less than one sample at 16000 Hz"):
            read_audio((np.ones(1, np.float32), 96_000), 16_000)


class TestSpan:
    @pytest.mark.parametrize("name", ["sound.flac", "sound.mp3"])
    def test_a_start_after_the_end(self, name: str, ffmpeg: Encode) -> None:
        with pytest.raises(OptionError, match=r"start=7 s is not before the end of .*, which lasts 3\.000 s"):
            read_audio(encoded(ffmpeg, name), 16_000, start=7.0)

    def test_the_end_itself_is_no_start(self, wav: Path) -> None:
        with pytest.raises(OptionError, match="start=3 s"):
            open_audio(wav, 16_000, start=3.0)

    @pytest.mark.parametrize("name", ["sound.flac", "sound.mp3", "sound.ogg", "sound.m4a"])
    def test_the_latest_start_and_end(self, name: str, ffmpeg: Encode) -> None:
        path = encoded(ffmpeg, name)
        with pytest.raises(OptionError, match="is not before the end"):
            read_audio(path, 16_000, start=MOST_SECONDS)
        assert read_audio(path, 16_000, end=MOST_SECONDS)[1].seconds == pytest.approx(3.0, abs=0.1)

    @pytest.mark.parametrize("start", [-0.1, float("nan"), float("inf"), 1.1e9, 1e308])
    def test_an_impossible_start(self, start: float, wav: Path) -> None:
        with pytest.raises(
            OptionError, match=re.escape(f"start={start} s must be 0 or more, and at most 1000000000 s")
        ):
            open_audio(wav, 16_000, start=start)

    @pytest.mark.parametrize("end", [1.0, 0.5, -1.0, float("nan"), float("inf"), 1.1e9, 1e305])
    def test_an_impossible_end(self, end: float, wav: Path) -> None:
        said = f"end={end} s must lie after start=1.0 s, and at most at 1000000000 s"
        with pytest.raises(OptionError, match=re.escape(said)):
            open_audio(wav, 16_000, start=1.0, end=end)

    def test_an_end_after_the_end_is_the_end(self, wav: Path) -> None:
        waveform, reader = read_audio(wav, 16_000, start=1.0, end=99.0)
        assert (len(waveform), reader.seconds, reader.findings) == (32_000, 2.0, ())

    @pytest.mark.parametrize("block_seconds", [0.0, -1.0, float("nan")])
    def test_an_impossible_block(self, block_seconds: float, wav: Path) -> None:
        with pytest.raises(OptionError, match="block_seconds"):
            open_audio(wav, 16_000, block_seconds=block_seconds)

    def test_a_block_longer_than_any_recording(self, wav: Path) -> None:
        with open_audio(wav, 16_000, block_seconds=1e308) as reader:
            assert len(next(iter(reader))) == 48_000

    @pytest.mark.parametrize("rate_hz", [0, -1, 1.5, None])
    def test_an_impossible_rate_of_the_model(self, rate_hz: object, wav: Path) -> None:
        with pytest.raises(SampleRateError, match="sample rate of the model"):
            open_audio(wav, rate_hz)  # type: ignore[arg-type]


class TestNotSound:
    def test_no_such_file(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none.wav", str(tmp_path / "none" / "none.wav"), "a\0b.wav"):
            with pytest.raises(AudioNotFoundError, match="No such file"):
                open_audio(path, 16_000)

    def test_a_file_used_as_a_folder(self, wav: Path) -> None:
        with pytest.raises(AudioNotFoundError, match="No such file"):
            open_audio(wav / "inside.wav", 16_000)

    def test_a_name_that_is_no_text(self, wav: Path, tmp_path: Path) -> None:
        path = tmp_path / os.fsdecode(b"caf\xe9.wav")
        path.write_bytes(wav.read_bytes())
        assert read_audio(path, 16_000)[1].seconds == SECONDS

    def test_a_name_that_is_no_text_for_ffmpeg(self, ffmpeg: Encode, tmp_path: Path) -> None:
        for number, name in enumerate(("sound.m4a", "sound.mp3", "sound.mkv")):
            path = tmp_path / os.fsdecode(b"bad\xff%d.wav" % number)
            path.write_bytes(encoded(ffmpeg, name).read_bytes())
            for source in (path, str(path)):
                waveform, reader = read_audio(source, 16_000)
                assert np.array_equal(waveform, read_audio(encoded(ffmpeg, name), 16_000)[0])
                assert reader.name == str(path)

    @pytest.mark.parametrize("content", [b"RIFF\x10\0\0\0WAVEfmt ", b"no sound at all", b""])
    def test_no_sound_under_a_name_that_is_no_text(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / os.fsdecode(b"bad\xff.wav")
        with pytest.raises(AudioNotFoundError, match=r"bad\\udcff\.wav"):
            open_audio(path, 16_000)
        path.write_bytes(content)
        with pytest.raises((NotAudioError, EmptyAudioError)):
            open_audio(path, 16_000)

    def test_an_empty_name(self) -> None:
        with pytest.raises(AudioNotFoundError, match="The name of the file is empty: give the path"):
            open_audio("", 16_000)

    def test_an_address(self) -> None:
        for address in ("http://example.org/dog.wav", "rtsp://camera:554/1", Path("https://example.org/dog.wav")):
            with pytest.raises(AudioNotFoundError, match=r"No such file: .* Addresses are not read: download it"):
                open_audio(address, 16_000)
        with pytest.raises(AudioNotFoundError, match=r"The current folder is"):
            open_audio("12:30.wav", 16_000)

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(AudioIsFolderError, match="is a folder"):
            open_audio(tmp_path, 16_000)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.wav"
        path.touch()
        for source in (path, b"", io.BytesIO()):
            with pytest.raises(EmptyAudioError, match=r"is empty \(0 bytes\)"):
                open_audio(source, 16_000)

    def test_a_loop_of_links(self, tmp_path: Path) -> None:
        (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
        with pytest.raises(AudioError, match=r"loop\.wav may not be read: Too many levels"):
            open_audio(tmp_path / "loop.wav", 16_000)

    def test_a_file_that_may_not_be_read(self, wav: Path, tmp_path: Path) -> None:
        path = tmp_path / "secret.wav"
        path.write_bytes(wav.read_bytes())
        path.chmod(0)
        code = (
            "import os, sys\n"
            "from earmark.audio.decode import open_audio\n"
            "import earmark.errors\n"
            "import soundfile\n"
            "os.getuid() or os.seteuid(65534)\n"
            "try: open_audio(sys.argv[1], 16000)\n"
            "except earmark.errors.AudioError as error: print(error)\n"
        )
        result = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        assert "may not be read: Permission denied" in result.stdout

    @pytest.mark.parametrize(
        "content",
        [
            b"hello",
            b"<!DOCTYPE html><title>404 Not Found</title>" * 20,
            b"PK\x03\x04" + bytes(1000),
            b"%PDF-1.7\n" + bytes(1000),
            bytes(100_000),
            np.random.default_rng(1).bytes(200_000),
            b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(100),
            b"RIFF\x24\x00\x00\x00WAVEfmt ",
            b"OggS",
            b"fLaC",
            b"ID3\x03\x00\x00\x00\x00\x00\x00",
            b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
            b"ffconcat version 1.0\nfile sound.wav\n",
            b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        ],
    )
    def test_other_bytes(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "sound.wav"
        path.write_bytes(content)
        for source in (path, content):
            with pytest.raises(NotAudioError):
                open_audio(source, 16_000)

    def test_pictures(self, tmp_path: Path) -> None:
        for name in ("picture.png", "picture.jpg", "picture.gif"):
            path = tmp_path / name
            command = [need("ffmpeg"), "-v", "error", "-f", "lavfi", "-i", "testsrc=d=1:s=32x32:r=1", "-frames:v", "1"]
            subprocess.run([*command, path], check=True)
            with pytest.raises(NotAudioError, match="no sound or video file"):
                open_audio(path, 16_000)

    @pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "webm"])
    def test_video_without_sound(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"silent.{suffix}"
        command = [need("ffmpeg"), "-v", "error", "-f", "lavfi", "-i", "testsrc=d=1:s=64x64:r=5", str(path)]
        subprocess.run(command, check=True)
        with pytest.raises(NoSoundTrackError, match="no sound track that FFmpeg can decode, only: video"):
            open_audio(path, 16_000)

    @pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "AIFF", "MP3"])
    def test_no_samples(self, form: str) -> None:
        file = io.BytesIO()
        soundfile.write(file, np.zeros((0, 1), np.float32), 16_000, format=form)
        with pytest.raises((EmptyAudioError, NotAudioError)):
            read_audio(file.getvalue(), 16_000)

    @pytest.mark.parametrize("source", [None, 3, 2.5, object(), ["sound.wav"], {}])
    def test_no_source_at_all(self, source: object) -> None:
        with pytest.raises(OptionError, match="is no source"):
            open_audio(source, 16_000)  # type: ignore[arg-type]

    def test_a_tuple_of_another_length(self) -> None:
        with pytest.raises(OptionError, match="A tuple of 3"):
            open_audio((np.zeros(3), 16_000, 1), 16_000)  # type: ignore[arg-type]


class TestNonFinite:
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_count_and_place(self, bad: float) -> None:
        sound = make_sound(2, 16_000, 2.0)
        sound[[24_000, 24_001, 31_000], 1] = bad
        with pytest.raises(
            NonFiniteSamplesError, match=r"<array> holds 3 NaN or infinite samples, the first at 1\.500 s"
        ):
            read_audio((sound, 16_000), 16_000)

    def test_the_count_goes_on_to_the_end(self) -> None:
        file = io.BytesIO()
        sound = make_sound(1, 16_000, 4.0)
        sound[16_000::16_000] = np.nan
        soundfile.write(file, sound, 16_000, format="WAV", subtype="FLOAT")
        with open_audio(file, 16_000, block_seconds=0.5) as reader:
            blocks = iter(reader)
            assert len(next(blocks)) == 8000
            with pytest.raises(NonFiniteSamplesError, match=r"3 NaN or infinite samples, the first at 1\.000 s"):
                list(blocks)

    def test_beyond_float32_is_infinite(self) -> None:
        with pytest.raises(NonFiniteSamplesError, match=r"holds 1 NaN or infinite sample, at 0\.000 s"):
            read_audio((np.array([0.0, 1e300, 0.0]), 16_000), 16_000)


class TestReader:
    def test_once(self, wav: Path) -> None:
        with open_audio(wav, 16_000) as reader:
            list(reader)
            with pytest.raises(AudioError, match="open it again"):
                iter(reader)

    def test_seconds_grow(self, wav: Path) -> None:
        with open_audio(wav, 44_100, block_seconds=1.0) as reader:
            assert reader.seconds == 0.0
            seconds = [reader.seconds for _ in reader]
        assert seconds == [1.0, 2.0, 3.0]

    def test_names(self, wav: Path) -> None:
        assert source_name(wav) == str(wav)
        assert source_name("a/b.wav") == "a/b.wav"
        assert source_name(b"RIFF") == "<bytes>"
        assert source_name(io.BytesIO()) == "<stream>"
        assert source_name((np.zeros(1), 1)) == "<array>"
        with wav.open("rb") as file:
            assert source_name(file) == str(wav)

    def test_several_threads(self, ffmpeg: Encode) -> None:
        paths = [encoded(ffmpeg, name) for name in ONE_OF_EACH_DECODER]
        expected = [read_audio(path, 16_000)[0] for path in paths]
        same: list[bool] = []

        def read_all() -> None:
            same.extend(np.array_equal(read_audio(p, 16_000)[0], e) for p, e in zip(paths, expected, strict=True))

        threads = [threading.Thread(target=read_all) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert same == [True] * 4 * len(paths)


def test_importing_loads_no_decoder() -> None:
    code = "import sys, earmark.audio.check, earmark.audio.microphone; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"av", "soundfile", "soxr", "sounddevice", "scipy"} & set(loaded)
