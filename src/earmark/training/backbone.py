"""The backbone: a finished model file of which only the way from waveform to embeddings is used."""

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import onnx
from onnx.utils import Extractor

from earmark.errors import ModelError
from earmark.inference.classifier import Classifier
from earmark.model.cache import read_bytes
from earmark.model.card import ModelCard
from earmark.model.hub import default_hub


@dataclass(frozen=True)
class Backbone:
    """A model file that gives embeddings.

    Parameters
    ----------
    path : Path
        The ``.onnx`` file.
    sha256 : str
        Its digest.
    classifier : Classifier
        The loaded model; it works on one thread, for clips are what is worked on side by side.
    """

    path: Path
    sha256: str
    classifier: Classifier

    @classmethod
    def load(cls, model: str | os.PathLike[str]) -> Self:
        """Find a backbone by name or path.

        Raises
        ------
        ModelError
            If there is no such model, it cannot be read, or it gives no embeddings.
        """
        path = default_hub().resolve(model)
        status = path.stat()
        return cls(path, *_loaded(path, status.st_size, status.st_mtime_ns))

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self.classifier.card

    def trunk(self) -> onnx.ModelProto:
        """Return the graph from ``waveform`` to ``embeddings`` alone: no scores, no card."""
        trunk = Extractor(onnx.load(self.path)).extract_model(["waveform"], ["embeddings"])
        del trunk.metadata_props[:]
        onnx.checker.check_model(trunk)
        return trunk


@lru_cache(maxsize=1)
def _loaded(path: Path, _size: int, _changed_ns: int) -> tuple[str, Classifier]:
    """Return digest and classifier of a file: folds share them as long as it looks the same."""
    classifier = Classifier.load(path, threads=1)
    if not classifier.card.embedding_size:
        raise ModelError(
            f"model {classifier.card.name!r} gives no embeddings, so it cannot be a backbone; "
            "take one that does, such as yamnet"
        )
    return hashlib.sha256(read_bytes(path)).hexdigest(), classifier
