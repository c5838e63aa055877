"""Recipe ``cnn``: a two-dimensional network on log-mel spectrograms, from scratch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from earmark.data.augmentation import Augmentation
from earmark.training.recipes.network import SCRATCH, NetworkRecipe


@dataclass(frozen=True, kw_only=True)
class CnnRecipe(NetworkRecipe):
    """A network on log-mel spectrograms; its settings are those of `NetworkRecipe`."""

    network: str = "conv"
    head_options: Mapping[str, Any] = field(default_factory=lambda: {"dropout": 0.2})
    epochs: int = 60
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    average: float = 0.998
    augmentation: str | Augmentation = SCRATCH
