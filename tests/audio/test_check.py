"""The input doctor finds what is wrong, says it with the number, and keeps quiet about ordinary recordings."""

import json
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.audio.check import CheckReport, Doctor, Finding, check_audio, short_finding
from earmark.audio.decode import open_audio, read_audio
from tests.audio.conftest import Encode, make_sound

RATE_HZ = 16_000
SOUND = make_sound(1, RATE_HZ)[:, 0]
STEREO = make_sound(2, RATE_HZ)


def codes(samples: np.ndarray, rate_hz: int = RATE_HZ) -> list[str]:
    return [finding.code for finding in check_audio((samples, rate_hz)).findings]


def message(samples: np.ndarray, rate_hz: int = RATE_HZ) -> str:
    (finding,) = check_audio((samples, rate_hz)).findings
    return str(finding)


def telephone(sound: np.ndarray, rate_hz: int = RATE_HZ) -> np.ndarray:
    narrow = soxr.resample(sound, rate_hz, 8000)
    return np.round(soxr.resample(narrow * 0.8, 8000, rate_hz) * 32_767).astype(np.int16)


@pytest.mark.parametrize("samples", [SOUND, STEREO, make_sound(6, RATE_HZ), SOUND * 0.05, SOUND * 1.6])
def test_nothing_to_say_about_a_good_recording(samples: np.ndarray) -> None:
    assert codes(samples) == []


@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_padding_with_zeros_is_ordinary(seconds: float) -> None:
    padding = np.zeros(round(seconds * RATE_HZ), np.float32)
    assert codes(np.concatenate([padding, SOUND, padding])) == []


def test_a_pure_tone_is_not_a_telephone() -> None:
    time = np.arange(3 * RATE_HZ) / RATE_HZ
    for hz in (100, 440, 1000, 2900, 3900, 7000):
        assert codes((0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32)) == []


def test_silence() -> None:
    assert message(np.zeros(RATE_HZ * 2, np.float32)).startswith(
        "silence: every sample is zero: there is nothing to hear"
    )
    faint = np.random.default_rng(0).integers(-2, 3, RATE_HZ * 2).astype(np.int16)
    assert message(faint).startswith("silence: no sample is beyond -84 dB of full scale")


def test_very_low_level() -> None:
    assert "the loudest sample is at -50 dB" in message(
        (SOUND / np.abs(SOUND).max() * 10 ** (-50 / 20)).astype(np.float32)
    )


@pytest.mark.parametrize("limit", [1.0, 0.99])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("channels", [1, 2])
def test_clipping(limit: float, dtype: type, channels: int) -> None:
    sound = np.clip(make_sound(channels, RATE_HZ) * 3, -limit, limit)
    for layout in (np.ascontiguousarray, np.asfortranarray):
        samples = layout(sound if dtype is np.float32 else (sound * 32_767).astype(dtype))
        expected = np.mean((np.abs(sound[1:]) >= limit) & (sound[1:] == sound[:-1]))
        assert expected > 0.002
        assert message(samples).startswith(f"clipping: {expected:.1%} of the samples stay at full scale")


def test_full_scale_without_clipping() -> None:
    time = np.arange(3 * RATE_HZ) / RATE_HZ
    for hz in (50, 440, 1234.5):
        tone = np.sin(2 * np.pi * hz * time) + 0.001 * SOUND
        assert codes((32_767 * tone / np.abs(tone).max()).astype(np.int16)) == []


def test_dc_offset() -> None:
    assert "the mean of the samples is -0.050 of full scale" in message(SOUND - np.float32(0.05 + SOUND.mean()))


@pytest.mark.parametrize(
    ("scale", "bits", "divisor"), [(2**15, 16, 32_768), (2**23, 24, 8_388_608), (2**31, 32, 2**31)]
)
def test_integers_stored_as_floats(scale: int, bits: int, divisor: int) -> None:
    text = message((SOUND * np.float32(scale)).astype(np.float32))
    assert text.startswith("int16-scale: samples reach ")
    assert f"looks like {bits}-bit integers stored as float; divide by {divisor}." in text


def test_channels_that_cancel() -> None:
    assert "their mean keeps 0.0% of the energy" in message(np.stack([SOUND, -SOUND], axis=1))
    assert codes(np.stack([SOUND, -0.8 * SOUND], axis=1)) == ["phase-cancelled"]
    independent = 0.2 * np.random.default_rng(1).standard_normal((3 * RATE_HZ, 2))
    assert codes(independent.astype(np.float32)) == []
    assert codes(np.stack([SOUND, 0 * SOUND], axis=1)) == []


def test_one_loud_channel_of_many() -> None:
    quiet = 0.01 * make_sound(6, RATE_HZ)
    quiet[:, 2] = SOUND
    text = message(quiet)
    assert text.startswith("uneven-channels: the mean of 6 channels was analysed, 15 dB below channel 3, the loudest")
    assert 'ffmpeg -i FILE -af "pan=mono|c0=c2" OUT.wav' in text
    alone = np.zeros((len(SOUND), 64), np.float32)
    alone[:, 63] = SOUND
    assert codes(alone) == ["uneven-channels"]
    assert codes(quiet[:, 1:3]) == []  # two channels lose no more than 6 dB


def test_channels_with_nothing_in_common_are_not_uneven() -> None:
    noise = 0.2 * np.random.default_rng(1).standard_normal((3 * RATE_HZ, 4))
    assert codes(noise.astype(np.float32)) == []


