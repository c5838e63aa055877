"""Heads: from the embeddings of a clip to logits of the clip and of each frame, so that clip labels teach frames.

Five of the seven are those of Kong et al. and Yu et al. for AudioSet embeddings (qiuqiangkong/audioset_classification);
`earmark.training.networks.attention` holds them. Each head works on the embeddings of any backbone.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from earmark.errors import NetworkError, OptionError
from earmark.model.card import Task
from earmark.training.networks.prediction import Prediction
from earmark.training.networks.seeded import seeded

HeadMaker = Callable[[int], "Head"]
"""Makes a head for embeddings of a given length."""


class Head(nn.Module):
    """From embeddings [B, T, E] to a `Prediction`; `forward` is what a head is.

    Parameters
    ----------
    embedding_size, classes : int
        Lengths of an embedding and of the logits.
    task : {"multi-label", "single-label"}
        Whether probabilities are sigmoids or a softmax.
    """

    def __init__(self, embedding_size: int, classes: int, task: Task) -> None:
        super().__init__()
        self.embedding_size, self.classes, self.task = embedding_size, classes, task

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the scores that logits stand for, over the last axis, in float32."""
        return logits.float().softmax(-1) if self.task == "single-label" else logits.float().sigmoid()

    def logits(self, probabilities: Tensor) -> Tensor:
        """Return logits that stand for pooled probabilities: log p, or log(p / (1 - p))."""
        clipped = probabilities.clamp(EPSILON, 1 - EPSILON)
        return clipped.log() if self.task == "single-label" else clipped.logit()


EPSILON = 1e-7
"""Attention weights and pooled probabilities are kept so far from 0 and 1."""


class MeanHead(Head):
    """One linear layer on the mean embedding: the clip's logits are the mean of its frames'."""

    def __init__(self, embedding_size: int, classes: int, task: Task, *, dropout: float = 0.0) -> None:
        super().__init__(embedding_size, classes, task)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(embedding_size, classes)
        nn.init.xavier_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, embeddings: Tensor) -> Prediction:
        """Classify the mean embedding, and each embedding."""
        clip: Tensor = self.classifier(self.dropout(embeddings.mean(dim=1)))
        return Prediction(clip, self.classifier(embeddings))


class MeanMaxHead(Head):
    """One linear layer on the mean and the maximum over time, side by side; a frame is its own mean and maximum.

    What the recipe `head` learns by logistic regression fits into it.
    """

    def __init__(self, embedding_size: int, classes: int, task: Task, *, dropout: float = 0.0) -> None:
        super().__init__(embedding_size, classes, task)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * embedding_size, classes)
        nn.init.xavier_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, embeddings: Tensor) -> Prediction:
        """Classify the pooled embeddings, and each embedding."""
        pooled = torch.cat([embeddings.mean(dim=1), embeddings.amax(dim=1)], dim=-1)
        clip: Tensor = self.classifier(self.dropout(pooled))
        return Prediction(clip, self.classifier(torch.cat([embeddings, embeddings], dim=-1)))


def list_heads() -> Mapping[str, type[Head]]:
    """Return the heads by name."""
    from earmark.training.networks import attention

    return MappingProxyType(
        {
            "mean": MeanHead,
            "mean+max": MeanMaxHead,
            "decision-max": attention.DecisionMax,
            "decision-average": attention.DecisionAverage,
            "attention": attention.SingleAttention,
            "multi-level-attention": attention.MultiLevelAttention,
            "feature-attention": attention.FeatureAttention,
        }
    )


def build_head(name: str, embedding_size: int, classes: int, task: Task, **options: Any) -> Head:
    """Make a head.

    Parameters
    ----------
    name : str
        ``mean``, ``mean+max``, ``decision-max``, ``decision-average``, ``attention``, ``multi-level-attention`` or
        ``feature-attention``.
    embedding_size, classes : int
        Lengths of an embedding and of the logits, both at least 1.
    task : {"multi-label", "single-label"}
        Whether probabilities are sigmoids or a softmax.
    options
        ``dropout``, a probability; those of attention and decision take ``width`` too, the neurons of each hidden
        layer.

    Raises
    ------
    OptionError
        If the head or an option is not known.
    NetworkError
        If a size is below 1.
    """
    heads = list_heads()
    if name not in heads:
        raise OptionError(f"head {name!r} is not known; allowed: {', '.join(heads)}")
    if min(embedding_size, classes) < 1:
        raise NetworkError(f"a head for {classes} classes on embeddings of {embedding_size}: both must be at least 1")
    allowed = ("dropout",) if name in ("mean", "mean+max") else ("dropout", "width")
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise OptionError(f"head {name!r} has no option {unknown[0]!r}; allowed: {', '.join(allowed)}")
    return heads[name](embedding_size, classes, task, **options)


class EmbeddingNetwork(nn.Module):
    """A head alone, for training on embeddings that a frozen backbone gave.

    Parameters
    ----------
    embedding_size, classes : int
        Lengths of an embedding and of the logits.
    task : {"multi-label", "single-label"}
        Whether probabilities are sigmoids or a softmax.
    head : str
        A name that `build_head` knows.
    seed : int
        Of the initial weights.
    options
        As `build_head` takes them.
    """

    def __init__(
        self, embedding_size: int, classes: int, task: Task, head: str = "attention", *, seed: int = 0, **options: Any
    ) -> None:
        super().__init__()
        with seeded(seed):
            self.head = build_head(head, embedding_size, classes, task, **options)
        self.embedding_size, self.classes = embedding_size, classes

    def predict(self, embeddings: Tensor) -> Prediction:
        """Return the logits for embeddings [B, T, E]."""
        prediction: Prediction = self.head(embeddings)
        return prediction

    def forward(self, embeddings: Tensor) -> Prediction:
        """Return the logits for embeddings [B, T, E]."""
        return self.predict(embeddings)
