"""None of these, and the card's thresholds, on the command line."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.cli.liveview import LiveView
from earmark.inference.stream import StreamUpdate
from earmark.model.card import ClassRule, DecisionRule
from earmark.model.modelfile import save
from tests.cli.command import Here, earmark
from tests.inference.test_stream import restless
from tests.tinymodel import tiny_card, tiny_graph

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of 12 s in which known and unknown sound take turns."""
    path = tmp_path_factory.mktemp("novelty") / "street.wav"
    soundfile.write(path, restless(12 * RATE_HZ, RATE_HZ, 2 * RATE_HZ), RATE_HZ)
    return path


def test_a_person_reads_none_of_these(sounds: Path, novel_model: Path, here: Here) -> None:
    done = here("classify", "noise.wav", "--model", novel_model)
    assert (done.status, done.err) == (0, "")
    _, answer = done.out.splitlines()
    assert re.fullmatch(r"  none of these \(novelty \d\.\d\d\); closest: .+ \d\.\d\d", answer)
    ignored = here("classify", "noise.wav", "--model", novel_model, "--novelty", "ignore")
    assert len(ignored.out.splitlines()) == 6


def test_a_program_is_not_misled(sounds: Path, novel_model: Path, here: Here) -> None:
    (result,) = here("classify", "noise.wav", "--model", novel_model, "--json").objects
    assert (result["tags"], result["none_of_these"]) == ([], True)
    assert (result["parameters"]["novelty"], result["parameters"]["novelty_threshold"]) == ("reject", 0.5)
    (moved,) = here("classify", "noise.wav", "--model", novel_model, "--json", "--novelty-threshold", "1").objects
    assert (moved["none_of_these"], moved["closest"]) == (False, [])
    assert moved["tags"] == result["closest"]
    (row,) = csv.DictReader(
        io.StringIO(here("classify", "noise.wav", "--model", novel_model, "--format", "csv").out, newline="")
    )
    assert (row["label"], float(row["novelty"])) == ("none of these", result["novelty"])


def test_events_and_listen_agree_on_unknown_sound(street: Path, novel_model: Path) -> None:
    words = ("--model", novel_model, "--novelty-threshold", "0.8", "--on", "0.5", "--off", "0.4", "--json")
    (result,) = earmark("events", street, *words, cwd=street.parent).objects
    unknown = [event for event in result["events"] if event["id"] == "none_of_these"]
    assert unknown
    assert len(unknown) < len(result["events"])
    heard = earmark("listen", street, *words, cwd=street.parent)
    assert (heard.status, heard.err) == (0, "")
    closed = [line for line in heard.objects if line["kind"] == "close"]
    assert sorted((event["onset"], event["id"], event["offset"]) for event in closed) == [
        (pytest.approx(onset), label_id, pytest.approx(offset))
        for onset, label_id, offset in sorted((e["onset"], e["id"], e["offset"]) for e in result["events"])
    ]
    denied = earmark("listen", street, *words, "--deny", "None of these", cwd=street.parent).objects
    assert "none_of_these" not in {line.get("id") for line in denied}
    alone = earmark("listen", street, *words, "--allow", "none of these", cwd=street.parent).objects
    assert {line.get("id") for line in alone[:-1]} == {"none_of_these"}


def test_labels_for_audacity(street: Path, novel_model: Path, here: Here) -> None:
    words = ("--model", novel_model, "--allow", "none of these", "--format", "audacity")
    lines = here("events", street, *words).out.splitlines()
    assert lines
    assert all(re.search(r"\tnone of these \d\.\d\d$", line) for line in lines)


def test_a_picture(street: Path, novel_model: Path, tmp_path: Path, here: Here) -> None:
    pytest.importorskip("matplotlib")
    done = here("show", street, "-o", tmp_path / "street.svg", "--model", novel_model, "--novelty-threshold", "0.9")
    assert done.status == 0
    assert "none of these" in (tmp_path / "street.svg").read_text(encoding="utf-8")


def test_the_line_that_moves_shows_novelty(capsys: pytest.CaptureFixture[str]) -> None:
    view = LiveView(["Tone"])
    edges, scores = np.array([0.0, 0.5]), np.array([[0.75]], np.float32)
    line = view._frame(StreamUpdate(edges, scores, (), np.array([0.25], np.float32)))
    assert re.fullmatch(r" +0\.50 s   novelty \S+ 0\.25   Tone \S+ 0\.75", line.plain)
    assert "novelty" not in view._frame(StreamUpdate(edges, scores, ())).plain
    assert view._frame(StreamUpdate(edges, scores[:, :0], (), np.array([1.0], np.float32))).plain.endswith("1.00")


@pytest.mark.parametrize("command", ["classify", "events"])
def test_a_model_without_novelty_takes_no_threshold(sounds: Path, tiny_model: Path, here: Here, command: str) -> None:
    done = here(command, "noise.wav", "--model", tiny_model, "--novelty-threshold", "0.5")
    assert (done.status, done.out) == (2, "")
    assert "'tiny' gives none" in done.complaints[0]
    assert here(command, "noise.wav", "--model", tiny_model, "--novelty", "ignore").status == 0


def test_wrong_thresholds_are_told_before_a_model_is_looked_for(sounds: Path, here: Here) -> None:
    for wrong in ("2", "-0.1", "cards", "nan"):
        done = here("classify", "noise.wav", "--model", "nowhere", f"--threshold={wrong}")
        assert (done.status, done.out) == (2, "")
        assert done.complaints == [f"--threshold {wrong} is not allowed: give a score from 0 to 1, or card"]


def test_the_cards_thresholds(sounds: Path, tmp_path: Path, here: Here) -> None:
    rule = DecisionRule(on=0.0, off=0.0, classes={"/t/tone": ClassRule(1.0, 0.5), "/t/bird": ClassRule(1.0, 0.5)})
    graph = tiny_graph(np.random.default_rng(7))
    model = save(graph, tiny_card(calibrated=True, decision=rule), tmp_path / "fitted.onnx")

    def heard(*words: str) -> tuple[set[str], object]:
        (result,) = here("classify", "noise.wav", "--model", model, "--json", *words).objects
        return {tag["label"] for tag in result["tags"]}, result["parameters"]["threshold"]

    rest = {"Noise, hiss", "Glöckchen", "Silence"}
    assert heard() == heard("--threshold", "card") == (rest, "card")
    assert heard("--threshold", "0") == (rest | {"Tone", "Chant d'oiseau"}, 0.0)
