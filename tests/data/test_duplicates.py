"""Duplicates: the same bytes, the same sound in other clothes, and sounds that are only like each other."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from earmark.data.duplicates import Duplicates, duplicate_notes, find_copies, find_duplicates
from earmark.data.fingerprint import RATE_HZ, fingerprint, similar_pairs
from earmark.data.manifest import Clip, Manifest
from tests.data.clips import sound, write_sound


def manifest_of(paths: list[Path], **fields: object) -> Manifest:
    return Manifest.of([Clip(path, ("x",), **fields) for path in paths], source="here", layout="folder")


def names(found: tuple[Duplicates, ...]) -> set[tuple[str, frozenset[str]]]:
    return {(group.kind, frozenset(Path(clip).name for clip in group.clips)) for group in found}


def test_exact_copies(tmp_path: Path) -> None:
    first = write_sound(tmp_path / "a.wav", 1)
    other = write_sound(tmp_path / "b.wav", 2)
    copy = shutil.copy(first, tmp_path / "c.wav")
    (group,) = find_duplicates(manifest_of([first, other, copy]))
    assert (group.kind, group.indices, group.leak, group.contradict) == ("exact", (0, 2), False, False)
    assert find_duplicates(manifest_of([first, other, copy]), near=False) == (group,)


def test_copies_alone_need_no_decoder(tmp_path: Path) -> None:
    for name, content in {"a": b"same", "b": b"same", "c": b"else", "d": b"longer", "e": b"same"}.items():
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in "abcde"]
    clips = [*(Clip(path, ("x",), fold="1") for path in paths[:4]), Clip(paths[4], ("y",), fold="2", end_seconds=1.0)]
    manifest = Manifest.of([*clips, Clip(tmp_path / "gone", ("x",))], source="my clips", layout="csv")
    (group,) = find_copies(manifest)
    assert (group.kind, group.indices) == ("exact", (0, 1)), "another part of the file is another clip"
    assert duplicate_notes(manifest) == ("1 file is there more than once: see `earmark data 'my clips'`",)
    assert duplicate_notes(manifest.select([0, 2, 3])) == ()
    several = Manifest.of([clips[0], Clip(paths[1], (), fold="2"), clips[2]], source="here", layout="csv")
    (note,) = duplicate_notes(several)
    assert note.startswith("1 file is there more than once, 1 under labels that differ, 1 in several folds: see ")


def test_what_copies_disagree_about(tmp_path: Path) -> None:
    first = write_sound(tmp_path / "a.wav", 1)
    copy = shutil.copy(first, tmp_path / "b.wav")
    clips = [Clip(first, ("dog",), fold="1"), Clip(Path(copy), (), fold="2")]
    (group,) = find_duplicates(Manifest.of(clips, source="here", layout="folder"))
    assert group.folds == ("fold 1", "fold 2")
    assert group.leak
    assert group.contradict
    assert group.has_negative
    assert group.to_dict()["labels"] == ["dog"]


def test_parts_of_one_file_are_no_copies(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", 1, seconds=3.0)
    spans = [(0.0, 1.0), (1.0, 2.0), (1.0, 2.0)]
    clips = [Clip(path, ("x",), start_seconds=start, end_seconds=end) for start, end in spans]
    found = find_duplicates(Manifest.of(clips, source="here", layout="csv"))
    assert [(group.kind, group.indices) for group in found] == [("exact", (1, 2))]


def test_the_same_sound_at_another_rate_level_and_in_another_format(tmp_path: Path) -> None:
    samples = sound(7, 2.0, 16_000)
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    soundfile.write(tmp_path / "quiet.wav", samples * 0.1, 16_000, subtype="PCM_24")
    soundfile.write(tmp_path / "rate.flac", soxr.resample(samples, 16_000, 8_000), 8_000)
    soundfile.write(tmp_path / "lossy.ogg", samples, 16_000)
    soundfile.write(tmp_path / "stereo.mp3", np.stack([samples, samples], axis=1), 16_000)
    write_sound(tmp_path / "other.wav", 8, seconds=2.0)
    found = find_duplicates(manifest_of(sorted(tmp_path.iterdir())))
    alike = frozenset({"a.wav", "quiet.wav", "rate.flac", "lossy.ogg", "stereo.mp3"})
    assert names(found) == {("near", alike)}


def test_copies_of_copies(tmp_path: Path) -> None:
    samples = sound(7, 1.0)
    for name, gain in {"a.wav": 1.0, "b.wav": 0.5}.items():
        soundfile.write(tmp_path / name, samples * gain, RATE_HZ)
    shutil.copy(tmp_path / "a.wav", tmp_path / "c.wav")
    found = find_duplicates(manifest_of(sorted(tmp_path.iterdir())))
    both = frozenset({"a.wav", "b.wav", "c.wav"})
    assert names(found) == {("exact", frozenset({"a.wav", "c.wav"})), ("near", both)}


def test_silence_and_tones_are_told_by_their_bytes_alone(tmp_path: Path) -> None:
    time = np.arange(2 * RATE_HZ) / RATE_HZ
    paths = []
    for name, samples in {
        "silence": np.zeros_like(time),
        "440": 0.5 * np.sin(2 * np.pi * 440 * time),
        "441": 0.4 * np.sin(2 * np.pi * 441 * time),
        "short": sound(1, 0.1),
    }.items():
        paths.append(tmp_path / f"{name}.wav")
        soundfile.write(paths[-1], samples, RATE_HZ)
        assert fingerprint(samples.astype(np.float32)) is None
    assert find_duplicates(manifest_of(paths)) == ()


def test_unreadable_clips_are_no_copies(tmp_path: Path) -> None:
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path in paths:
        path.write_bytes(b"no sound in here")
    assert find_duplicates(manifest_of(paths)) == ()


def test_lengths_far_apart_are_not_compared() -> None:
    one = fingerprint(sound(1, 3.0).astype(np.float32))
    assert one is not None
    assert similar_pairs([one, one, None], [3.0, 3.1, 3.0]) == [(0, 1)]
    assert similar_pairs([one, one, None], [3.0, 6.0, 3.0]) == []
    assert similar_pairs([], []) == []


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = [fingerprint(sound(number % 7, 1.0).astype(np.float32)) for number in range(20)]
    seconds = [1.0 + number / 1000 for number in range(20)]
    whole = similar_pairs(prints, seconds)
    monkeypatch.setattr("earmark.data.fingerprint._BLOCK", 3)
    assert similar_pairs(prints, seconds) == whole
    assert whole == [(one, other) for one in range(20) for other in range(one + 1, 20) if (one - other) % 7 == 0]


def test_real_clips(shared: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    """Every re-encoded copy is found among 200 clips, and no pair that is none."""
    clips = sorted((shared / "data" / "esc50" / "audio").glob("*.flac"))
    chosen = [clips[index] for index in rng.choice(len(clips), 200, replace=False)]
    copies = []
    for number, path in enumerate(chosen[:24]):
        samples, rate_hz = soundfile.read(path)
        if not np.any(samples):
            continue
        copies.append(tmp_path / f"{path.stem}{('.ogg', '.mp3', '.wav')[number % 3]}")
        if number % 3 == 2:
            samples, rate_hz = 0.2 * soxr.resample(samples, rate_hz, 11_025), 11_025
        soundfile.write(copies[-1], samples, rate_hz)
    found = find_duplicates(manifest_of([*chosen, *copies]))
    pairs = {frozenset(Path(clip).stem for clip in group.clips) for group in found}
    assert pairs == {frozenset({copy.stem}) for copy in copies}


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_other_codecs(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(3, 2.0, 16_000), 16_000)
    for name, options in {
        "a.m4a": ["-b:a", "48k"],
        "a.opus": ["-b:a", "32k"],
        "late.wav": ["-af", "adelay=40"],
    }.items():
        command = ["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", *options, tmp_path / name]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)
    (group,) = find_duplicates(manifest_of(sorted(tmp_path.iterdir())))
    assert len(group.clips) == 4
