"""What the recipes from scratch have in common: how a network that knows nothing yet is taught."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from earmark.data.augmentation import Augmentation
from earmark.training.recipes.network import NetworkRecipe

CHEAP = "strong,stretch_probability=0,pitch_probability=0,filter_probability=0,speed_probability=0.5,mixup_alpha=0.4"
"""All augmentation that costs little, since every clip is seen many times."""


@dataclass(frozen=True, kw_only=True)
class ScratchRecipe(NetworkRecipe):
    """A network with weights drawn from the seed; its settings are those of `NetworkRecipe`."""

    head_options: Mapping[str, Any] = field(default_factory=lambda: {"dropout": 0.2})
    epochs: int = 60
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    average: float = 0.998
    augmentation: str | Augmentation = CHEAP
