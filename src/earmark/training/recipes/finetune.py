"""Recipe ``finetune``: all of YAMNet taught on, from the weights it has."""

from dataclasses import dataclass

import torch

from earmark.data.augmentation import Augmentation
from earmark.training.networks import Network, build_network
from earmark.training.networks.heads import MeanMaxHead
from earmark.training.recipes.head import HeadRecipe
from earmark.training.recipes.lesson import Lesson
from earmark.training.recipes.network import NetworkRecipe
from earmark.training.run import Run
from earmark.training.scorers import Linear


@dataclass(frozen=True, kw_only=True)
class FinetuneRecipe(NetworkRecipe):
    """A trained network with a new head, taught as a whole: the lower a layer, the slower; see `NetworkRecipe`.

    Parameters
    ----------
    backbone : str
        Name or file of the model whose weights are the beginning: YAMNet in float.
    fitted_head : bool
        Whether the head begins as the recipe `head` would leave it, fitted to the same clips on the frozen embeddings.
        A head drawn at random would first spoil what the backbone knows (Kumar et al., 2022). For the head
        ``mean+max`` alone.
    layer_decay : float
        Each layer learns so much slower than the one above it.
    """

    network: str = "yamnet"
    backbone: str = "yamnet"
    head: str | None = "mean+max"
    fitted_head: bool = True
    epochs: int = 12
    learning_rate: float = 2e-4
    layer_decay: float = 0.8
    warmup_epochs: float = 1.0
    average: float = 0.99
    augmentation: str | Augmentation = "light,mixup_alpha=0.2,time_masks=2,band_masks=2"

    def build(self, lesson: Lesson, run: Run) -> Network:
        """Make the network with the weights in the model file, and its head."""
        network = build_network(
            self.network,
            classes=lesson.classes,
            task=lesson.task,
            seed=run.seed,
            head=self.head or "mean+max",
            head_options=self.head_options,
            **{"weights": self.backbone, **self.options},
        )
        if self.fitted_head and isinstance(network.head, MeanMaxHead):
            self._fit_head(network.head, lesson, run)
        return network

    def _fit_head(self, head: MeanMaxHead, lesson: Lesson, run: Run) -> None:
        """Fit the head to the embeddings of the clips that are taught; held-out clips take no part."""
        run.report("fitting the head to frozen embeddings")
        taught = lesson.manifest.select(lesson.split.train)
        scorer = HeadRecipe(backbone=self.backbone).scorer(taught, run)
        assert isinstance(scorer, Linear), "logistic regression is linear"
        with torch.no_grad():
            head.classifier.weight.copy_(torch.from_numpy(scorer.weights.T.copy()))
            head.classifier.bias.copy_(torch.from_numpy(scorer.bias.copy()))
