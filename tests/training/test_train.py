"""Training from folders of clips to a finished model file, whatever the recipe, whatever is wrong with the clips."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import earmark
from earmark.data.manifest import Clip, Manifest
from earmark.data.readers import read_manifest
from earmark.errors import ManifestError, OutputError, TooFewClipsError
from earmark.inference.classifier import Classifier
from earmark.model.backends import load_backend
from earmark.training import fit
from earmark.training.recipes import attention, network
from earmark.training.train import TrainResult, train
from tests.training.toyclips import RATE_HZ, TINY_CONV, TINY_WAVE, toy_mixtures, toy_waveform, write_toy_folders

SHORT: dict[str, Any] = {"epochs": 1, "batch_size": 8, "warmup_epochs": 0, "learning_rate": 1e-2}
ON_CPU: dict[str, Any] = {"accelerator": "cpu", "precision": "32-true"}
Taught = list[Any]


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> Taught:
    """Collect the networks that recipes train, as they are at the end."""
    networks: Taught = []
    fit_network = fit.fit_network

    def collect(network: Any, *rest: Any, **options: Any) -> Any:
        networks.append(network)
        return fit_network(network, *rest, **options)

    for module in (attention, network):
        monkeypatch.setattr(module, "fit_network", collect)
    return networks


@pytest.fixture
def options(request: pytest.FixtureRequest) -> Callable[[str], dict[str, Any]]:
    """Return the settings with which each recipe takes seconds."""

    def settings(recipe: str) -> dict[str, Any]:
        return {
            "head": lambda: {"backbone": str(request.getfixturevalue("tiny_model")), "head": "logistic"},
            "cnn": lambda: SHORT | {"options": TINY_CONV},
            "wave": lambda: SHORT | {"options": TINY_WAVE},
            "attention": lambda: SHORT | {"backbone": str(request.getfixturevalue("tiny_model")), "width": 8},
            "finetune": lambda: SHORT | {"backbone": str(request.getfixturevalue("yamnet")), "learning_rate": 1e-4},
            "anomaly": lambda: {"backbone": str(request.getfixturevalue("tiny_model"))},
        }[recipe]()

    return settings


def sounds(seconds: float = 3.0) -> np.ndarray:
    """Return what a model was taught, one after the other, and something else."""
    rng = np.random.default_rng(99)
    parts = [toy_waveform(label, seconds / 4, rng) for label in ("high", "low", "hiss", "")]
    return np.concatenate(parts).clip(-1, 1)


def assert_streams_as_it_reads(classifier: Classifier, sound: np.ndarray) -> None:
    stream = classifier.stream(RATE_HZ)
    updates = [stream.feed(sound[start : start + 3_000]) for start in range(0, len(sound), 3_000)]
    updates.append(stream.finish())
    timeline = classifier.timeline((sound, RATE_HZ))
    np.testing.assert_allclose(np.concatenate([update.scores for update in updates]), timeline.scores, atol=1e-5)
    closed = [change.event for update in updates for change in update.changes if change.kind == "close"]
    expected = classifier.events((sound, RATE_HZ)).events
    assert sorted((event.label, round(event.onset, 6), round(event.offset, 6)) for event in closed) == sorted(
        (event.label, round(event.onset, 6), round(event.offset, 6)) for event in expected
    )


def assert_is_finished(result: TrainResult, labels: tuple[str, ...]) -> Classifier:
    assert earmark.verify(result.path).passed
    classifier = Classifier.load(result.path, threads=1)
    card = classifier.card
    assert card == result.card
    assert tuple(label.name for label in card.labels) == labels
    assert card.novelty_threshold is not None
    assert card.training["earmark"] == earmark.__version__
    assert card.training["seed"] == 0
    assert 0.0 <= card.metrics["held_out"]["metrics"]["accuracy"] <= 1.0
    assert "forty" in card.training_data
    json.dumps(result.to_dict(), allow_nan=False)
    sound = sounds()
    assert_streams_as_it_reads(classifier, sound)
    told = classifier.classify((sound, RATE_HZ), top_k=0)
    assert len(told.tags or told.closest) == len(labels)
    assert told.novelty is not None
    return classifier


def assert_equals_torch(path: Path, network: Any, calibration: dict[str, Any], classes: int) -> None:
    """Compare the file with torch, calibrated by hand from what the card says."""
    sound = sounds(1.0)[None]
    outputs = load_backend(path).run(sound)
    with torch.no_grad():
        if hasattr(network, "features"):
            embeddings = network.embed(network.features(torch.from_numpy(sound)))
            np.testing.assert_allclose(outputs.embeddings, embeddings, atol=1e-4, rtol=1e-4)
        prediction = network.predict(torch.from_numpy(outputs.embeddings))
    for logits, said in ((prediction.clip, outputs.clip), (prediction.frames, outputs.frames)):
        expected = (logits / calibration["temperature"]).softmax(-1)[..., :classes]
        np.testing.assert_allclose(said, expected, atol=1e-4)


@pytest.mark.parametrize("recipe", ["cnn", "wave", "attention", "finetune"])
def test_networks(recipe: str, options: Any, taught: Taught, forty_clips: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    result = train(forty_clips, tmp_path / "m.onnx", recipe=recipe, report=lines.append, **ON_CPU, **options(recipe))
    classifier = assert_is_finished(result, ("high", "hiss", "low"))
    card = classifier.card
    assert (card.calibrated, card.background, card.name) == (True, True, "m")
    assert (card.training["recipe"], card.training["epochs"], card.training["epochs_done"]) == (recipe, 1, 1)
    assert_equals_torch(result.path, taught[0], card.training["calibration"], 3)
    assert lines[0] == f"training {recipe} on 40 clips, 3 classes"
    assert any(line.startswith("epoch 1/1: ") for line in lines)


def test_head(options: Any, forty_clips: Path, tmp_path: Path) -> None:
    result = train(forty_clips, tmp_path / "m.onnx", name="tones", licence="CC0-1.0", **options("head"))
    card = assert_is_finished(result, ("high", "hiss", "low")).card
    assert (card.calibrated, card.background, card.name, card.licence) == (True, True, "tones", "CC0-1.0")
    assert (card.training["recipe"], card.training["backbone"]) == ("head", "tiny")
    assert card.metrics["held_out"]["metrics"]["clips"] == 40
    assert result.held_out.metrics.accuracy > 0.8
    assert sum(tag.score for tag in Classifier.load(result.path).classify((sounds(), RATE_HZ)).closest) < 1.0


def test_anomaly(options: Any, forty_clips: Path, tmp_path: Path) -> None:
    result = train(forty_clips, tmp_path / "m.onnx", recipe="anomaly", **options("anomaly"))
    assert earmark.verify(result.path).passed
    classifier = Classifier.load(result.path, threads=1)
    assert [label.id for label in classifier.card.labels] == ["anomalous"]
    assert classifier.card.training["recipe"] == "anomaly"
    assert_streams_as_it_reads(classifier, sounds())
    assert 0.0 <= classifier.classify((sounds(), RATE_HZ)).tags[0].score <= 1.0


def test_held_out_scores_are_calibrated_and_of_clips_held_out(options: Any, forty_clips: Path, tmp_path: Path) -> None:
    result = train(forty_clips, tmp_path / "m.onnx", recipe="cnn", **ON_CPU, **options("cnn"))
    held_out = result.held_out
    assert 4 <= len(held_out.clips) <= 8
    classifier = Classifier.load(result.path, threads=1)
    for clip, scores in zip(held_out.clips, held_out.scores, strict=True):
        tags = {tag.label: tag.score for tag in classifier.classify(clip, top_k=0, novelty="ignore").tags}
        np.testing.assert_allclose([tags[label] for label in held_out.labels], scores, atol=1e-4)


@pytest.mark.parametrize("recipe", ["head", "cnn"])
def test_several_labels(recipe: str, options: Any, tmp_path: Path) -> None:
    manifest = toy_mixtures(tmp_path)
    listed = read_manifest(manifest.to_csv(tmp_path / "clips.csv"))
    result = train(listed, tmp_path / "m.onnx", recipe=recipe, **(ON_CPU | options(recipe)))
    classifier = Classifier.load(result.path, threads=1)
    card = classifier.card
    assert (card.task, card.background, card.calibrated) == ("multi-label", False, True)
    assert set(card.decision.classes) <= {"high", "low"}
    assert earmark.verify(result.path).passed
    assert_streams_as_it_reads(classifier, sounds())


def test_labels_of_any_kind(options: Any, tmp_path: Path) -> None:
    labels = ("Glöckchen, klein", "chant d'oiseau; loin", "雨", "a b  c", '"quoted"')
    for place, label in enumerate(labels):
        for number in range(3):
            path = tmp_path / "clips" / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            tone = toy_waveform(("high", "low", "hiss")[place % 3], 0.6, np.random.default_rng(10 * place + number))
            soundfile.write(path, tone, RATE_HZ)
    result = train(tmp_path / "clips", tmp_path / "m.onnx", **options("head"))
    assert [label.name for label in result.card.labels] == sorted(labels)
    tags = Classifier.load(result.path).classify((sounds(), RATE_HZ), top_k=0, novelty="ignore").tags
    assert {tag.label for tag in tags} == set(labels)


def test_a_corrupt_clip_is_left_out_and_told(options: Any, tmp_path: Path) -> None:
    clips = write_toy_folders(tmp_path / "clips", ("high", "low"), each=4)
    (clips / "high" / "bad.wav").write_bytes(b"no sound in here")
    result = train(clips, tmp_path / "m.onnx", **options("head"))
    ((file, reason),) = result.failures
    assert file.endswith("bad.wav")
    assert "bad.wav" in reason
    assert "8 clips" in result.card.training_data


def test_a_silent_class(options: Any, tmp_path: Path) -> None:
    clips = write_toy_folders(tmp_path / "clips", ("high", "low"), each=6)
    (clips / "nothing").mkdir()
    for number in range(6):
        soundfile.write(clips / "nothing" / f"{number}.wav", np.zeros(16_000 + number), RATE_HZ)
    for recipe in ("head", "cnn", "wave"):
        result = train(clips, tmp_path / "m.onnx", recipe=recipe, **(ON_CPU | options(recipe)))
        told = Classifier.load(result.path).classify((np.zeros(16_000, np.float32), RATE_HZ), novelty="ignore")
        assert np.isfinite(told.tags[0].score)
        assert recipe != "head" or told.tags[0].label == "nothing"


def test_tests_of_the_data_set_are_left_alone(options: Any, forty_clips: Path, tmp_path: Path) -> None:
    manifest = read_manifest(forty_clips)
    clips = [
        Clip(clip.path, clip.labels, split="test" if n % 5 == 0 else "train") for n, clip in enumerate(manifest.clips)
    ]
    divided = Manifest.of(clips, source="divided", layout="csv")
    result = train(divided, tmp_path / "m.onnx", **options("head"))
    assert "divided: 32 clips" in result.card.training_data
    tested = {str(clip.path) for clip in clips if clip.split == "test"}
    assert len(result.held_out.clips) == 32
    assert not tested & set(result.held_out.clips)


def test_too_few_clips_are_told_by_name(options: Any, tmp_path: Path) -> None:
    clips = write_toy_folders(tmp_path / "clips", ("high", "low"), each=3)
    write_toy_folders(clips, ("hiss",), each=1)
    with pytest.raises(TooFewClipsError, match=r"fewer than two clips: 'hiss' \(1\)"):
        train(clips, tmp_path / "m.onnx", **options("head"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="empty holds no clips"):
        train(tmp_path / "empty", tmp_path / "m.onnx", **options("head"))
    with pytest.raises(TooFewClipsError, match="fewer than two classes"):
        train(clips / "high", tmp_path / "m.onnx", **options("head"))
    assert not (tmp_path / "m.onnx").exists()


def test_two_clips_a_class_are_enough(options: Any, tmp_path: Path) -> None:
    clips = write_toy_folders(tmp_path / "clips", ("high", "low"), each=2)
    for recipe in ("head", "cnn", "attention"):
        assert earmark.verify(
            train(clips, tmp_path / "m.onnx", recipe=recipe, **(ON_CPU | options(recipe))).path
        ).passed


def test_a_label_that_models_answer_with_is_refused_at_once(options: Any, tmp_path: Path) -> None:
    clips = write_toy_folders(tmp_path / "clips", ("high",), each=2)
    (clips / "high").rename(clips / "none_of_these")
    write_toy_folders(clips, ("low",), each=2)
    with pytest.raises(ManifestError, match=r"has the class 'none_of_these', .*give the class another name"):
        train(clips, tmp_path / "m.onnx", **options("head"))


def test_bad_places_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    nothing = tmp_path / "no such data"
    with pytest.raises(OutputError, match=r"does not end in \.onnx.*give .*model\.onnx"):
        train(nothing, tmp_path / "model.pt")
    with pytest.raises(OutputError, match=r"there is no folder .*missing"):
        train(nothing, tmp_path / "missing" / "m.onnx")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        train(nothing, tmp_path / "folder.onnx")


def test_only_the_first_of_several_processes_writes(
    options: Any, forty_clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    result = train(forty_clips, tmp_path / "m.onnx", **options("head"))
    assert not result.path.exists()
    assert result.card.calibrated
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert train(forty_clips, tmp_path / "m.onnx", **options("head")).path.exists()
