"""Recipe ``wave``: a one-dimensional network on the waveform itself, from scratch."""

from dataclasses import dataclass

from earmark.training.recipes.network import NetworkRecipe


@dataclass(frozen=True, kw_only=True)
class WaveRecipe(NetworkRecipe):
    """A network on the waveform; its settings are those of `NetworkRecipe`."""

    network: str = "wave"
    average: float = 0.998
