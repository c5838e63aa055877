"""Cross-validation: every clip scored once, by a finished model that has not seen its fold."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earmark.data.manifest import Clip, Manifest
from earmark.data.readers import read_manifest
from earmark.data.splits import cross_folds
from earmark.errors import LeakError, OptionError
from earmark.inference.classifier import Classifier
from earmark.training.crossval import crossval
from earmark.training.train import train
from tests.training.toyclips import RATE_HZ, TINY_CONV, toy_manifest, toy_mixtures, toy_waveform

CNN: dict[str, Any] = {
    "recipe": "cnn",
    "epochs": 1,
    "batch_size": 8,
    "warmup_epochs": 0,
    "options": TINY_CONV,
    "accelerator": "cpu",
    "precision": "32-true",
}


@pytest.fixture(scope="module")
def clips(forty_clips: Path) -> Manifest:
    return read_manifest(forty_clips)


def scores_of(classifier: Classifier, clip: str, labels: tuple[str, ...]) -> tuple[list[float], float | None]:
    told = classifier.classify(clip, top_k=0, novelty="ignore")
    scores = {tag.label: tag.score for tag in told.tags}
    return [scores[label] for label in labels], told.novelty


@pytest.mark.parametrize("recipe", ["head", "cnn"])
def test_a_fold_is_scored_by_the_model_that_train_makes(
    recipe: str, clips: Manifest, tiny_model: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = CNN if recipe == "cnn" else {"backbone": str(tiny_model)}
    long = tmp_path / "long.wav"  # longer than a segment of the model, so that its scores are a mean
    soundfile.write(long, toy_waveform("low", 4.3, np.random.default_rng(1)), RATE_HZ)
    manifest = replace(clips, clips=(*clips.clips, Clip(long, ("low",))))
    split = next(split for split in cross_folds(manifest) if 40 in split.test)
    outcome = crossval(manifest, only=[split.name], **options)
    result = train(manifest.select(split.train), tmp_path / "m.onnx", **options)
    classifier = Classifier.load(result.path, threads=1)
    assert outcome.clips == tuple(str(manifest.clips[place].path) for place in split.test)
    for row, clip in enumerate(outcome.clips):
        scores, novelty = scores_of(classifier, clip, outcome.labels)
        np.testing.assert_allclose(outcome.scores[row], scores, atol=1e-4)
        assert outcome.novelty is not None
        assert outcome.novelty[row] == pytest.approx(novelty, abs=1e-4)
    np.testing.assert_allclose(outcome.novelty_threshold, result.card.novelty_threshold, rtol=1e-6)
    assert outcome.notes == (f"Of 5 folds only {split.name}.",)


def test_every_clip_once_in_the_order_of_the_manifest(clips: Manifest, tiny_model: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    outcome = crossval(clips, backbone=str(tiny_model), report=lines.append)
    assert outcome.clips == tuple(str(clip.path) for clip in clips.clips)
    np.testing.assert_array_equal(outcome.targets, clips.targets())
    assert set(outcome.folds or ()) == {"1", "2", "3", "4", "5"}
    assert {"accuracy"} <= set(outcome.spread)
    assert (outcome.calibrated, outcome.notes, outcome.task) == (True, (), "single-label")
    assert outcome.metrics.accuracy > 0.8
    assert outcome.refused.shape == (40,)
    assert set(outcome.rejection()) == {"roc_auc", "known_refused", "unknown_refused"}
    assert lines[0] == "5 folds of 40 clips, 3 classes, recipe head"
    assert lines[1] == "fold 1: 32 clips to train on, 8 to test with"
    outcome.write_scores(tmp_path / "scores.csv")
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 41


def test_the_same_seed_gives_the_same_scores(clips: Manifest, tiny_model: Path) -> None:
    one, same = (crossval(clips, backbone=str(tiny_model), only=["2"], seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.scores, same.scores)


def test_several_labels_and_another_number_of_folds(tiny_model: Path, tmp_path: Path) -> None:
    outcome = crossval(toy_mixtures(tmp_path), folds=3, backbone=str(tiny_model))
    assert (outcome.task, len(outcome.clips)) == ("multi-label", 24)
    assert set(outcome.folds or ()) == {"1", "2", "3"}
    of_folds = {fold: np.unique(outcome.limits[np.array(outcome.folds) == fold], axis=0) for fold in ("1", "2", "3")}
    assert all(len(limits) == 1 for limits in of_folds.values())
    assert len(np.unique(np.concatenate(list(of_folds.values())), axis=0)) > 1
    assert "The thresholds of each fold are those that its own model has fitted" in outcome.notes[-2]


def test_a_leak_is_refused_or_told(clips: Manifest, tiny_model: Path) -> None:
    leaking = [
        replace(clip, fold=str(1 + place % 2), group=f"{clip.labels}{place // 2}")
        for place, clip in enumerate(clips.clips)
    ]
    manifest = Manifest.of(leaking, source="leaky", layout="csv")
    with pytest.raises(LeakError, match="both sides of a split of leaky"):
        crossval(manifest, backbone=str(tiny_model))
    outcome = crossval(manifest, backbone=str(tiny_model), force=True)
    assert "leaks and was forced" in outcome.notes[0]


def test_tests_of_the_data_set_are_left_alone(clips: Manifest, tiny_model: Path) -> None:
    divided = [replace(clip, split="test" if place % 4 == 0 else "train") for place, clip in enumerate(clips.clips)]
    outcome = crossval(Manifest.of(divided, source="divided", layout="csv"), folds=2, backbone=str(tiny_model))
    assert len(outcome.clips) == 30
    assert outcome.notes == ("10 clips that the data set keeps for testing were left alone.",)


def test_ctrl_c_in_a_fold_ends_the_whole(clips: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(recipe: Any, *given: Any) -> Any:
        candidate = fit(recipe, *given)
        return replace(candidate, facts={**candidate.facts, "stopped": "interrupted"})

    from earmark.training.recipes.cnn import CnnRecipe

    fit = CnnRecipe.fit
    monkeypatch.setattr(CnnRecipe, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        crossval(clips, **CNN)


def test_each_fold_has_a_folder_of_its_own(clips: Manifest, tmp_path: Path) -> None:
    options = CNN | {"folder": tmp_path, "only": ["1", "2"]}
    outcome = crossval(clips, **options)
    assert {path.name for path in tmp_path.iterdir()} == {"fold-1", "fold-2"}
    again = crossval(clips, resume=True, **options)
    np.testing.assert_array_equal(outcome.scores, again.scores)


def test_what_is_refused(clips: Manifest, tiny_model: Path) -> None:
    with pytest.raises(OptionError, match="there is no fold '9'; the folds are 1, 2, 3, 4, 5"):
        crossval(clips, backbone=str(tiny_model), only=["9"])
    with pytest.raises(OptionError, match="recipe 'anomaly' knows no classes"):
        crossval(clips, recipe="anomaly")


def test_two_clips_a_class_leave_none_to_calibrate_on(tiny_model: Path, tmp_path: Path) -> None:
    outcome = crossval(toy_manifest(tmp_path, ("high", "low"), each=2), folds=2, backbone=str(tiny_model))
    assert len(outcome.clips) == 4
    assert not outcome.calibrated
