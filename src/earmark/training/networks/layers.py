"""Layers that several networks share."""

from typing import TypeVar

import torch
from torch import Tensor, nn

AnyModule = TypeVar("AnyModule", bound=nn.Module)


class GlobalMaxPool(nn.Module):
    """The largest value of each channel: [N, channels, ...] to [N, channels]."""

    def forward(self, maps: Tensor) -> Tensor:
        """Pool."""
        return maps.flatten(2).amax(dim=2)


class GlobalMeanPool(nn.Module):
    """The mean of each channel: [N, channels, ...] to [N, channels]."""

    def forward(self, maps: Tensor) -> Tensor:
        """Pool."""
        return maps.flatten(2).mean(dim=2)


class AsPicture(nn.Module):
    """Windows [N, frames, bands] as pictures of one channel, [N, 1, frames, bands]."""

    def forward(self, windows: Tensor) -> Tensor:
        """Add the channel."""
        return windows.unsqueeze(1)


def initialise_as_keras(module: nn.Module) -> None:
    """Draw weights uniformly after Glorot, with biases of zero: what Keras does where nothing is said."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def channels_last(module: AnyModule) -> AnyModule:
    """Lay the weights out with channels last, which computes faster, and return the module."""
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module
