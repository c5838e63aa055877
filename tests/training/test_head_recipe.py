"""The recipe `head` on tiny clips: it trains, saves, scores and streams, and looks at nothing it should not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earmark.data.manifest import Manifest
from earmark.errors import LeakError, OptionError
from earmark.inference.classifier import Classifier
from earmark.model.card import Label
from earmark.model.modelfile import save
from earmark.model.verify import verify
from earmark.training import heads
from earmark.training.candidate import Candidate
from earmark.training.heads import HEADS
from earmark.training.headsearch import inner_folds
from earmark.training.joining import TailBackend, join
from earmark.training.recipes.head import HeadRecipe
from earmark.training.run import Run
from tests.tinymodel import tiny_card
from tests.training.toyclips import toy_manifest, toy_mixtures


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_TREES", 10)
    monkeypatch.setattr(heads, "_HIDDEN", 16)
    monkeypatch.setattr(heads, "_STEPS", 200)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Return forty clips of three classes and of none of them."""
    return toy_manifest(tmp_path_factory.mktemp("clips"), ("high", "hiss", "low", ""))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def without_negatives(manifest: Manifest) -> Manifest:
    return manifest.select([index for index, clip in enumerate(manifest.clips) if clip.labels])


def saved(candidate: Candidate, labels: Sequence[str], task: str, path: Path) -> Path:
    card = tiny_card(labels=tuple(Label(label, label) for label in labels), task=task, embedding_size=64)
    card = replace(card, embedding_size=candidate.embedding_size)
    return save(join(candidate.trunk, candidate.tail), card, path)


@pytest.mark.parametrize("name", HEADS)
def test_every_head_becomes_a_model_file(
    name: str, clips: Manifest, cache: Path, tiny_model: Path, tmp_path: Path
) -> None:
    manifest = without_negatives(clips)
    candidate = HeadRecipe(backbone=str(tiny_model), head=name).fit(manifest, Run(cache=cache))
    path = saved(candidate, manifest.labels, "single-label", tmp_path / f"{name}.onnx")
    verify(path)
    classifier = Classifier.load(path, threads=1)
    right = 0
    outputs = TailBackend(candidate.tail).run_each(candidate.embeddings)
    for clip, output in zip(manifest.clips, outputs, strict=True):
        tags = classifier.classify(clip.path, top_k=0).tags
        right += tags[0].label == clip.labels[0]
        wanted = dict(zip(manifest.labels, output.clip[0], strict=True))
        assert {tag.label: tag.score for tag in tags} == pytest.approx(wanted, abs=1e-4)
        timeline = classifier.timeline(clip.path)
        np.testing.assert_allclose(timeline.scores, output.frames[0], atol=1e-4)
    assert right >= 0.9 * len(manifest)
    assert candidate.frozen
    assert candidate.facts["head"] == name
    assert candidate.facts["settings"] in HEADS[name].grid


def test_held_out_scores_are_of_models_that_had_not_seen_the_clip(
    clips: Manifest, cache: Path, tiny_model: Path
) -> None:
    manifest = without_negatives(clips)
    # Nearest neighbours know every clip they have seen, so a wrong label is believed there and nowhere else.
    wrong = replace(manifest, clips=(replace(manifest.clips[0], labels=("low",)), *manifest.clips[1:]))
    candidate = HeadRecipe(backbone=str(tiny_model), head="knn").fit(wrong, Run(cache=cache))
    held = candidate.held_out
    assert sorted(held.indices.tolist()) == list(range(len(manifest)))
    place = held.indices.tolist().index(0)
    assert wrong.labels[held.clip[place].argmax()] == "high"
    np.testing.assert_allclose(held.clip.sum(axis=1), 1.0, atol=1e-5)
    assert (held.clip > 0).all()
    for index, frames in zip(held.indices, held.frames, strict=True):
        assert frames.shape == (len(candidate.embeddings[index]), 3)


