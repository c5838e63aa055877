"""What a network says."""

from typing import NamedTuple

from torch import Tensor


class Prediction(NamedTuple):
    """Logits of clips and of their frames.

    The scores are their softmax where classes exclude each other, their sigmoid where several may sound. Where a head
    pools probabilities, the clip's logits are log p, or log(p / (1 - p)), of the pooled probability.
    """

    clip: Tensor
    """Shape [B, classes]."""

    frames: Tensor
    """Shape [B, T, classes]."""
