"""Evaluation: its scores are what users get, and nothing is left out silently."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.data.manifest import Clip, LabelledEvent, Manifest
from earmark.errors import DataError, LabelError, OptionError
from earmark.evaluation.evaluate import evaluate
from earmark.evaluation.hearing import hear
from earmark.inference.classifier import Classifier
from earmark.model.card import ClassRule, DecisionRule
from earmark.model.modelfile import save
from tests.evaluation.conftest import write_clip
from tests.tinymodel import LABELS, save_novel_model, tiny_card, tiny_graph

NAMES = tuple(label.name for label in LABELS)


def strong_manifest(folder: Path) -> Manifest:
    events = (LabelledEvent("Tone", 0.2, 0.9), LabelledEvent("Silence", 0.5, 2.0))
    clips = [
        Clip(write_clip(folder / "a.wav", 1, 3.0), ("Tone", "Silence"), events=events),
        Clip(write_clip(folder / "b.wav", 2, 3.0), (), start_seconds=0.5, end_seconds=2.0, events=()),
        Clip(write_clip(folder / "c.wav", 3, 3.0), ("Tone",)),
    ]
    return Manifest.of(clips, source="made", layout="csv")


def test_scores_are_those_of_classify(tiny_model: Path, clips: Path) -> None:
    outcome = evaluate(tiny_model, clips)
    classifier = Classifier.load(tiny_model)
    assert set(outcome.labels) == set(NAMES)
    for row, clip in enumerate(outcome.clips):
        tags = {tag.label: tag.score for tag in classifier.classify(clip, top_k=0).tags}
        assert [tags[label] for label in outcome.labels] == pytest.approx(outcome.scores[row].tolist())
    assert outcome.truth_of(3) == (NAMES[3],)
    assert outcome.seconds == pytest.approx(8.0)
    assert outcome.metrics.clips == 10
    assert outcome.events == {}
    assert any("not calibrated" in note for note in outcome.notes)


def test_frames_and_events_are_those_of_a_user(tiny_model: Path, tmp_path: Path) -> None:
    classifier = Classifier.load(tiny_model)
    clip = strong_manifest(tmp_path).clips[1]
    span = {"start": clip.start_seconds, "end": clip.end_seconds}
    heard = hear(classifier.backend, clip)
    timeline = classifier.timeline(clip.path, **span)
    np.testing.assert_array_equal(heard.frames, timeline.scores)
    np.testing.assert_allclose(heard.edges, timeline.edges - 0.5)
    events = classifier.events(clip.path, **span).events
    assert [(e.label, e.onset + 0.5, e.offset + 0.5) for e in heard.events] == [
        (e.label, pytest.approx(e.onset), pytest.approx(e.offset)) for e in events
    ]
    assert heard.seconds == pytest.approx(1.5)


def test_strong_labels_are_measured(tiny_model: Path, tmp_path: Path) -> None:
    manifest = strong_manifest(tmp_path)
    rule = DecisionRule(on=0.01, off=0.01)  # everything sounds all the time
    events = evaluate(tiny_model, manifest, rule=rule, collar_seconds=0.3).events
    assert events["clips"] == 2
    assert events["collar_seconds"] == 0.3
    assert set(events["event"]["labels"]) == {"Tone", "Silence"}
    # of the first clip, Tone begins 0.2 s after it is heard; the second clip has neither and hears both
    assert events["event"]["labels"]["Tone"] | {"f1": 0} == {
        "hits": 1, "false_alarms": 1, "misses": 0, "precision": 0.5, "recall": 1.0, "f1": 0,
    }  # fmt: skip
    assert events["event"]["labels"]["Silence"]["hits"] == 0
    assert events["segment"]["recall"] == 1.0
    assert events["psds1"]["score"] is not None


def test_thresholds_come_from_the_rule(tiny_model: Path, clips: Path) -> None:
    rule = DecisionRule(on=0.6, off=0.2, classes={"Tone": ClassRule(0.25, 0.1)})
    outcome = evaluate(tiny_model, clips, rule=rule)
    assert outcome.thresholds["Tone"] == 0.25
    assert outcome.thresholds["Silence"] == 0.6


def test_labels_go_by_id_and_in_any_case(tiny_model: Path, tmp_path: Path) -> None:
    paths = [write_clip(tmp_path / f"{number}.wav", number) for number in range(2)]
    manifest = Manifest.of([Clip(paths[0], ("/t/bird",)), Clip(paths[1], ("tone",))], source="x", layout="csv")
    outcome = evaluate(tiny_model, manifest)
    assert outcome.labels == ("tone", "/t/bird")  # in the model's order, named as the data names them
    np.testing.assert_array_equal(outcome.targets, [[0, 1], [1, 0]])
    assert any("3 labels that the data has not; they are left out" in note for note in outcome.notes)


def test_a_single_label_model_may_answer_with_any_label(tmp_path: Path) -> None:
    graph = tiny_graph(np.random.default_rng(7))
    model = save(graph, tiny_card(name="single", task="single-label"), tmp_path / "single.onnx")
    several = Clip(write_clip(tmp_path / "1.wav", 1), ("Tone", "Silence"))
    manifest = Manifest.of([several, Clip(write_clip(tmp_path / "2.wav", 2), ("Tone",))], source="x", layout="csv")
    outcome = evaluate(model, manifest)
    assert outcome.labels == NAMES
    assert any("answering with one of them is wrong" in note for note in outcome.notes)
    assert any("1 clips have several labels" in note for note in outcome.notes)


def test_unknown_labels_are_refused_or_none_of_these(tmp_path: Path) -> None:
    model = save_novel_model(tmp_path / "novel.onnx")
    known, strange = (write_clip(tmp_path / f"{number}.wav", number) for number in range(2))
    manifest = Manifest.of([Clip(known, ("Tone",)), Clip(strange, ("Dodo",))], source="x", layout="csv")
    with pytest.raises(LabelError, match="does not have 1 label of the data: 'Dodo'"):
        evaluate(model, manifest)
    outcome = evaluate(model, manifest, unknown="none")
    assert outcome.labels == ("Tone",)
    assert outcome.targets.tolist() == [[1], [0]]
    assert outcome.novelty is not None
    assert outcome.novelty_threshold == 0.5
    assert set(outcome.rejection()) == {"roc_auc", "known_refused", "unknown_refused"}
    assert any("none of the model's (Dodo)" in note for note in outcome.notes)
    only = manifest.select([1])
    with pytest.raises(LabelError, match="Dodo"):
        evaluate(model, replace(only, labels=("Dodo",)), unknown="none")


def test_two_names_of_one_label_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    paths = [write_clip(tmp_path / f"{number}.wav", number) for number in range(2)]
    manifest = Manifest.of([Clip(paths[0], ("Tone",)), Clip(paths[1], ("/t/tone",))], source="x", layout="csv")
    with pytest.raises(LabelError, match="mean the same one"):
        evaluate(tiny_model, manifest)


def test_one_part_of_the_data(tiny_model: Path, clips: Path) -> None:
    outcome = evaluate(tiny_model, clips, split="test")
    assert [Path(clip).name[0] for clip in outcome.clips] == ["1", "3", "5", "7", "9"]
    with pytest.raises(OptionError, match="no clip of the split 'validation': it has test, train"):
        evaluate(tiny_model, clips, split="validation")


def test_clips_that_cannot_be_read_are_listed(tiny_model: Path, clips: Path, tmp_path: Path) -> None:
    broken = clips.parent / "clips" / "0<b>&.wav"
    broken.write_bytes(b"no sound")
    outcome = evaluate(tiny_model, clips)
    assert outcome.metrics.clips == 9
    assert [Path(file).name for file, _ in outcome.failures] == [broken.name]
    # what the reader's check did not see, such as a file that went away since
    gone = Clip(clips.parent / "gone.wav", ("Tone",))
    there = Clip(clips.parent / "clips" / "1<b>&.wav", ("Tone",))
    outcome = evaluate(tiny_model, Manifest.of([gone, there], source="x", layout="csv"))
    assert outcome.failures[0][0] == str(gone.path)
    loud = Clip(tmp_path / "loud.wav", ("Tone",))
    soundfile.write(loud.path, np.full(8_000, 1e30, np.float32), 16_000, subtype="FLOAT")
    outcome = evaluate(tiny_model, Manifest.of([loud, there], source="x", layout="csv"))
    assert "loud.wav gives scores that are not finite" in outcome.failures[0][1]
    with pytest.raises(DataError, match=r"none of the 1 clips of x can be heard; the first: .*gone\.wav"):
        evaluate(tiny_model, Manifest.of([gone], source="x", layout="csv"))


def test_training_data_is_recognised(tmp_path: Path) -> None:
    manifest = Manifest.of([Clip(write_clip(tmp_path / "1.wav", 1), ("Tone",))], source="x", layout="csv")
    card = tiny_card(training_data=f"x: 1 clips, SHA-256 of the list {manifest.digest()}", calibrated=True)
    model = save(tiny_graph(np.random.default_rng(7)), card, tmp_path / "tiny.onnx")
    assert any("was trained on this very list" in note for note in evaluate(model, manifest).notes)


def test_progress_and_threads(tiny_model: Path, clips: Path) -> None:
    told: list[tuple[int, int]] = []
    evaluate(Classifier.load(tiny_model), clips, threads=2, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 10) for done in range(1, 11)]
    with pytest.raises(OptionError, match="threads=0"):
        evaluate(tiny_model, clips, threads=0)


@pytest.mark.parametrize("leaks", [False, True])
def test_a_division_that_leaks_is_told(leaks: bool, tmp_path: Path) -> None:
    clips = [
        Clip(write_clip(tmp_path / f"{number}.wav", number), ("Tone",), split=split, group="one" if leaks else None)
        for number, split in enumerate(("train", "test"))
    ]
    manifest = Manifest.of(clips, source="x", layout="csv")
    card = tiny_card(training_data=f"x: 1 clips, SHA-256 of the list {manifest.select([0]).digest()}", calibrated=True)
    model = save(tiny_graph(np.random.default_rng(7)), card, tmp_path / "tiny.onnx")
    notes = evaluate(model, manifest, split="test").notes
    assert any("both held out and trained on" in note for note in notes) == leaks
