"""Losses against torch's own and against formulas written out, and their gradients at the extremes."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from earmark.errors import OptionError
from earmark.training.losses import class_weights, loss_for


@pytest.fixture
def logits(rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(2.0 * rng.standard_normal((12, 5)).astype(np.float32))


@pytest.fixture
def classes(rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(rng.integers(5, size=12))


@pytest.fixture
def soft(rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(rng.dirichlet(np.ones(5), 12).astype(np.float32))


WEIGHTS = np.array([0.5, 1.0, 2.0, 0.7, 0.8], np.float32)


def test_cross_entropy(logits: torch.Tensor, classes: torch.Tensor, soft: torch.Tensor) -> None:
    hard = functional.one_hot(classes, 5).float()
    loss = loss_for("single-label")
    torch.testing.assert_close(loss(logits, hard), functional.cross_entropy(logits, classes))
    torch.testing.assert_close(loss(logits, soft), functional.cross_entropy(logits, soft))
    weighted = loss_for("single-label", class_weights=WEIGHTS)
    torch.testing.assert_close(
        weighted(logits, hard), functional.cross_entropy(logits, classes, torch.from_numpy(WEIGHTS))
    )
    smooth = loss_for("single-label", label_smoothing=0.1)
    torch.testing.assert_close(smooth(logits, hard), functional.cross_entropy(logits, classes, label_smoothing=0.1))


def test_binary_cross_entropy(logits: torch.Tensor, rng: np.random.Generator) -> None:
    targets = torch.from_numpy(rng.random((12, 5)).astype(np.float32))
    reference = functional.binary_cross_entropy_with_logits
    torch.testing.assert_close(loss_for("multi-label")(logits, targets), reference(logits, targets))
    weighted = loss_for("multi-label", class_weights=WEIGHTS)
    torch.testing.assert_close(
        weighted(logits, targets), reference(logits, targets, pos_weight=torch.from_numpy(WEIGHTS))
    )
    smooth = loss_for("multi-label", label_smoothing=0.2)
    torch.testing.assert_close(smooth(logits, targets), reference(logits, 0.8 * targets + 0.1))


def test_focal(logits: torch.Tensor, classes: torch.Tensor) -> None:
    hard = functional.one_hot(classes, 5).float()
    right = logits.softmax(dim=1)[torch.arange(12), classes]
    single = loss_for("single-label", "focal", focus=2.0)
    torch.testing.assert_close(single(logits, hard), (-((1 - right) ** 2) * right.log()).mean())
    scores = logits.sigmoid()
    right = torch.where(hard > 0, scores, 1 - scores)
    several = loss_for("multi-label", "focal", focus=1.5)
    torch.testing.assert_close(several(logits, hard), (-((1 - right) ** 1.5) * right.log()).mean())
    for task in ("single-label", "multi-label"):
        plain, unfocused = loss_for(task), loss_for(task, "focal", focus=0.0)  # type: ignore[arg-type]
        torch.testing.assert_close(unfocused(logits, hard), plain(logits, hard))


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
@pytest.mark.parametrize("kind", ["cross-entropy", "focal"])
@pytest.mark.parametrize("focus", [0.5, 2.0])
def test_gradients_are_finite_at_the_extremes(task: Any, kind: Any, focus: float) -> None:
    logits = torch.tensor([[80.0, -80.0, 0.0], [-80.0, 80.0, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    loss = loss_for(task, kind, class_weights=np.ones(3, np.float32), label_smoothing=0.0, focus=focus)
    value = loss(logits, targets)
    value.backward()
    assert torch.isfinite(value)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_log_probabilities_are_logits(soft: torch.Tensor, classes: torch.Tensor) -> None:
    """Attention heads give log p: the softmax of that is p again."""
    hard = functional.one_hot(classes, 5).float()
    torch.testing.assert_close(loss_for("single-label")(soft.log(), hard), functional.nll_loss(soft.log(), classes))


def test_clips_of_no_class_alone_cost_nothing(logits: torch.Tensor) -> None:
    assert loss_for("single-label")(logits, torch.zeros(12, 5)) == 0


def test_half_precision_is_lifted(logits: torch.Tensor, soft: torch.Tensor) -> None:
    assert loss_for("single-label", "focal")(logits.bfloat16(), soft).dtype == torch.float32


def test_class_weights() -> None:
    targets = np.repeat(np.eye(3, dtype=np.float32), [10, 20, 40], axis=0)
    weights = class_weights(targets)
    assert weights.dtype == np.float32
    assert weights.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(weights / weights[2], [4, 2, 1], rtol=0.02)  # few clips: by inverse frequency
    many = class_weights(np.repeat(targets, 1_000, axis=0))
    np.testing.assert_allclose(many, 1.0, rtol=0.01)  # so many that more of them tell nothing new
    np.testing.assert_allclose(class_weights(targets, overlap=0.0), 1.0)
    assert np.isfinite(class_weights(np.zeros((4, 3), np.float32))).all()
    with pytest.raises(OptionError, match="overlap=1 is not allowed"):
        class_weights(targets, overlap=1.0)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"task": "several"}, "task='several' is not known; allowed: single-label, multi-label"),
        ({"kind": "hinge"}, "loss 'hinge' is not known; allowed: cross-entropy, focal"),
        ({"label_smoothing": 1.0}, "label_smoothing=1 is not allowed"),
        ({"focus": -1.0}, "focus=-1 is not allowed"),
    ],
)
def test_options_are_checked(options: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        loss_for(**{"task": "single-label", **options})
