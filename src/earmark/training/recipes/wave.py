"""Recipe ``wave``: a one-dimensional network on the waveform itself, from scratch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from earmark.data.augmentation import Augmentation
from earmark.training.recipes.network import SCRATCH, NetworkRecipe


@dataclass(frozen=True, kw_only=True)
class WaveRecipe(NetworkRecipe):
    """A network on the waveform; its settings are those of `NetworkRecipe`."""

    network: str = "wave"
    head_options: Mapping[str, Any] = field(default_factory=lambda: {"dropout": 0.2})
    epochs: int = 60
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    average: float = 0.998
    augmentation: str | Augmentation = SCRATCH