def test_negatives_teach_what_is_not_a_class(clips: Manifest, cache: Path, tiny_model: Path) -> None:
    candidate = HeadRecipe(backbone=str(tiny_model)).fit(clips, Run(cache=cache))
    outputs = TailBackend(candidate.tail).run_each(candidate.embeddings)
    sums = np.array([output.clip[0].sum() for output in outputs])
    negative = np.array([not clip.labels for clip in clips.clips])
    assert outputs[0].clip.shape == (1, 3)
    assert sums[negative].max() < 0.5 < sums[~negative].min()
    assert (candidate.held_out.clip.sum(axis=1) < 1.0).all()


@pytest.mark.parametrize("name", HEADS)
def test_several_labels_a_clip(name: str, tmp_path: Path, tiny_model: Path) -> None:
    manifest = toy_mixtures(tmp_path)
    candidate = HeadRecipe(backbone=str(tiny_model), head=name).fit(manifest, Run(cache=tmp_path))
    scores = np.stack([output.clip[0] for output in TailBackend(candidate.tail).run_each(candidate.embeddings)])
    assert ((scores > 0.5) == (manifest.targets() > 0)).mean() > 0.8
    assert candidate.held_out.clip.shape == (len(manifest), 2)


def test_negatives_beside_several_labels_are_zeros(clips: Manifest, cache: Path, tiny_model: Path) -> None:
    candidate = HeadRecipe(backbone=str(tiny_model)).fit(replace(clips, multi_label=True), Run(cache=cache))
    scores = np.stack([output.clip[0] for output in TailBackend(candidate.tail).run_each(candidate.embeddings)])
    negative = np.array([not clip.labels for clip in clips.clips])
    assert scores[negative].max() < 0.5 < scores[~negative].max(axis=1).min()


def test_labels_of_any_script(clips: Manifest, cache: Path, tiny_model: Path, tmp_path: Path) -> None:
    names = {"high": "Chant d'oiseau, aigu", "hiss": "ветер и шум", "low": "low; tone|1 🎵"}
    renamed = tuple(replace(clip, labels=tuple(names[label] for label in clip.labels)) for clip in clips.clips)
    manifest = without_negatives(Manifest.of(renamed, source="clips", layout="folder"))
    candidate = HeadRecipe(backbone=str(tiny_model)).fit(manifest, Run(cache=cache))
    path = saved(candidate, manifest.labels, "single-label", tmp_path / "model.onnx")
    tag = Classifier.load(path).classify(manifest.clips[-1].path).tags[0]
    assert tag.label == names["low"]


def test_the_same_seed_gives_the_same_model(clips: Manifest, cache: Path, tiny_model: Path) -> None:
    recipe = HeadRecipe(backbone=str(tiny_model), head="forest")
    first, same = (recipe.fit(clips, Run(cache=cache, seed=5)) for _ in range(2))
    assert first.tail.SerializeToString() == same.tail.SerializeToString()
    np.testing.assert_array_equal(first.held_out.clip, same.held_out.clip)


def test_settings_are_chosen_on_the_official_folds(clips: Manifest, cache: Path, tiny_model: Path) -> None:
    folded = replace(clips, clips=tuple(replace(clip, fold="abc"[i % 3]) for i, clip in enumerate(clips.clips)))
    assert [split.name for split in inner_folds(folded, Run(cache=cache))] == ["a", "b", "c"]
    candidate = HeadRecipe(backbone=str(tiny_model)).fit(folded, Run(cache=cache))
    assert candidate.facts["inner_folds"] == 3
    leaking = replace(folded, clips=tuple(replace(clip, group="one") for clip in folded.clips))
    with pytest.raises(LeakError, match="'one'"):
        HeadRecipe(backbone=str(tiny_model)).fit(leaking, Run(cache=cache))


