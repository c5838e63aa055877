"""What a recipe gives: a model in two graphs, not yet calibrated, and scores of clips it had not seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

Scores = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What the recipe said about clips that it was not trained on.

    Parameters
    ----------
    indices : ndarray of int64, shape (n,)
        Places in the manifest that was given to `fit`, each at most once.
    clip : ndarray of float32, shape (n, classes)
        Uncalibrated scores of the clips, as the tail gives them.
    frames : tuple of ndarray of float32, shape (frames, classes)
        Uncalibrated scores of their frames; empty where the recipe has none.
    notes : tuple of str
        What a reader of figures of these clips must know, such as a split that leaks.
    """

    indices: NDArray[np.int64]
    clip: Scores
    frames: tuple[Scores, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A trained model before calibration.

    Parameters
    ----------
    trunk : onnx.ModelProto
        ``waveform`` [batch, samples] to ``embeddings`` [batch, frames, size].
    tail : onnx.ModelProto
        ``embeddings`` to ``clip`` [batch, classes] and ``frames`` [batch, frames, classes].
    sample_rate_hz, frame_length, frame_hop : int
        Hertz and samples, as the card has them.
    embedding_size : int
        Length of an embedding.
    embeddings : tuple of ndarray of float32, shape (frames, size)
        Of every clip of the manifest, in its order.
    held_out : HeldOut
        What calibration, thresholds and novelty are fitted on.
    facts : Mapping
        Recipe, settings and seeds, ready for JSON: for the card.
    frozen : bool
        Whether the trunk was made without these clips, so that all embeddings are as new sound would give them.
    """

    trunk: "onnx.ModelProto"
    tail: "onnx.ModelProto"
    sample_rate_hz: int
    frame_length: int
    frame_hop: int
    embedding_size: int
    embeddings: tuple[Scores, ...]
    held_out: HeldOut
    facts: Mapping[str, Any] = field(default_factory=dict)
    frozen: bool = False
