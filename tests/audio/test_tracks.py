"""Sound that begins later than its file keeps its place in time, and a choice among tracks is told."""

import subprocess
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from earmark.audio.decode import open_audio, read_audio
from tests.audio.conftest import SECONDS, Encode, need
from tests.audio.test_source import Pipe

LATE_SECONDS = 4.0
# With encoder and muxer; broadcasts begin their clock at any time.
FORMS = {
    "late.mp4": ("-c:v", "mpeg4", "-c:a", "aac"),
    "late.mkv": ("-c:v", "mpeg4", "-c:a", "libopus"),
    "late.ts": ("-c:v", "mpeg2video", "-c:a", "mp2"),
    "far.ts": ("-c:v", "mpeg2video", "-c:a", "mp2", "-output_ts_offset", "20000"),
}
ALONE = {
    "alone.mp4": ("-c:a", "aac"),
    "alone.mkv": ("-c:a", "libopus"),
    "alone.ogg": ("-c:a", "libopus"),
    "alone.ts": ("-c:a", "mp2", "-output_ts_offset", "20000"),
}


def make(path: Path, *options: str) -> Path:
    subprocess.run([need("ffmpeg"), "-v", "error", *options, str(path)], check=True)
    return path


def late(path: Path, wav: Path, options: tuple[str, ...], late_seconds: float = LATE_SECONDS) -> Path:
    video = ("-f", "lavfi", "-i", f"testsrc=s=64x64:r=5:d={late_seconds + 6}")
    sound = ("-itsoffset", str(late_seconds), "-i", str(wav))
    return make(path, *video, *sound, "-map", "0:v", "-map", "1:a", *options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, wav: Path) -> Path:
    folder = tmp_path_factory.mktemp("late")
    for name, options in FORMS.items():
        late(folder / name, wav, options)
    return folder


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("seekable", [True, False])
def test_a_late_start_is_kept(name: str, seekable: bool, folder: Path, wav: Path) -> None:
    path = folder / name
    waveform, reader = read_audio(path if seekable else Pipe(path.read_bytes()), 16_000)  # type: ignore[arg-type]
    expected, _ = read_audio(wav, 16_000)
    products = np.fft.irfft(np.fft.rfft(waveform, 1 << 18) * np.fft.rfft(expected, 1 << 18).conj())
    # Not every format notes the delay of its encoder, a twentieth of a second at most.
    assert products.argmax() / 16_000 == pytest.approx(LATE_SECONDS, abs=0.05)
    assert not waveform[: round((LATE_SECONDS - 0.1) * 16_000)].any()
    assert reader.seconds == pytest.approx(LATE_SECONDS + SECONDS, abs=0.1)
    (finding,) = reader.findings
    assert finding.code == "late-start"
    assert finding.message.startswith(("the sound begins at 3.9", "the sound begins at 4.00"))
    assert finding.message.endswith(" s of the file; silence was put before it.")


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(("start", "end"), [(1.0, 3.0), (3.0, 5.0), (5.0, 6.0), (5.0, None), (0.0, 4.5)])
def test_a_part_of_a_late_sound_is_a_slice(name: str, start: float, end: float | None, folder: Path) -> None:
    with open_audio(folder / name, 16_000) as reader:
        rate_hz = reader.source_rate_hz
    whole, _ = read_audio(folder / name, rate_hz)
    with open_audio(folder / name, rate_hz, start=start, end=end, block_seconds=0.7) as reader:
        part = np.concatenate(list(reader))
    assert np.array_equal(part, whole[round(start * rate_hz) : None if end is None else round(end * rate_hz)])
    assert {finding.code for finding in reader.findings} <= {"late-start", "silence"}


@pytest.mark.parametrize("name", ALONE)
def test_a_file_begins_with_its_first_track(name: str, wav: Path, tmp_path: Path) -> None:
    path = make(tmp_path / name, "-itsoffset", str(LATE_SECONDS), "-i", str(wav), *ALONE[name])
    _, reader = read_audio(path, 16_000)
    assert reader.seconds == pytest.approx(SECONDS, abs=0.1)
    assert reader.findings == ()


def test_a_late_sound_that_was_cut_off(folder: Path) -> None:
    content = (folder / "late.mkv").read_bytes()
    _, reader = read_audio(content[: int(0.7 * len(content))], 16_000)
    assert [finding.code for finding in reader.findings] == ["late-start", "truncated"]
    assert reader.duration_seconds == pytest.approx(LATE_SECONDS + SECONDS, abs=0.1)


def test_silence_before_a_late_sound_takes_no_memory(wav: Path, tmp_path: Path) -> None:
    path = late(tmp_path / "late.mkv", wav, ("-c:v", "mpeg4", "-c:a", "libopus"), late_seconds=600.0)
    tracemalloc.start()
    with open_audio(path, 16_000, block_seconds=1.0) as reader:
        assert all(len(block) <= 17_000 for block in reader)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reader.seconds == pytest.approx(600.0 + SECONDS, abs=0.1)
    assert peak_bytes < 5e6  # ten minutes of stereo would take 230 MB


def test_the_first_of_several_tracks(ffmpeg: Encode, wav: Path) -> None:
    options = ("-i", str(wav), "-filter:a:1", "volume=0.1", "-map", "0:a", "-map", "1:a", "-c:a", "flac")
    waveform, reader = read_audio(ffmpeg("two.mka", *options), 16_000)
    assert np.array_equal(waveform, read_audio(wav, 16_000)[0])
    (finding,) = reader.findings
    assert str(finding).startswith(
        "several-tracks: the file has 2 sound tracks, of which number 1 was analysed; extract another"
    )
