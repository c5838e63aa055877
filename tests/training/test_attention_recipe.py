"""Attention on embeddings of a frozen backbone, and on a network from scratch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from earmark.data.manifest import Manifest
from earmark.errors import OptionError
from earmark.model.backends import load_backend, open_session
from earmark.training.fit import fit_network
from earmark.training.joining import join
from earmark.training.networks import EmbeddingNetwork
from earmark.training.recipes import attention
from earmark.training.recipes.attention import AttentionRecipe
from earmark.training.run import Run
from tests.training.toyclips import TINY_CONV, toy_manifest, toy_mixtures

HEADS = ("attention", "decision-max", "decision-average", "multi-level-attention", "feature-attention")


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return toy_manifest(tmp_path_factory.mktemp("tones"), each=8)


def recipe(backbone: str, head: str = "attention", epochs: int = 2) -> AttentionRecipe:
    return AttentionRecipe(
        backbone=backbone, head=head, width=8, epochs=epochs, batch_size=8, warmup_epochs=0, learning_rate=1e-2
    )


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> list[EmbeddingNetwork]:
    """Collect the heads that the recipe trains."""
    trained: list[EmbeddingNetwork] = []

    def collect(network: EmbeddingNetwork, *rest: Any, **options: Any) -> Any:
        trained.append(network)
        return fit_network(network, *rest, **options)

    monkeypatch.setattr(attention, "fit_network", collect)
    return trained


@pytest.mark.parametrize("head", HEADS)
def test_a_head_on_a_frozen_backbone(
    head: str, tiny_model: Path, tones: Manifest, heads: list[EmbeddingNetwork], tmp_path: Path
) -> None:
    candidate = recipe(str(tiny_model), head).fit(tones, Run(accelerator="cpu", cache=tmp_path))
    assert candidate.frozen
    assert candidate.facts["head"] == head
    assert candidate.held_out.clip.shape == (len(candidate.held_out.indices), 3)
    session = open_session(join(candidate.trunk, candidate.tail).SerializeToString())
    waveform = (0.1 * np.random.default_rng(2).standard_normal((1, 40_000))).astype(np.float32)
    clip, frames, embeddings = session.run(["clip", "frames", "embeddings"], {"waveform": waveform})
    expected_embeddings = load_backend(tiny_model).run(waveform).embeddings
    np.testing.assert_allclose(embeddings, expected_embeddings, atol=1e-4)
    with torch.no_grad():
        expected = heads[0].predict(torch.from_numpy(embeddings))
    np.testing.assert_allclose(clip, expected.clip.softmax(-1), atol=1e-4)
    np.testing.assert_allclose(frames, expected.frames.softmax(-1), atol=1e-4)


def test_several_labels_and_negatives(tiny_model: Path, tmp_path: Path) -> None:
    for name, manifest in (
        ("mixtures", toy_mixtures(tmp_path)),
        ("negatives", toy_manifest(tmp_path, ("high", "low", ""), each=6)),
    ):
        candidate = recipe(str(tiny_model)).fit(manifest, Run(accelerator="cpu", cache=tmp_path / name))
        assert candidate.held_out.clip.shape[1] == 2


def test_a_network_from_scratch_with_attention(tones: Manifest) -> None:
    settings = AttentionRecipe(
        backbone="cnn:conv", options=TINY_CONV, width=8, epochs=1, batch_size=8, augmentation="none"
    )
    candidate = settings.fit(tones, Run(accelerator="cpu"))
    assert not candidate.frozen
    assert candidate.embedding_size == 8
    assert candidate.facts["recipe"] == "attention"
    assert len(candidate.held_out.frames) == len(candidate.held_out.indices)


def test_an_unknown_head_is_told(tiny_model: Path, tones: Manifest, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="head 'loud' is not known"):
        recipe(str(tiny_model), "loud").fit(tones, Run(cache=tmp_path))


def test_training_leaves_gradients_switched_on(tiny_model: Path, tones: Manifest, tmp_path: Path) -> None:
    recipe(str(tiny_model), epochs=1).fit(tones, Run(accelerator="cpu", cache=tmp_path))
    assert torch.is_grad_enabled()
