"""data: what there is to learn from."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.command import Here, earmark
from tests.cli.conftest import write_noise


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for seed, name in enumerate(("dog/a.wav", "dog/b.wav", "rain/a.flac", "rain/b.wav", "background/a.wav")):
        write_noise(tmp_path / "clips" / name, 0.5, seed)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "clips"


def test_data_for_people(clips: Path, here: Here) -> None:
    done = here("data", "clips")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "clips  folder  single-label  5 clips  2.5 s",
        "  rates: 16000 Hz (5)",
        "  channels: 1 (5)",
        "  folds: none of its own",
        "  lengths: 0.50 to 0.50 s",
        "",
        "  class             clips  sources    seconds",
        "  dog                   2        2        1.0",
        "  rain                  2        2        1.0",
        "  (none of these)       1        1        0.5",
    ]


def test_data_says_what_is_wrong(clips: Path, here: Here) -> None:
    shutil.copy(clips / "dog" / "a.wav", clips / "rain" / "c.wav")
    write_noise(clips / "Vögel, früh" / "a.wav", 0.5, 9)
    (clips / "dog" / "broken.wav").write_bytes(b"no sound in here")
    done = here("data", "clips")
    assert done.status == 1
    assert "  too few clips to learn from: Vögel, früh" in done.out
    assert "  same file: clips/dog/a.wav, clips/rain/c.wav; labels differ: dog, rain" in done.out
    assert done.complaints[0].startswith("clips/dog/broken.wav is no sound")
    assert done.complaints[1] == "1 file cannot be used: left out"


def test_data_lists_no_more_than_people_read(clips: Path, here: Here) -> None:
    for number in range(12):
        for copy in "xy":
            write_noise(clips / "dog" / f"{copy}{number}.wav", 0.3, 100 + number)
    done = here("data", "clips", "--no-near")
    assert done.out.count("same file") == 10
    assert "... and 2 more of this kind: --json lists all" in done.out


def test_data_for_programs(clips: Path, tmp_path: Path) -> None:
    write_noise(clips / "dog" / "quiet.wav", 0.5, 0)
    (clips / "dog" / "broken.wav").write_bytes(b"no sound in here")
    done = earmark("data", "clips", "--json", "--no-near", cwd=tmp_path)
    assert done.status == 1
    found = json.loads(done.out)
    assert (found["clips"], found["layout"], found["searched_near"]) == (6, "folder", False)
    assert [failure["file"] for failure in found["failures"]] == ["clips/dog/broken.wav"]
    assert len(done.complaints) == 2


def test_data_of_a_list(clips: Path, tmp_path: Path, here: Here) -> None:
    rows = "path,label,fold\na,dog,1\nb,rain,2\n"
    (tmp_path / "list.csv").write_text(rows)
    assert here("data", "list.csv").status == 1
    done = here("data", "list.csv", "--audio", clips / "dog", "--layout", "csv")
    assert done.status == 0
    assert "  folds: 1 (1), 2 (1)" in done.out


def test_data_of_an_odd_list(clips: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "list.csv").write_text("path,bird\nclips/dog/a.wav,wren\nclips/dog/b.wav,\n")
    (complaint,) = here("data", "list.csv").complaints
    assert "no column for label, only path, bird: say which it is with --columns label=bird " in complaint
    done = here("data", "list.csv", "--columns", "label=bird")
    assert done.status == 0
    assert "1 row has no label in list.csv: taken as sound of none of the classes" in " ".join(done.out.split())
    done = here("data", "list.csv", "--columns", "label")
    assert done.status == 2
    assert "--columns label is not allowed: write ROLE=HEADING" in done.complaints[0]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["nowhere"], 1, "there is no nowhere: give a folder of clips, or a list of them"),
        (["empty"], 1, "empty holds no clips in folders: "),
        (["mine.onnx"], 1, "mine.onnx is a model where labelled clips are wanted: "),
        (["clips", "--layout", "heap"], 2, "layout 'heap' is not known: give one of folder, "),
        (["clips", "--layout", "csv"], 1, "clips holds no list of clips: "),
    ],
)
def test_data_that_cannot_be_read(clips: Path, here: Here, words: list[str], status: int, message: str) -> None:
    (clips.parent / "empty").mkdir()
    done = here("data", *words)
    assert (done.status, done.out) == (status, "")
    assert len(done.complaints) == 1
    assert done.complaints[0].startswith(message)


def test_one_class_is_too_few(clips: Path, here: Here) -> None:
    done = here("data", clips / "dog")
    assert done.status == 0
    assert "  too few classes to learn from: two are needed" in done.out
