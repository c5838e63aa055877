"""What is in a set of clips, and what is wrong with it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.data.description import describe
from earmark.data.readers import read_manifest
from tests.data.clips import write_classes, write_sound, write_text


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    write_classes(tmp_path, "dog", "rain", "background")
    write_sound(tmp_path / "dog" / "long.flac", 50, seconds=1.5, rate_hz=16_000)
    write_sound(tmp_path / "cat" / "one.wav", 60)
    soundfile.write(tmp_path / "rain" / "stereo.wav", np.zeros((4_000, 2)), 8_000)
    shutil.copy(tmp_path / "dog" / "0.wav", tmp_path / "rain" / "copy.wav")
    write_text(tmp_path / "dog" / "broken.wav", "no sound in here")
    write_text(tmp_path / "notes.txt", "no sound")
    return tmp_path


@pytest.mark.parametrize("near", [True, False])
def test_what_is_there(clips: Path, near: bool) -> None:
    found = describe(read_manifest(clips), near=near)
    assert (found.layout, found.task, found.clips, found.sources, found.ignored) == (
        "folder",
        "single-label",
        10,
        10,
        1,
    )
    assert [(size.label, size.clips) for size in found.classes] == [("cat", 1), ("dog", 3), ("rain", 4)]
    assert found.classes[1].seconds == pytest.approx(2.1)
    assert (found.negatives.clips, found.negatives.seconds) == (2, pytest.approx(0.6))
    assert found.seconds == pytest.approx(8 * 0.3 + 1.5 + 0.5)
    assert found.shortest is not None
    assert found.longest is not None
    assert found.shortest.seconds == pytest.approx(0.3)
    assert found.longest.clip.endswith("long.flac")
    assert found.rates_hz == {8_000: 9, 16_000: 1}
    assert found.channels == {1: 9, 2: 1}
    assert (found.folds, found.splits, found.official_folds) == ({}, {}, False)
    assert (found.events, found.verified) == (None, None)
    assert found.too_few == ("cat",)
    assert [failure.path.name for failure in found.failures] == ["broken.wav"]
    assert [Path(clip).name for clip in found.silent] == (["stereo.wav"] if near else [])
    assert [(group.kind, group.contradict) for group in found.duplicates] == [("exact", True)]
    assert found.leaking_duplicates == ()


def test_as_json(clips: Path) -> None:
    plain = describe(read_manifest(clips)).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["classes"][0] == {"label": "cat", "clips": 1, "sources": 1, "seconds": 0.3}
    assert plain["negatives"] == {"clips": 2, "seconds": 0.6}
    assert plain["failures"][0]["file"].endswith("broken.wav")
    assert plain["rates_hz"] == {"8000": 9, "16000": 1}


def test_what_folds_share(tmp_path: Path) -> None:
    for number in range(11):
        write_sound(tmp_path / f"{number}.wav", number)
    shutil.copy(tmp_path / "10.wav", tmp_path / "11.wav")
    rows = [f"{number}.wav,{'dog' if number % 2 else 'rain'},{1 + number},site{number // 2}" for number in range(12)]
    write_text(tmp_path / "list.csv", "\n".join(["path,label,fold,site", *rows]))
    found = describe(read_manifest(tmp_path))
    assert found.official_folds
    assert list(found.folds) == [str(number) for number in range(1, 13)]
    assert found.sources == 6
    assert (found.shared_sources[0].source, found.shared_sources[0].folds) == ("site0", ("fold 1", "fold 2"))
    assert len(found.shared_sources) == 6
    (group,) = found.leaking_duplicates
    assert group.folds == ("fold 11", "fold 12")


def test_sources_in_two_folds_of_esc50(shared: Path) -> None:
    """Its folds keep one source of one class together, and four sources have clips of two classes."""
    manifest = read_manifest(shared / "data" / "esc50", check=False)
    kept = [index for index, clip in enumerate(manifest.clips) if clip.group in ("131943", "134049", "100032")]
    found = describe(manifest.select(kept), near=False)
    assert [one.source for one in found.shared_sources] == ["131943", "134049"]


def test_parts_events_and_checked_labels(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", 1, seconds=2.0)
    rows = 'path,label,start,end,verified,split,events\na.wav,dog,0.5,1,1,train,"[[""dog"",0,0.2]]"\n'
    write_text(tmp_path / "list.csv", f"{rows}a.wav,rain,1,9,0,test,\n")
    found = describe(read_manifest(tmp_path))
    assert [size.seconds for size in found.classes] == pytest.approx([0.5, 1.0]), "the file ends before the part does"
    assert (found.events, found.verified) == (1, 1)
    assert found.splits == {"test": 1, "train": 1}
    assert found.shared_sources[0].folds == ("test", "train"), "one file is one source"


def test_clips_that_vanish_after_they_were_listed(tmp_path: Path) -> None:
    manifest = read_manifest(write_classes(tmp_path, "dog", "rain"))
    (tmp_path / "dog" / "0.wav").unlink()
    found = describe(manifest)
    assert found.clips == 3
    assert [failure.path.name for failure in found.failures] == ["0.wav"]


def test_progress_is_told(tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    manifest = read_manifest(write_classes(tmp_path, "dog", "rain"))
    describe(manifest, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
