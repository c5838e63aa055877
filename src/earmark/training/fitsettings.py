"""How a network is taught, whatever it is and whatever it hears."""

from dataclasses import dataclass
from typing import Literal

from earmark.errors import OptionError
from earmark.training.schedule import Optimiser

Monitor = Literal["score", "loss"]
Keep = Literal["best", "last"]


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Settings of a training loop.

    Parameters
    ----------
    epochs : int
        Passes over the clips, at least 1.
    learning_rate : float
        The highest, positive.
    warmup_epochs : float
        Of rising rate, before it falls by half a cosine; 0 or more.
    weight_decay : float
        0 or more; biases and norms do not decay.
    layer_decay : float
        The learning rate of a layer as a share of that of the layer above it, in (0, 1].
    optimiser : {"adamw", "sgd"}
        AdamW (Loshchilov and Hutter, 2019), or SGD with Nesterov's momentum.
    gradient_norm : float
        Longer gradients are cut to this length; 0 for never.
    patience : int
        Training ends after so many epochs without a better one; 0 for never.
    monitor : {"score", "loss"}
        What makes an epoch better: accuracy (mean average precision where clips have several labels), or loss, on clips
        held out.
    keep : {"best", "last"}
        Which epoch's weights are kept.
    average : float
        Share of the old in a running mean of the weights, after every step, in [0, 1); 0 for none. The mean is then
        what is validated and kept.

    Raises
    ------
    OptionError
        If a number is out of range.
    """

    epochs: int = 60
    learning_rate: float = 1e-3
    warmup_epochs: float = 3.0
    weight_decay: float = 1e-2
    layer_decay: float = 1.0
    optimiser: Optimiser = "adamw"
    gradient_norm: float = 1.0
    patience: int = 0
    monitor: Monitor = "score"
    keep: Keep = "best"
    average: float = 0.0

    def __post_init__(self) -> None:
        ranges = {
            "epochs": (self.epochs >= 1, "1 or more"),
            "learning_rate": (self.learning_rate > 0, "more than 0"),
            "warmup_epochs": (self.warmup_epochs >= 0, "0 or more"),
            "weight_decay": (self.weight_decay >= 0, "0 or more"),
            "layer_decay": (0 < self.layer_decay <= 1, "a share above 0; 1 gives all layers one rate"),
            "gradient_norm": (self.gradient_norm >= 0, "0 or more; 0 cuts nothing"),
            "patience": (self.patience >= 0, "0 or more; 0 never ends early"),
            "average": (0 <= self.average < 1, "0 for none, or a share below 1 such as 0.999"),
            "optimiser": (self.optimiser in ("adamw", "sgd"), "adamw or sgd"),
            "monitor": (self.monitor in ("score", "loss"), "score or loss"),
            "keep": (self.keep in ("best", "last"), "best or last"),
        }
        for name, (is_allowed, allowed) in ranges.items():
            if not is_allowed:
                raise OptionError(f"{name}={getattr(self, name)} is not allowed: give {allowed}")