def test_many_channels_that_cancel() -> None:
    assert codes(np.stack([SOUND, -SOUND, 0 * SOUND, 0 * SOUND], axis=1)) == ["phase-cancelled"]


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_a_telephone_recording(rate_hz: int) -> None:
    text = message(telephone(make_sound(1, rate_hz)[:, 0], rate_hz), rate_hz)
    assert re.match(r"narrow-band: the sound ends at (3\.[58]|4) kHz, as in a telephone recording", text)
    assert "the model listens up to 8 kHz" in text


@pytest.mark.parametrize("codec", ["pcm_mulaw", "pcm_alaw", "adpcm_ms"])
def test_a_telephone_codec_turned_into_flac(codec: str, ffmpeg: Encode, tmp_path: Path) -> None:
    samples, rate_hz = soundfile.read(
        ffmpeg("telephone.wav", "-ar", "8000", "-ac", "1", "-c:a", codec), dtype="float32"
    )
    path = tmp_path / "wide.flac"
    soundfile.write(path, soxr.resample(samples, rate_hz, 44_100), 44_100)
    assert [finding.code for finding in check_audio(path).findings] == ["narrow-band"]


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 15_000])
def test_a_rate_below_that_of_the_model(rate_hz: int) -> None:
    text = message(make_sound(1, rate_hz)[:, 0], rate_hz)
    assert text.startswith(f"narrow-band: a recording at {rate_hz} Hz ends at {rate_hz / 2000:.3g} kHz")


@pytest.mark.parametrize("rate_hz", [100, 400_000, 10_000_000])
def test_rates_far_from_any_microphone(rate_hz: int) -> None:
    assert codes(make_sound(1, rate_hz, 0.5)[:, 0], rate_hz) in (
        ["too-short"],
        ["narrow-band", "too-short"],
    )


def test_too_short() -> None:
    assert [finding.code for finding in check_audio((SOUND[:8000], RATE_HZ)).findings] == ["too-short"]
    assert str(short_finding(0.5, 0.975)).startswith("too-short: 0.500 s is less than the 0.975 s")
    assert short_finding(0.975, 0.975) is None


@settings(max_examples=20, deadline=None)
@given(block_seconds=st.floats(0.2, 4.0), kind=st.sampled_from(["clipped", "dc", "cancelled", "good", "faint"]))
def test_findings_do_not_depend_on_the_blocks(block_seconds: float, kind: str) -> None:
    samples = {
        "clipped": np.clip(STEREO * 3, -1, 1),
        "dc": STEREO + np.float32(0.1),
        "cancelled": STEREO * np.float32([1, -2]),
        "good": STEREO,
        "faint": STEREO * np.float32(0.003),
    }[kind]
    with open_audio((samples, RATE_HZ), RATE_HZ, block_seconds=block_seconds) as reader:
        for _ in reader:
            pass
    assert [f.code for f in reader.findings] == [f.code for f in read_audio((samples, RATE_HZ), RATE_HZ)[1].findings]


def test_numbers_of_any_size_are_measured_without_a_warning() -> None:
    assert codes(np.array([3e38, -3e38] * 20_000, np.float32)) == ["int16-scale"]
    assert codes(np.full((40_000, 2), 3e38, np.float32)) == ["int16-scale"]
    assert codes(np.full((40_000, 3), 3e38, np.float32)) == ["int16-scale"]
    assert codes(np.full(40_000, 1e-42, np.float32)) == ["silence"]


def test_the_doctor_measures_nothing_in_a_block_with_nan() -> None:
    doctor = Doctor(RATE_HZ, RATE_HZ)
    bad = SOUND.copy()
    bad[5] = np.nan
    assert not doctor.feed(bad[:, np.newaxis], bad)
    assert doctor.findings() == ()
    assert (doctor.peak, doctor.rms_db) == (0.0, -math.inf)


def test_report() -> None:
    report = check_audio((STEREO, RATE_HZ))
    assert isinstance(report, CheckReport)
    assert report.peak == pytest.approx(np.abs(STEREO).max())
    assert report.rms_db == pytest.approx(20 * np.log10(STEREO.std()), abs=0.05)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False)) == {
        "file": "<array>",
        "seconds": 3.0,
        "sample_rate_hz": RATE_HZ,
        "channels": 2,
        "container": "array",
        "codec": "float32",
        "peak": round(report.peak, 6),
        "rms_db": round(report.rms_db, 2),
        "findings": [],
    }


def test_report_of_silence() -> None:
    report = check_audio((np.zeros(RATE_HZ, np.int16), RATE_HZ)).to_dict()
    assert (report["peak"], report["rms_db"]) == (0.0, None)
    assert report["findings"][0]["code"] == "silence"


def test_report_of_a_cut_file(ffmpeg: Encode) -> None:
    content = ffmpeg("sound.flac").read_bytes()
    report = check_audio(content[: len(content) // 2])
    assert [finding.code for finding in report.findings] == ["truncated"]


def test_a_finding_reads_as_code_and_message() -> None:
    assert str(Finding("clipping", "too loud.")) == "clipping: too loud."


@pytest.mark.shared
def test_ordinary_recordings_cause_no_alarm(shared: Path) -> None:
    clips = sorted((shared / "data/esc50/audio").glob("*.flac"))[::10]
    found = Counter(finding.code for clip in clips for finding in check_audio(clip).findings)
    assert len(clips) == 200
    # What is left was looked at: these clips are clipped, have an offset, or were recorded at 8 kHz.
    assert sum(found.values()) <= 8
    assert set(found) <= {"clipping", "dc-offset", "narrow-band"}


@pytest.mark.shared
def test_the_same_recordings_over_the_telephone_are_found(shared: Path) -> None:
    clips = sorted((shared / "data/esc50/audio").glob("*.flac"))[::40]
    found = sum("narrow-band" in codes(telephone(read_audio(clip, RATE_HZ)[0])) for clip in clips)
    assert found >= 0.9 * len(clips)
