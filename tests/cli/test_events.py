"""events, its decision rule and its formats, and timeline."""

import json
from pathlib import Path

import pytest

from tests.cli.command import Here, earmark


def test_events_as_json(sounds: Path, tiny_model: Path) -> None:
    done = earmark("events", "forest", "bad.wav", "--model", tiny_model, "--on", "0.4", "--json", cwd=sounds)
    assert done.status == 1
    *results, failure = done.objects
    assert [Path(result["file"]).name for result in results] == ["a.WAV", "b.flac", "c.ogg"]
    assert set(results[0]["events"][0]) == {"label", "id", "onset", "offset", "score"}
    assert failure["kind"] == "NotAudioError"
    assert len(done.complaints) == 2


def test_events_for_people(sounds: Path, tiny_model: Path, here: Here) -> None:
    done = here("events", "noise.wav", "--model", tiny_model, "--on", "0.4", "--off", "0.3")
    assert (done.status, done.err) == (0, "")
    first, header, *rows = done.out.splitlines()
    assert first == "noise.wav  tiny 1  3.00 s  (scores not calibrated)"
    assert header.split() == ["onset", "s", "offset", "s", "score"]
    assert rows
    assert "no events" in here("events", "noise.wav", "--model", tiny_model, "--on", "1", "--off", "1").out


def test_what_is_not_given_comes_from_the_card_or_the_file(
    sounds: Path, tiny_model: Path, tmp_path: Path, here: Here
) -> None:
    def rule_of(*words: str) -> dict[str, object]:
        done = here("events", "noise.wav", "--model", tiny_model, "--json", *words)
        assert done.status == 0, done.err
        rule: dict[str, object] = done.objects[0]["parameters"]["rule"]
        return rule

    card = rule_of()
    assert (card["on"], card["off"], card["merge_gap_seconds"]) == (0.6, 0.4, 0.0)
    changed = rule_of("--off", "0.5", "--smoothing", "1", "--min-duration", "2", "--merge-gap", "3")
    assert changed == {**card, "off": 0.5, "smoothing_seconds": 1, "min_duration_seconds": 2, "merge_gap_seconds": 3}

    path = tmp_path / "rule.json"  # a rule as it stands in a result is a rule for the next run
    path.write_text(json.dumps({**changed, "classes": {"/t/bird": {"on": 0.9, "off": 0.8}}}), encoding="utf-8")
    read = rule_of("--rule", str(path), "--on", "0.7")
    assert read == {**changed, "on": 0.7, "classes": {"/t/bird": {"on": 0.7, "off": 0.7}}}
    read = rule_of("--rule", str(path), "--smoothing", "2")
    assert read == {**changed, "smoothing_seconds": 2, "classes": {"/t/bird": {"on": 0.9, "off": 0.8}}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"onn": 0.4}', "unknown key 'onn'"),
        ('{"on": "high"}', ""),
        ('{"off": true}', ""),
        ('{"classes": []}', ""),
        ('{"classes": {"/t/bird": {"on": 0.9}}}', ""),
        ("[1]", ""),
        ("7", ""),
        ("on = 0.4", "is not JSON"),
        (None, "cannot be read"),
    ],
)
def test_rule_files_that_are_none(
    sounds: Path, tiny_model: Path, tmp_path: Path, here: Here, *, text: str | None, message: str
) -> None:
    path = tmp_path / "rule.json"
    if text is not None:
        path.write_text(text)
    done = here("events", "noise.wav", "--model", tiny_model, "--rule", path)
    assert (done.status, done.out) == (2, "")
    (complaint,) = done.complaints
    assert f"--rule {path}" in complaint
    assert message in complaint
    assert not any(word in complaint for word in ("argument", "attribute", "instance", "__init__", "NoneType", "'<"))


def test_thresholds_that_contradict_each_other(sounds: Path, tiny_model: Path, here: Here) -> None:
    done = here("events", "noise.wav", "--model", tiny_model, "--on", "0.2", "--off", "0.4")
    assert done.status == 2
    assert "on=0.2, off=0.4" in done.complaints[0]


@pytest.mark.parametrize("name", ["smoothing", "min-duration", "merge-gap"])
def test_seconds_that_are_too_many(sounds: Path, tiny_model: Path, here: Here, name: str) -> None:
    done = here("events", "noise.wav", "--model", tiny_model, f"--{name}", "1e308")
    assert (done.status, done.out) == (2, "")
    assert f"{name.replace('-', '_')}_seconds is 1e+308: it must be a number of seconds" in done.complaints[0]


@pytest.mark.parametrize(
    ("words", "thresholds"),
    [
        (("--on", "0.2"), (0.2, 0.2)),
        (("--on", "0.5"), (0.5, 0.4)),
        (("--off", "0.8"), (0.8, 0.8)),
        (("--off", "0.1"), (0.6, 0.1)),
    ],
)
def test_one_threshold_takes_the_other_along(
    sounds: Path, tiny_model: Path, here: Here, words: tuple[str, ...], thresholds: tuple[float, float]
) -> None:
    (result,) = here("events", "noise.wav", "--model", tiny_model, "--json", *words).objects
    rule = result["parameters"]["rule"]
    assert (rule["on"], rule["off"]) == thresholds


def test_formats_for_one_recording_need_a_folder_for_several(
    sounds: Path, tiny_model: Path, tmp_path: Path, here: Here
) -> None:
    words = ("events", "--model", tiny_model, "--on", "0.4")
    done = here(*words, "forest", "--format", "audacity")
    assert done.status == 2
    assert "--format audacity holds one recording and there are 3" in done.complaints[0]
    assert here(*words, "forest", "--format", "raven", "-o", f"{tmp_path}/").status == 0
    tables = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.txt"))
    assert tables == ["a.selections.txt", "b.selections.txt", "deep/c.selections.txt"]
    assert (tmp_path / tables[0]).read_text().startswith("Selection\t")
    track = here(*words, "noise.wav", "--format", "audacity").out
    assert all(len(line.split("\t")) == 3 for line in track.splitlines())
    assert here(*words, "forest", "--format", "rttm").out.startswith("SPEAKER a 1 ")


def test_notes_that_a_format_has_no_place_for(sounds: Path, tiny_model: Path, here: Here) -> None:
    done = here("events", "forest/a.WAV", "--start", "0.9", "--model", tiny_model, "--format", "rttm")
    assert done.status == 0
    assert done.complaints[0].startswith("forest/a.WAV: note: too-short: ")


def test_timeline(sounds: Path, tiny_model: Path, tmp_path: Path, here: Here) -> None:
    done = earmark("timeline", "noise.wav", "--model", tiny_model, "--allow", "Tone", "--json", cwd=sounds)
    assert (done.status, done.err) == (0, "")
    (result,) = done.objects
    assert result["labels"] == [{"label": "Tone", "id": "/t/tone"}]
    assert (result["frames"][0]["onset"], result["frames"][-1]["offset"]) == (0.0, 3.0)
    assert all(len(frame["scores"]) == 1 for frame in result["frames"])
    scores = tmp_path / "noise.tsv"
    assert here("timeline", "noise.wav", "--model", tiny_model, "-o", scores).status == 0
    assert scores.read_text(encoding="utf-8").startswith("onset\toffset\tTone\t")
    assert "highest 3" in here("timeline", "noise.wav", "--model", tiny_model).out
