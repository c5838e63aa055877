"""What a network is to everyone else: a geometry, and a way from waveforms to frame and clip logits in three steps.

All networks are built from the same four parts: a front end (log-mel, or the waveform itself), at will windows cut from
its output, an encoder, and a head. Both kinds of encoder keep to the stretch of sound that their frame covers:

- a *windowed* network sees fixed windows one by one, and any layer may follow;
- a *convolutional* one runs over the whole recording once, without padding in time, so that neighbours share work.
"""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from earmark.errors import NetworkError
from earmark.features.layer import LogMelLayer
from earmark.features.logmel import LogMel
from earmark.training.networks.heads import Head
from earmark.training.networks.prediction import Prediction
from earmark.training.networks.windows import Windows

__all__ = ["Field", "Geometry", "Network", "Prediction", "parameter_count", "window_field"]


@dataclass(frozen=True)
class Geometry:
    """Where a network's frames lie in the waveform.

    Parameters
    ----------
    sample_rate_hz : int
        Of the waveform.
    frame_length, frame_hop : int
        Samples that one frame depends on, and between the starts of two frames.
    """

    sample_rate_hz: int
    frame_length: int
    frame_hop: int

    @property
    def frame_length_seconds(self) -> float:
        """Length of a frame in seconds."""
        return self.frame_length / self.sample_rate_hz

    @property
    def frame_hop_seconds(self) -> float:
        """Time between the starts of two frames in seconds."""
        return self.frame_hop / self.sample_rate_hz

    def frame_count(self, samples: int) -> int:
        """Return how many frames so many samples have: the last one is padded with zeros."""
        return 1 + max(0, -(-(samples - self.frame_length) // self.frame_hop))

    def padded_length(self, samples: int) -> int:
        """Return how many samples there are once the last frame is whole."""
        return self.frame_length + (self.frame_count(samples) - 1) * self.frame_hop


class Field(NamedTuple):
    """The steps of a sequence (log-mel frames, or samples) that one embedding sees, and the stride between two."""

    length: int
    stride: int


class Network(nn.Module):
    """A network from waveforms to logits.

    Parameters
    ----------
    encoder : Module
        Windowed: windows [N, length, ...] to embeddings [N, E]. Convolutional: features [B, steps, ...] to embeddings
        [B, T, E]. Its children, in order, are the layers that learning rates by depth tell apart.
    head : Head
        Embeddings to logits.
    field : Field
        What an embedding sees, in steps of the features.
    windowed : bool
        Which of the two kinds the encoder is.
    front_end : LogMel or int
        Settings of the features, or a sample rate in hertz where the encoder takes the waveform itself.

    Attributes
    ----------
    geometry : Geometry
        Where the frames lie.
    logmel : LogMel or None
        Settings of the features; None where they are the waveform.
    embedding_size, classes : int
        Lengths of an embedding and of the logits; a background class counts.
    """

    def __init__(
        self, encoder: nn.Module, head: Head, *, field: Field, windowed: bool, front_end: LogMel | int
    ) -> None:
        super().__init__()
        self.logmel = front_end if isinstance(front_end, LogMel) else None
        self.geometry = _geometry(field, front_end)
        self.front_end = LogMelLayer(front_end) if isinstance(front_end, LogMel) else nn.Identity()
        self.windows = Windows(field.length, field.stride) if windowed else None
        self.encoder = encoder
        self.head = head

    @property
    def embedding_size(self) -> int:
        """Length of an embedding."""
        return self.head.embedding_size

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.head.classes

    def features(self, waveform: Tensor) -> Tensor:
        """Return what the encoder is fed, in float32, whatever precision the training computes in.

        Parameters
        ----------
        waveform : Tensor, shape [B, samples]
            In [-1, 1]; zeros are added to its end until the last frame is whole.

        Returns
        -------
        Tensor
            Log-mel [B, F, bands], or the padded waveform [B, samples].
        """
        missing = self.geometry.padded_length(waveform.shape[-1]) - waveform.shape[-1]
        features: Tensor = self.front_end(functional.pad(waveform.float(), (0, missing)))
        return features

    def embed(self, features: Tensor) -> Tensor:
        """Return embeddings [B, T, E] of features as `features` gives them."""
        return self.encode(features if self.windows is None else self.windows(features))

    def encode(self, pieces: Tensor) -> Tensor:
        """Return embeddings [B, T, E] of windows [B, T, length, ...]; in a convolutional network, of the features."""
        if self.windows is None:
            embeddings: Tensor = self.encoder(pieces)
            return embeddings
        rows: Tensor = self.encoder(pieces.flatten(0, 1))
        return rows.reshape(*pieces.shape[:2], -1)

    def predict(self, embeddings: Tensor) -> Prediction:
        """Return the logits of the clip and of its frames for embeddings [B, T, E]."""
        prediction: Prediction = self.head(embeddings)
        return prediction

    def forward(self, waveform: Tensor) -> Prediction:
        """Return the logits for waveforms [B, samples]."""
        return self.predict(self.embed(self.features(waveform)))

    def layers(self) -> tuple[nn.Module, ...]:
        """Return the parts that have parameters, from the input to the head, for learning rates by depth."""
        parts = (*self.encoder.children(), self.head)
        return tuple(part for part in parts if any(True for _ in part.parameters()))


def window_field(length: int, hop_seconds: float, front_end: LogMel | int) -> Field:
    """Return the field of windows of `length` steps, one each `hop_seconds`.

    Raises
    ------
    NetworkError
        If the hop is no whole number of steps from 1 to `length`.
    """
    steps_hz = front_end.sample_rate / front_end.hop_length if isinstance(front_end, LogMel) else front_end
    stride = round(hop_seconds * steps_hz)
    if not 1 <= stride <= length or abs(stride - hop_seconds * steps_hz) > 1e-6:
        raise NetworkError(
            f"hop_seconds={hop_seconds:g} is not allowed: "
            f"give a whole multiple of {1 / steps_hz:g} s, {length / steps_hz:g} s at most"
        )
    return Field(length, stride)


def _geometry(field: Field, front_end: LogMel | int) -> Geometry:
    """Convert a field, in steps of the features, into samples."""
    if isinstance(front_end, LogMel):
        length, hop = front_end.samples_for(field.length), field.stride * front_end.hop_length
        return Geometry(front_end.sample_rate, length, hop)
    return Geometry(front_end, field.length, field.stride)


def parameter_count(module: nn.Module) -> int:
    """Return how many numbers a module learns."""
    return sum(parameter.numel() for parameter in module.parameters())
