"""Heads that learn which frames of a clip its labels are about (multiple-instance learning).

After Q. Kong, Y. Xu, W. Wang, M. Plumbley, "Audio Set classification with attention model" (2018); C. Yu, K. Barsim,
Q. Kong, B. Yang, "Multi-level attention model for weakly supervised audio classification" (2018); Q. Kong et al.,
"Weakly labelled AudioSet tagging with attention neural networks" (2019).

All share a trunk of three hidden layers per frame. Attention is a sigmoid per frame, kept off 0 and 1 and divided by
its sum over time.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from earmark.model.card import Task
from earmark.training.networks.heads import EPSILON, Head
from earmark.training.networks.prediction import Prediction


class _Dense(nn.Module):
    """A hidden layer per frame: linear, batch normalisation over clips and time, ReLU, dropout."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames [B, T, inputs] to [B, T, outputs]."""
        normed: Tensor = self.norm(self.linear(frames).transpose(1, 2)).transpose(1, 2)
        hidden: Tensor = self.dropout(normed.relu())
        return hidden


class _Trunk(nn.Module):
    """Batch normalisation of the embeddings, whatever their scale, and three hidden layers."""

    def __init__(self, embedding_size: int, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(embedding_size)
        self.layers = nn.ModuleList(_Dense(size, width, dropout) for size in (embedding_size, width, width))

    def forward(self, embeddings: Tensor) -> list[Tensor]:
        """Return what each of the three layers gives, each [B, T, width]."""
        hidden = [self.norm(embeddings.transpose(1, 2)).transpose(1, 2)]
        for layer in self.layers:
            hidden.append(layer(hidden[-1]))
        return hidden[1:]


class _TrunkHead(Head):
    """A head with the shared trunk and a classifier of frames."""

    def __init__(
        self, embedding_size: int, classes: int, task: Task, *, width: int = 1024, dropout: float = 0.5
    ) -> None:
        super().__init__(embedding_size, classes, task)
        self.trunk = _Trunk(embedding_size, width, dropout)
        self.classifier = nn.Linear(width, classes)
        initialise(self)


def initialise(module: nn.Module) -> None:
    """Draw linear layers uniformly within ``sqrt(6 / inputs)``, with biases of zero, as the source does."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            limit = math.sqrt(6 / layer.in_features)
            nn.init.uniform_(layer.weight, -limit, limit)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class DecisionMax(_TrunkHead):
    """The clip has a class as surely as its surest frame."""

    def forward(self, embeddings: Tensor) -> Prediction:
        """Pool the frames' probabilities by their maximum."""
        frames = self.classifier(self.trunk(embeddings)[-1])
        return Prediction(self.logits(self.probabilities(frames).amax(dim=1)), frames)


class DecisionAverage(_TrunkHead):
    """The clip has a class as surely as its frames on average."""

    def forward(self, embeddings: Tensor) -> Prediction:
        """Pool the frames' probabilities by their mean."""
        frames = self.classifier(self.trunk(embeddings)[-1])
        return Prediction(self.logits(self.probabilities(frames).mean(dim=1)), frames)


class SingleAttention(_TrunkHead):
    """The frames' probabilities are weighted by a learned attention, one weight a class and frame."""

    def __init__(
        self, embedding_size: int, classes: int, task: Task, *, width: int = 1024, dropout: float = 0.5
    ) -> None:
        super().__init__(embedding_size, classes, task, width=width, dropout=dropout)
        self.attention = _Attention(width, classes)

    def forward(self, embeddings: Tensor) -> Prediction:
        """Pool the frames' probabilities by attention."""
        hidden = self.trunk(embeddings)[-1]
        frames = self.classifier(hidden)
        return Prediction(self.logits(self.attention(hidden, self.probabilities(frames))), frames)


class MultiLevelAttention(_TrunkHead):
    """Attention on the second and on the third hidden layer; a last layer weighs the two answers.

    A frame's logits are what the last layer makes of that frame alone.
    """

    def __init__(
        self, embedding_size: int, classes: int, task: Task, *, width: int = 1024, dropout: float = 0.5
    ) -> None:
        super().__init__(embedding_size, classes, task, width=width, dropout=dropout)
        self.lower = nn.Linear(width, classes)
        self.lower_attention, self.attention = _Attention(width, classes), _Attention(width, classes)
        self.last = nn.Linear(2 * classes, classes)
        for layer in (self.lower, self.last):
            initialise(layer)

    def forward(self, embeddings: Tensor) -> Prediction:
        """Pool on both levels, then weigh."""
        _, lower, upper = self.trunk(embeddings)
        scores = [self.probabilities(self.lower(lower)), self.probabilities(self.classifier(upper))]
        pooled = [self.lower_attention(lower, scores[0]), self.attention(upper, scores[1])]
        return Prediction(self.last(torch.cat(pooled, dim=-1)), self.last(torch.cat(scores, dim=-1)))


class FeatureAttention(_TrunkHead):
    """Attention pools features, before anything is decided; the classifier sees the pooled vector.

    A frame's logits are what the classifier makes of its own vector.
    """

    def __init__(
        self, embedding_size: int, classes: int, task: Task, *, width: int = 1024, dropout: float = 0.5
    ) -> None:
        super().__init__(embedding_size, classes, task, width=width, dropout=dropout)
        self.value = nn.Linear(width, width)
        initialise(self.value)
        self.attention = _Attention(width, width)
        self.norm = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, embeddings: Tensor) -> Prediction:
        """Pool the values, then classify."""
        hidden = self.trunk(embeddings)[-1]
        values = self.value(hidden)
        pooled = self.dropout(self.norm(self.attention(hidden, values)).relu())
        return Prediction(self.classifier(pooled), self._frames(values))

    def _frames(self, values: Tensor) -> Tensor:
        """Classify each frame's value by what the normalisation learned of pooled ones: statistics stay the clips'."""
        norm = self.norm
        normed = functional.batch_norm(
            values.transpose(1, 2), norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
        logits: Tensor = self.classifier(normed.transpose(1, 2).relu())
        return logits


class _Attention(nn.Module):
    """Weighs values of frames: a sigmoid for each of `outputs`, divided by its sum over time."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        initialise(self)

    def forward(self, hidden: Tensor, values: Tensor) -> Tensor:
        """Pool values [B, T, outputs] over time by what hidden [B, T, inputs] says of each frame."""
        weights = self.linear(hidden).float().sigmoid().clamp(EPSILON, 1 - EPSILON)
        pooled: Tensor = (weights * values).sum(dim=1) / weights.sum(dim=1)
        return pooled
