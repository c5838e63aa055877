"""evaluate: a model measured on labelled clips."""

import json
from pathlib import Path

from tests.cli.command import Here, earmark
from tests.cli.conftest import write_noise


def write_clips(folder: Path) -> Path:
    for number, label in enumerate(("Tone", "Silence", "Tone", "Silence")):
        write_noise(folder / label / f"{number}.wav", 0.6, number)
    return folder


def test_evaluate_for_people(tiny_model: Path, tmp_path: Path, here: Here) -> None:
    done = here("evaluate", tiny_model, write_clips(tmp_path / "clips"), "--report", tmp_path / "r.html")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("tiny 1  4 clips of ")
    assert lines[1].startswith("  mAP  ")
    assert any(line.startswith("  Worst labels") for line in lines)
    assert any(line.startswith("  note: The scores of this model are not calibrated") for line in lines)
    assert max(map(len, lines[1:])) <= 80
    assert "<h1>tiny 1</h1>" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_evaluate_for_programs(tiny_model: Path, tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips")
    (clips / "Tone" / "bad.wav").write_bytes(b"no sound in here")
    done = earmark("evaluate", tiny_model, "clips", "--json", "--scores", "scores.csv", cwd=tmp_path)
    assert done.status == 1
    (figures,) = done.objects
    assert figures["metrics"]["clips"] == 4
    assert figures["command"] == f"earmark evaluate {tiny_model} clips --json --scores scores.csv"
    assert len(figures["failures"]) == 1
    assert done.complaints[-1] == "1 clip could not be read: left out"
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 5


def test_unknown_labels_and_files(tiny_model: Path, tmp_path: Path, here: Here) -> None:
    clips = write_clips(tmp_path / "clips")
    write_noise(clips / "Dodo" / "1.wav", 0.6)
    done = here("evaluate", tiny_model, clips)
    assert done.status == 2
    assert "'Dodo'" in done.complaints[0]
    assert done.complaints[0].endswith("or take them for sound of none of its classes with --unknown none")
    assert here("evaluate", tiny_model, clips, "--unknown", "none", "--json").status == 0
    done = here("evaluate", tiny_model, clips, "--scores", "scores.txt")
    assert done.status == 2
    assert "scores.txt" in done.complaints[0]
    assert here("evaluate", tiny_model, tmp_path / "nothing").status == 1
    assert here("evaluate", tiny_model, clips, "--report", tmp_path / "nothing" / "r.html").status == 1


def test_what_is_swapped_is_told(tiny_model: Path, tmp_path: Path, here: Here) -> None:
    clips = write_clips(tmp_path / "clips")
    for words in ((clips, tiny_model), (clips, "yamnet"), ("yamnet", tiny_model)):
        done = here("evaluate", *words)
        assert done.status == 2
        assert f"look swapped: the model comes first, `earmark evaluate {words[1]} {words[0]}`" in done.complaints[0]


def test_events_are_shown(tiny_model: Path, tmp_path: Path, here: Here) -> None:
    write_noise(tmp_path / "street.wav", 3.0)
    events = tmp_path / "events.csv"
    events.write_text("filename,onset,offset,event_label\nstreet.wav,0.5,1.5,Tone\n", encoding="utf-8")
    done = here("evaluate", tiny_model, events, "--collar", "1", "--rule", _rule(tmp_path))
    assert done.status == 0
    assert "  Event F1, onsets within 1 s" in done.out
    assert "  PSDS 2" in done.out


def _rule(folder: Path) -> Path:
    path = folder / "rule.json"
    path.write_text(json.dumps({"on": 0.01, "off": 0.01}), encoding="utf-8")
    return path
