"""check: the input doctor's command."""

from pathlib import Path

import numpy as np
import soundfile

from tests.cli.command import Here, earmark
from tests.cli.conftest import RATE_HZ, write_noise


def write_clipped(path: Path) -> Path:
    sine = 3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE_HZ) / RATE_HZ)
    soundfile.write(path, np.clip(sine, -1, 1), RATE_HZ)
    return path


def test_check_for_programs(sounds: Path, tmp_path: Path) -> None:
    clipped = write_clipped(tmp_path / "clipped.wav")
    done = earmark("check", "noise.wav", clipped, "bad.wav", "--json", cwd=sounds)
    assert done.status == 1
    fine, loud, failure = done.objects
    assert (fine["file"], fine["seconds"], fine["sample_rate_hz"], fine["findings"]) == ("noise.wav", 3.0, RATE_HZ, [])
    assert "clipping" in {finding["code"] for finding in loud["findings"]}
    assert failure["kind"] == "NotAudioError"
    assert len(done.complaints) == 2


def test_check_for_people(sounds: Path, tmp_path: Path, here: Here) -> None:
    clipped = write_clipped(tmp_path / "clipped.wav")
    done = here("check", "noise.wav", clipped)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("noise.wav  wav pcm_16  16000 Hz  mono  3.00 s  peak -8.0 dB  mean -12.7 dB")
    assert lines[1] == "  nothing found"
    assert lines[3].startswith("  clipping: ")
    assert here("check", "noise.wav", clipped, "--strict").status == 1
    assert here("check", "noise.wav", "--strict").status == 0


def test_check_keeps_the_order(tmp_path: Path, here: Here) -> None:
    for number in range(12):
        write_noise(tmp_path / f"{number:02}.wav", 3.0 if number % 3 == 0 else 0.3)
    done = here("check", tmp_path, "--threads", "3", "--json")
    assert [Path(report["file"]).stem for report in done.objects] == [f"{number:02}" for number in range(12)]
