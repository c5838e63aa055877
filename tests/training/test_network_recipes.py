"""Recipes with a network on tiny clips: each trains, exports, and says as ONNX what it says in torch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from earmark.data.leaks import leak_notes
from earmark.data.manifest import Manifest
from earmark.errors import LeakError, OptionError
from earmark.model.backends import open_session
from earmark.training import fit
from earmark.training.candidate import Candidate
from earmark.training.joining import join
from earmark.training.networks import Network
from earmark.training.recipes import network as network_module
from earmark.training.recipes.cnn import CnnRecipe
from earmark.training.recipes.finetune import FinetuneRecipe
from earmark.training.recipes.lesson import Lesson, even_size
from earmark.training.recipes.network import NetworkRecipe
from earmark.training.recipes.wave import WaveRecipe
from earmark.training.run import Run
from earmark.training.scores import score_for
from tests.training.toyclips import TINY_CONV, TINY_WAVE, toy_manifest, toy_mixtures

SHORT: dict[str, Any] = {"epochs": 2, "batch_size": 8, "warmup_epochs": 0, "learning_rate": 1e-2}


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> list[Network]:
    """Collect the networks that recipes train."""
    trained: list[Network] = []
    train = fit.fit_network

    def collect(network: Network, *rest: Any, **options: Any) -> Any:
        trained.append(network)
        return train(network, *rest, **options)

    monkeypatch.setattr(network_module, "fit_network", collect)
    return trained


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return toy_manifest(tmp_path_factory.mktemp("tones"), each=8)


def trained(recipe: NetworkRecipe, manifest: Manifest, **run: Any) -> Candidate:
    return recipe.fit(manifest, Run(accelerator="cpu", **run))


def assert_onnx_equals_torch(candidate: Candidate, network: Network, task: str, classes: int) -> None:
    graph = join(candidate.trunk, candidate.tail)
    onnx.checker.check_model(graph)
    session = open_session(graph.SerializeToString())
    for seconds in (0.3, 2.0):
        noise = np.random.default_rng(1).standard_normal((2, round(seconds * candidate.sample_rate_hz)))
        waveforms = (0.1 * noise).astype(np.float32)
        clip, frames, embeddings = session.run(["clip", "frames", "embeddings"], {"waveform": waveforms})
        with torch.no_grad():
            expected = network.embed(network.features(torch.from_numpy(waveforms)))
            logits = network.predict(expected)
        scores = [part.softmax(-1) if task == "single-label" else part.sigmoid() for part in logits]
        np.testing.assert_allclose(embeddings, expected, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(clip, scores[0][..., :classes], atol=1e-4)
        np.testing.assert_allclose(frames, scores[1][..., :classes], atol=1e-4)


def assert_is_whole(candidate: Candidate, manifest: Manifest) -> None:
    held = candidate.held_out
    assert len(candidate.embeddings) == len(manifest)
    assert all(clip.shape[1] == candidate.embedding_size and len(clip) >= 1 for clip in candidate.embeddings)
    assert held.clip.shape == (len(held.indices), len(manifest.labels))
    assert [len(frames) for frames in held.frames] == [len(candidate.embeddings[index]) for index in held.indices]
    assert 0 < len(held.indices) < len(manifest) / 2
    assert not candidate.frozen


@pytest.mark.parametrize(
    "recipe",
    [CnnRecipe(options=TINY_CONV, **SHORT), WaveRecipe(options=TINY_WAVE, **SHORT)],
    ids=["cnn", "wave"],
)
def test_a_recipe_from_scratch(recipe: NetworkRecipe, tones: Manifest, networks: list[Network]) -> None:
    candidate = trained(recipe, tones)
    assert_is_whole(candidate, tones)
    assert_onnx_equals_torch(candidate, networks[0], "single-label", 3)
    np.testing.assert_allclose(candidate.held_out.clip.sum(axis=1), 1.0, atol=1e-5)
    assert candidate.facts["recipe"] == recipe.name
    assert candidate.facts["augmentation"]["mixup_alpha"] == 0.4
    assert candidate.facts["epochs_done"] == 2


def test_finetuning_starts_from_the_file(yamnet: Path, tones: Manifest, networks: list[Network]) -> None:
    recipe = FinetuneRecipe(backbone=str(yamnet), epochs=1, batch_size=8, learning_rate=1e-4)
    candidate = trained(recipe, tones.select(range(0, len(tones), 2)))
    assert candidate.embedding_size == 1024
    assert_onnx_equals_torch(candidate, networks[0], "single-label", 3)


def test_negatives_make_scores_that_do_not_add_up_to_one(tmp_path: Path, networks: list[Network]) -> None:
    manifest = toy_manifest(tmp_path, ("high", "low", ""), each=8)
    candidate = trained(CnnRecipe(options=TINY_CONV, **SHORT), manifest)
    assert networks[0].classes == 3
    assert_is_whole(candidate, manifest)
    assert (candidate.held_out.clip.sum(axis=1) < 1.0).all()
    assert_onnx_equals_torch(candidate, networks[0], "single-label", 2)


def test_several_labels_with_focal_loss_and_balance(tmp_path: Path, networks: list[Network]) -> None:
    manifest = toy_mixtures(tmp_path)
    settings = SHORT | {"loss": "focal", "sampling": "balanced", "class_weights": True, "label_smoothing": 0.1}
    candidate = trained(CnnRecipe(options=TINY_CONV, head="attention", head_options={"width": 8}, **settings), manifest)
    assert_is_whole(candidate, manifest)
    assert_onnx_equals_torch(candidate, networks[0], "multi-label", 2)


def test_the_same_seed_gives_the_same_model(tones: Manifest) -> None:
    recipe = CnnRecipe(options=TINY_CONV, **(SHORT | {"epochs": 1}))
    one, same, other = (trained(recipe, tones, seed=seed).held_out.clip for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_it_learns_to_tell_tones_from_noise(tones: Manifest) -> None:
    recipe = CnnRecipe(options=TINY_CONV, **(SHORT | {"epochs": 12, "augmentation": "none"}))
    candidate = trained(recipe, tones)
    truth = tones.targets()[candidate.held_out.indices].argmax(axis=1)
    assert (candidate.held_out.clip.argmax(axis=1) == truth).mean() >= 0.6


def test_settings_that_are_not_allowed() -> None:
    with pytest.raises(OptionError, match="crop_seconds=0 is not allowed"):
        CnnRecipe(crop_seconds=0)
    with pytest.raises(OptionError, match="augmentation 'loud' is not known"):
        CnnRecipe(augmentation="loud")
    with pytest.raises(OptionError, match="epochs=0 is not allowed"):
        WaveRecipe(epochs=0)


@pytest.mark.parametrize(("clips", "size", "expected"), [(32, 8, 8), (33, 8, 7), (1, 8, 8), (7, 3, 4)])
def test_no_batch_has_a_single_clip(clips: int, size: int, expected: int) -> None:
    assert even_size(clips, size, 1) == expected


def test_an_official_validation_that_leaks_is_refused_or_told(tmp_path: Path) -> None:
    clips = toy_manifest(tmp_path, each=4).clips
    divided = [
        replace(clip, split="validation" if place % 2 else "train", group=f"{place // 2}")
        for place, clip in enumerate(clips)
    ]
    manifest = Manifest.of(divided, source="leaky", layout="csv")
    with pytest.raises(LeakError, match="both sides of a split of leaky"):
        Lesson.of(manifest, Run())
    lesson = Lesson.of(manifest, Run(force=True))
    assert lesson.split.test.tolist() == list(range(1, 12, 2))
    assert "too good" in leak_notes(manifest, [lesson.split])[0]


def test_held_out_negatives_alone_have_a_score() -> None:
    assert score_for("multi-label")(np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32)) == 0.0
