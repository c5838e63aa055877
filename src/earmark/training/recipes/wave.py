"""Recipe ``wave``: a one-dimensional network on the waveform itself, from scratch."""

from dataclasses import dataclass

from earmark.training.recipes.scratch import ScratchRecipe


@dataclass(frozen=True, kw_only=True)
class WaveRecipe(ScratchRecipe):
    """A network on the waveform; its settings are those of `NetworkRecipe`."""

    network: str = "wave"