def test_sources_stay_together(clips: Manifest, cache: Path) -> None:
    grouped = replace(clips, clips=tuple(replace(clip, group=str(i // 2)) for i, clip in enumerate(clips.clips)))
    for split in inner_folds(grouped, Run(cache=cache)):
        assert not set(grouped.groups()[split.train]) & set(grouped.groups()[split.test])


@pytest.mark.parametrize("each", [1, 2, 3])
def test_few_clips_are_enough(each: int, tmp_path: Path, tiny_model: Path) -> None:
    manifest = toy_manifest(tmp_path, each=each)
    lines: list[str] = []
    candidate = HeadRecipe(backbone=str(tiny_model)).fit(manifest, Run(cache=tmp_path, report=lines.append))
    outputs = TailBackend(candidate.tail).run_each(candidate.embeddings)
    assert [manifest.labels[output.clip[0].argmax()] for output in outputs] == [c.labels[0] for c in manifest.clips]
    assert len(candidate.held_out.indices) == (0 if each == 1 else len(manifest))
    assert any("no folds are possible: the usual settings are taken" in line for line in lines) == (each == 1)


def test_a_class_of_one_source_is_divided_and_a_lone_clip_always_trained_on(clips: Manifest, cache: Path) -> None:
    lines: list[str] = []
    of_low = [index for index, clip in enumerate(clips.clips) if clip.labels == ("low",)]
    of_hiss = [index for index, clip in enumerate(clips.clips) if clip.labels == ("hiss",)]
    grouped = tuple(replace(clip, group="all" if clip.labels == ("low",) else None) for clip in clips.clips)
    chosen = replace(clips, clips=grouped).select([*range(10), of_hiss[0], *of_low])
    splits = inner_folds(chosen, Run(cache=cache, report=lines.append))
    assert "settings are chosen on folds that divide sources" in lines[0]
    assert all(10 in split.train for split in splits)
    tested = np.concatenate([split.test for split in splits])
    assert sorted(tested.tolist()) == [place for place in range(len(chosen)) if place != 10]


def test_a_lone_negative_is_always_trained_on(clips: Manifest, cache: Path) -> None:
    negative = next(index for index, clip in enumerate(clips.clips) if not clip.labels)
    splits = inner_folds(clips.select([0, 1, negative]), Run(cache=cache))
    assert [split.test.tolist() for split in splits] in ([[0], [1]], [[1], [0]])


def test_figures_of_folds_that_leak_say_so(clips: Manifest, cache: Path, tiny_model: Path) -> None:
    recipe, run = HeadRecipe(backbone=str(tiny_model)), Run(cache=cache)
    assert recipe.fit(clips, run).held_out.notes == ()
    one_source = tuple(replace(clip, group="all" if clip.labels == ("low",) else None) for clip in clips.clips)
    notes = recipe.fit(replace(clips, clips=one_source), run).held_out.notes
    assert notes == ("1 source has clips of one class both held out and trained on, so the figures are too good.",)


def test_what_is_not_known_is_refused_at_once() -> None:
    with pytest.raises(OptionError, match="head 'bayes' is not known"):
        HeadRecipe(head="bayes")
    with pytest.raises(OptionError, match="pooling 'sum' is not known"):
        HeadRecipe(pooling="sum")
    with pytest.raises(OptionError, match="class_weights='half' is not known"):
        HeadRecipe(class_weights="half")  # type: ignore[arg-type]


@pytest.mark.parametrize("pooling", ["mean", "max", "mean+std"])
def test_balanced_classes_and_other_poolings(pooling: str, clips: Manifest, cache: Path, tiny_model: Path) -> None:
    lines: list[str] = []
    recipe = HeadRecipe(backbone=str(tiny_model), pooling=pooling, class_weights="balanced")
    candidate = recipe.fit(clips.select(range(24)), Run(cache=cache, report=lines.append))
    assert (candidate.facts["pooling"], candidate.facts["class_weights"]) == (pooling, "balanced")
    assert lines[-1].startswith("settings: C ")
    assert "inner folds" in lines[-1]
