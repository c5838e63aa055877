"""Recipe ``cnn``: a two-dimensional network on log-mel spectrograms, from scratch."""

from dataclasses import dataclass

from earmark.training.recipes.scratch import ScratchRecipe


@dataclass(frozen=True, kw_only=True)
class CnnRecipe(ScratchRecipe):
    """A network on log-mel spectrograms; its settings are those of `NetworkRecipe`."""

    network: str = "conv"
