"""A running mean of a network's weights, which scatters less than the weights of any one step."""

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from earmark.training.module import agree


class Averaging(pl.Callback):
    """Keeps the exponential mean of the weights (Polyak and Juditsky, 1992) and validates with it.

    Running statistics of normalisation are averaged like weights. While there are few steps, the mean forgets faster,
    so that the random beginning leaves it soon.

    Parameters
    ----------
    network : Module
        Whose weights.
    share : float
        Of the old mean in the new, in (0, 1).
    """

    def __init__(self, network: nn.Module, share: float) -> None:
        self._network, self._share, self._steps = network, share, 0
        self.mean: dict[str, Tensor] = {}
        self._learnt: dict[str, Tensor] = {}

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """Take the weights after a step into the mean."""
        share = min(self._share, self._steps / (self._steps + _EARLY_STEPS))  # at first 0: the mean is the weights
        for name, value in self._network.state_dict().items():
            self.mean[name] = _blend(self.mean.get(name), value.detach(), share)
        self._steps += 1

    def on_validation_start(self, *_: Any, **__: Any) -> None:
        """Put the mean in the place of the weights."""
        if self.mean:
            agree(self.mean.values())
            self._learnt = {name: value.detach().clone() for name, value in self._network.state_dict().items()}
            _fill(self._network, self.mean)

    def on_validation_end(self, *_: Any, **__: Any) -> None:
        """Put the weights back."""
        if self._learnt:
            _fill(self._network, self._learnt)
            self._learnt = {}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"steps": self._steps, "mean": self.mean}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._steps, self.mean = state_dict["steps"], dict(state_dict["mean"])


_EARLY_STEPS = 9  # as in TensorFlow's ExponentialMovingAverage: the share after n steps is at most n / (n + 9)


def _blend(old: Tensor | None, new: Tensor, share: float) -> Tensor:
    """Return the mean of old and new; counts are not averaged."""
    if old is None or not new.is_floating_point():
        return new.clone()
    return old.to(new.device).lerp(new, 1.0 - share)


def _fill(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.copy_(state[name])
