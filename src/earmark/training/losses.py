"""Losses: how wrong logits are, against targets that may be soft, with rare classes counted for more where wanted."""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from earmark.errors import OptionError

__all__ = ["Loss", "LossKind", "class_weights", "loss_for"]

Loss = Callable[[Tensor, Tensor], Tensor]
Task = Literal["single-label", "multi-label"]
LossKind = Literal["cross-entropy", "focal"]

_LEAST_WEIGHT = 1e-8


def class_weights(targets: NDArray[np.float32], *, overlap: float = 0.999) -> NDArray[np.float32]:
    """Return how much each class should count, so that rare ones are not drowned: mean 1.

    A class of n clips weighs as ``(1 - overlap) / (1 - overlap ** n)``: the inverse of the effective number of clips
    (Cui et al., Class-balanced loss, 2019). That is 1 / n while n is small; later more clips tell little that is new.

    Parameters
    ----------
    targets : ndarray of float32, shape (clips, classes)
        Soft targets count in part. A class without clips weighs as one with a single clip.
    overlap : float
        In [0, 1); 0 gives equal weights.

    Returns
    -------
    ndarray of float32, shape (classes,)

    Raises
    ------
    OptionError
        If `overlap` is out of range.
    """
    if not 0.0 <= overlap < 1.0:
        raise OptionError(f"overlap={overlap:g} is not allowed: give 0 or more, below 1")
    clips = np.maximum(np.asarray(targets, np.float64).sum(axis=0), 1.0)
    weights = (1.0 - overlap) / (1.0 - overlap**clips)
    return np.asarray(weights / weights.mean(), np.float32)


def loss_for(
    task: Task,
    kind: LossKind = "cross-entropy",
    class_weights: NDArray[np.float32] | None = None,
    label_smoothing: float = 0.0,
    focus: float = 2.0,
) -> Loss:
    """Return a loss of logits and soft targets, both of shape [batch, classes]; it gives a float32 scalar.

    Parameters
    ----------
    task : {"single-label", "multi-label"}
        Softmax, and cross-entropy averaged over clips, each by the weight of its classes; or sigmoid, and binary
        cross-entropy averaged over clips and classes, where the presence of a class counts by its weight.
    kind : {"cross-entropy", "focal"}
        Focal: what is nearly right already counts less (Lin et al., Focal loss, 2017).
    class_weights : ndarray of float32, shape (classes,), optional
        As `class_weights` gives; equal by default.
    label_smoothing : float
        The share of a target that is spread over all classes, or between present and absent; in [0, 1).
    focus : float
        The exponent of the focal loss, 0 or more.

    Raises
    ------
    OptionError
        If `task` or `kind` is not known, or a number is out of range.
    """
    if task not in get_args(Task):
        raise OptionError(f"task={task!r} is not known; allowed: {', '.join(get_args(Task))}")
    if kind not in get_args(LossKind):
        raise OptionError(f"loss {kind!r} is not known; allowed: {', '.join(get_args(LossKind))}")
    if not 0.0 <= label_smoothing < 1.0:
        raise OptionError(f"label_smoothing={label_smoothing:g} is not allowed: give 0 or more, below 1")
    if focus < 0:
        raise OptionError(f"focus={focus:g} is not allowed: give 0 or more")
    weights = None if class_weights is None else torch.from_numpy(np.asarray(class_weights, np.float32))
    exponent = focus if kind == "focal" else 0.0
    of_task = _single_label if task == "single-label" else _multi_label

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        weight = torch.ones(logits.shape[1]) if weights is None else weights
        return of_task(logits.float(), targets.float(), weight.to(logits.device), label_smoothing, exponent)

    return loss


def _single_label(logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float, focus: float) -> Tensor:
    counted = weights * ((1.0 - smoothing) * targets + smoothing / targets.shape[1])
    log_scores = functional.log_softmax(logits, dim=1)
    costs = -counted * log_scores
    if focus:
        # 1 - p from the other side: exact where p is nearly 1, and its gradient stays finite.
        costs = costs * (-torch.expm1(log_scores)).clamp(min=_LEAST_WEIGHT) ** focus
    return costs.sum() / counted.sum().clamp(min=_LEAST_WEIGHT)


def _multi_label(logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float, focus: float) -> Tensor:
    wanted = (1.0 - smoothing) * targets + smoothing / 2.0
    costs = functional.binary_cross_entropy_with_logits(logits, wanted, pos_weight=weights, reduction="none")
    if focus:
        # |t - p| is 1 - p where a class is present and p where it is not, and holds for soft targets too
        # (Li et al., Generalized focal loss, 2020).
        costs = costs * (wanted - torch.sigmoid(logits)).abs().clamp(min=_LEAST_WEIGHT) ** focus
    return costs.mean()
