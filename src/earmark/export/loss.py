"""What a model loses on labelled clips when it is written in another format."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from earmark.data.manifest import Manifest
from earmark.data.readers import as_manifest
from earmark.evaluation.evaluate import evaluate
from earmark.evaluation.outcome import Outcome
from earmark.export.parity import Parity
from earmark.inference.classifier import Classifier
from earmark.model.backends import Backend

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Decided:
    """Balanced accuracy, where a sound that is refused counts as refused: of the model, on windows, of the new file."""

    model: float
    windows: float
    exported: float


@dataclass(frozen=True, slots=True)
class Loss:
    """One figure, of three ways to hear the same clips.

    Parameters
    ----------
    measure : {"accuracy", "mean_average_precision"}
        The second for multi-label models.
    clips : int
        How many were heard.
    model : float
        Of the model as it is, which hears a clip as a whole.
    windows : float
        Of the model on the windows of the new file; equal to `model` where the file takes any length.
    exported : float
        Of the new file.
    parity : Parity
        The scores of the last two, clip by clip.
    decided : Decided or None
        Of single-label models, the same three with *none of these* as an answer.
    failures : tuple of (str, str)
        Clips that could not be read, and why.
    """

    measure: str
    clips: int
    model: float
    windows: float
    exported: float
    parity: Parity
    decided: Decided | None = None
    failures: tuple[tuple[str, str], ...] = ()

    @property
    def lost(self) -> float:
        """What the format costs: the new file against the model on the same windows, as a share."""
        return self.windows - self.exported

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready data."""
        return {
            "measure": self.measure,
            "clips": self.clips,
            "model": self.model,
            "windows": self.windows,
            "exported": self.exported,
            "parity": self.parity.to_dict(),
            "balanced_accuracy": None if self.decided is None else asdict(self.decided),
        }


def measure_loss(
    model: Backend,
    windows: Backend,
    exported: Backend,
    data: str | os.PathLike[str] | Manifest,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Loss:
    """Measure a model, the same on fixed windows, and the new file on the same labelled clips.

    Raises
    ------
    LabelError
        If the data has labels that the model does not have.
    DataError
        If there are no clips, or none can be read.
    """
    manifest = as_manifest(data)
    heard = {
        backend: evaluate(Classifier(backend, threads=threads), manifest, progress=progress)
        for backend in dict.fromkeys((model, windows, exported))
    }
    measure = "accuracy" if model.card.task == "single-label" else "mean_average_precision"
    reference, made = heard[windows], heard[exported]
    return Loss(
        measure,
        clips=len(made.clips),
        model=_figure(heard[model], measure),
        windows=_figure(reference, measure),
        exported=_figure(made, measure),
        parity=Parity.of(reference.scores, made.scores),
        decided=_decided(heard[model], reference, made),
        failures=made.failures,
    )


def _decided(*outcomes: Outcome) -> Decided | None:
    figures = [outcome.metrics.balanced_accuracy for outcome in outcomes]
    return Decided(*map(float, figures)) if outcomes[0].task == "single-label" and np.isfinite(figures).all() else None


def _figure(outcome: Outcome, measure: str) -> float:
    return float(getattr(outcome.metrics, measure))
