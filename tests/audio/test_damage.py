"""What is cut off or damaged is analysed up to there, and the result says so."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark.audio.decode import open_audio, read_audio
from earmark.errors import EarmarkError, NoSoundTrackError, NotAudioError, OptionError
from tests.audio.conftest import RATE_HZ, SECONDS, Encode

# Formats whose header, or last page, tells how long they should be; and those where nothing does.
CLAIMING = {
    "sound.flac": (),
    "sound.mp3": ("-b:a", "128k"),
    "fast.m4a": ("-c:a", "aac", "-movflags", "+faststart"),
    "sound.webm": ("-c:a", "libopus"),
    "sound.mka": ("-c:a", "flac"),
    "sound.wv": (),
    "sound.wav": (),
    "sound.aiff": (),
    "sound.au": (),
    "sound.caf": (),
    "sound.w64": (),
    "rf64.wav": ("-rf64", "always"),
}
SILENT = {"sound.ogg": ("-c:a", "libvorbis"), "sound.opus": ("-c:a", "libopus")}
PACKED = {name: CLAIMING[name] for name in ("sound.flac", "sound.mp3", "fast.m4a", "sound.mka", "sound.wv")}


def pages(*options: str) -> tuple[str, ...]:
    """Return options for Ogg pages of a quarter second: with one a second a damage takes a third of our sound."""
    return (*options, "-page_duration", "250000")


@pytest.mark.parametrize("name", CLAIMING | SILENT)
@pytest.mark.parametrize("share", [0.35, 0.8])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_cut_off(name: str, share: float, as_bytes: bool, ffmpeg: Encode, tmp_path: Path) -> None:
    options = pages(*SILENT[name]) if name in SILENT else CLAIMING[name]
    path = ffmpeg(name, *options)
    with open_audio(path, 16_000) as reader:
        rate_hz = reader.source_rate_hz
    whole, _ = read_audio(path, rate_hz)
    content = path.read_bytes()[: int(share * path.stat().st_size)]
    cut = tmp_path / name
    cut.write_bytes(content)
    waveform, reader = read_audio(content if as_bytes else cut, rate_hz)
    assert (share - 0.25) * SECONDS < reader.seconds < (share + 0.1) * SECONDS
    assert len(waveform) == round(reader.seconds * rate_hz)
    assert np.array_equal(waveform, whole[: len(waveform)])
    (finding,) = reader.findings
    claim = "its full length is unknown" if name in SILENT else "the header claims 3.0"
    assert finding.code == "truncated"
    assert f"only {reader.seconds:.2f} s could be read, {claim}" in finding.message


@pytest.mark.parametrize("name", PACKED | SILENT)
@pytest.mark.parametrize("damage", ["noise", "zeros"])
@pytest.mark.parametrize("block_seconds", [10.0, 0.1])
def test_damaged_in_the_middle(name: str, damage: str, block_seconds: float, ffmpeg: Encode) -> None:
    options = pages(*SILENT[name]) if name in SILENT else PACKED[name]
    path = ffmpeg(name, *options)
    content = bytearray(path.read_bytes())
    middle, length = len(content) // 2, min(3000, len(content) // 12)
    content[middle : middle + length] = np.random.default_rng(3).bytes(length) if damage == "noise" else bytes(length)
    with open_audio(path, 16_000) as reader:
        rate_hz = reader.source_rate_hz
    whole, _ = read_audio(path, rate_hz)
    with open_audio(bytes(content), rate_hz, block_seconds=block_seconds) as reader:
        waveform = np.concatenate(list(reader))
    assert 0.25 * SECONDS < reader.seconds < 0.65 * SECONDS
    # A decoder may need a frame to notice.
    sound_until = len(waveform) - 4096
    assert np.array_equal(waveform[:sound_until], whole[:sound_until])
    (finding,) = reader.findings
    assert finding.code == "truncated"
    assert "the header claims 3.0" in finding.message


def test_a_single_wrong_bit_in_vorbis(ffmpeg: Encode) -> None:
    path = ffmpeg("sound.ogg", *pages(*SILENT["sound.ogg"]))
    content = bytearray(path.read_bytes())
    content[2 * len(content) // 3] ^= 1
    whole, _ = read_audio(path, RATE_HZ)
    waveform, reader = read_audio(bytes(content), RATE_HZ)
    assert 1.0 < reader.seconds < 2.5
    assert np.array_equal(waveform, whole[: len(waveform)])
    assert [finding.code for finding in reader.findings] == ["truncated"]


def test_nothing_is_said_of_a_damage_behind_the_end_that_was_asked_for(ffmpeg: Encode) -> None:
    content = ffmpeg("sound.flac").read_bytes()
    cut = content[: int(0.8 * len(content))]
    assert read_audio(cut, 16_000, end=1.0)[1].findings == ()
    waveform, reader = read_audio(cut, 16_000, start=1.0)
    assert len(waveform) == round(reader.seconds * 16_000)
    assert [finding.code for finding in reader.findings] == ["truncated"]


@pytest.mark.parametrize("name", ["sound.flac", "sound.wav", "sound.mp3"])
def test_a_start_behind_the_damage(name: str, ffmpeg: Encode) -> None:
    content = ffmpeg(name, *CLAIMING[name]).read_bytes()
    with pytest.raises(OptionError, match=r"start=2\.8 s is not before the end of <bytes>, which lasts [12]\.\d+ s"):
        read_audio(content[: int(0.7 * len(content))], 16_000, start=2.8)


@pytest.mark.parametrize("name", CLAIMING | SILENT)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_ends_in_sound_or_in_an_error_of_ours(name: str, ffmpeg: Encode, data: st.DataObject) -> None:
    content = bytearray(ffmpeg(name, *(CLAIMING | SILENT)[name]).read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        header = data.draw(st.booleans())
        place = data.draw(st.integers(0, min(len(content), 300) - 1 if header else len(content) - 1))
        noise = data.draw(st.binary(max_size=20))
        content[place : place + data.draw(st.integers(0, 20))] = noise
    try:
        waveform, reader = read_audio(bytes(content), 16_000)
    except EarmarkError:
        return
    assert len(waveform) > 0
    assert 0 < reader.seconds < 3600


def test_an_mp4_that_was_cut_off_before_its_index(ffmpeg: Encode) -> None:
    content = ffmpeg("sound.m4a", "-c:a", "aac").read_bytes()
    with pytest.raises(NotAudioError, match="an MP4 without a readable index"):
        open_audio(content[: len(content) // 2], 16_000)


@pytest.mark.parametrize("name", ["sound.mp3", "sound.flac", "sound.ogg", "fast.m4a"])
def test_only_a_header(name: str, ffmpeg: Encode) -> None:
    content = ffmpeg(name, *(CLAIMING | SILENT)[name]).read_bytes()
    for length in (20, 64, 200):
        with pytest.raises((NotAudioError, NoSoundTrackError)):
            read_audio(content[:length], 16_000)


def test_joined_files_are_read_to_their_end(ffmpeg: Encode) -> None:
    for name, options in (("sound.mp3", ("-b:a", "128k")), ("sound.ogg", SILENT["sound.ogg"]), ("sound.aac", ())):
        content = ffmpeg(name, *options).read_bytes()
        _, reader = read_audio(content + content, 16_000)
        assert reader.seconds == pytest.approx(2 * SECONDS, abs=0.2)
        assert "truncated" not in [finding.code for finding in reader.findings]


def test_decoders_keep_quiet(ffmpeg: Encode, tmp_path: Path) -> None:
    paths = []
    for name, options in (PACKED | SILENT).items():
        content = bytearray(ffmpeg(name, *options).read_bytes())
        content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    code = "import sys\nfrom earmark.audio.decode import read_audio\nfor path in sys.argv[1:]: read_audio(path, 16000)"
    command = [sys.executable, "-c", code, *map(os.fspath, paths)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout + result.stderr == ""
