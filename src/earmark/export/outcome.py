"""What came of an export."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from earmark.export.loss import Loss
from earmark.export.parity import Parity
from earmark.model.card import ModelCard
from earmark.model.verify import Verification

Format = Literal["tflite", "onnx", "web"]

Report = Callable[[str, int, int], None]
"""Gets what is done now, how many of its clips are done, and how many there are (0 where there are none)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Export:
    """What was written, and how it compares with the model.

    Parameters
    ----------
    path : Path
        The file; for the web a folder.
    format : {"tflite", "onnx", "web"}
    precision : str
    card : ModelCard
        The new file's.
    samples : int or None
        Length of the input; None where any is taken.
    size_bytes, source_size_bytes : int
        Of the new model file, and of the model's.
    parity : Parity
        On the test signals, with the model on the same windows.
    heard : Parity or None
        The same on recordings that activations were measured on.
    verified : Verification
        The new file against the test vectors in its card, by its own runtime.
    loss : Loss or None
        On the labelled clips that were given.
    notes : tuple of str
        What the reader must know.
    failures : tuple of (str, str)
        Recordings that could not be read, and why.
    """

    path: Path
    format: Format
    precision: str
    card: ModelCard
    samples: int | None
    size_bytes: int
    source_size_bytes: int
    parity: Parity
    verified: Verification
    heard: Parity | None = None
    loss: Loss | None = None
    notes: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data."""
        return {
            "path": str(self.path),
            "format": self.format,
            "precision": self.precision,
            "name": self.card.name,
            "version": self.card.version,
            "samples": self.samples,
            "sample_rate": self.card.sample_rate,
            "size_bytes": self.size_bytes,
            "source_size_bytes": self.source_size_bytes,
            "tolerance": self.card.tolerance,
            "parity": self.parity.to_dict(),
            "heard": None if self.heard is None else self.heard.to_dict(),
            "verified": self.verified.to_dict(),
            "loss": None if self.loss is None else self.loss.to_dict(),
            "notes": list(self.notes),
            "failures": [{"file": file, "error": error} for file, error in self.failures],
        }
