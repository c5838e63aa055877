"""How fast a network learns: the optimiser, and its rate from the first step to the last."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

Optimiser = Literal["adamw", "sgd"]

FINAL_SHARE = 0.01
"""The rate that is left at the end, as a share of the highest."""

_SGD_MOMENTUM = 0.9


def rate_share(step: int, *, steps: int, warmup_steps: int) -> float:
    """Return the learning rate at a step as a share of the highest: a straight rise, then half a cosine down.

    Parameters
    ----------
    step : int
        From 0 to `steps`.
    steps : int
        Of the whole training, at least 1.
    warmup_steps : int
        Of the rise; below `steps`.

    Returns
    -------
    float
        In (0, 1], at the end `FINAL_SHARE` (Loshchilov and Hutter, "SGDR", 2017, without restarts).
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))
    return FINAL_SHARE + (1.0 - FINAL_SHARE) * (1.0 + math.cos(math.pi * progress)) / 2.0


def parameter_groups(
    layers: Sequence[nn.Module], *, learning_rate: float, weight_decay: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Return parameters in groups with rates of their own.

    Parameters
    ----------
    layers : sequence of Module
        From the input to the head.
    learning_rate : float
        Of the head.
    weight_decay : float
        Of matrices and kernels; biases and norms do not decay.
    layer_decay : float
        The rate of a layer as a share of that of the layer above it, in (0, 1]: what is near the input is more general
        and changes less (Howard and Ruder, "ULMFiT", 2018).
    """
    groups = []
    for height, layer in enumerate(reversed(layers)):
        rate = learning_rate * layer_decay**height
        learnt = [parameter for parameter in layer.parameters() if parameter.requires_grad]
        kernels = [parameter for parameter in learnt if parameter.ndim > 1]
        others = [parameter for parameter in learnt if parameter.ndim <= 1]
        groups.append({"params": kernels, "lr": rate, "weight_decay": weight_decay})
        groups.append({"params": others, "lr": rate, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


def optimiser_for(groups: Sequence[dict[str, Any]], kind: Optimiser) -> torch.optim.Optimizer:
    """Return the optimiser of that kind for groups as `parameter_groups` gives them."""
    if kind == "sgd":
        return torch.optim.SGD(groups, momentum=_SGD_MOMENTUM, nesterov=True)
    return torch.optim.AdamW(groups)


def scheduler_for(
    optimiser: torch.optim.Optimizer, *, steps: int, warmup_steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return what sets the rate of every group before each step, by `rate_share`."""
    warmup_steps = min(warmup_steps, steps - 1)
    return torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: rate_share(step, steps=steps, warmup_steps=warmup_steps)
    )
