"""earmark labels sound: what is heard, when and how surely. `Classifier.load` is where to start."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from earmark.audio.check import check_audio
    from earmark.data.manifest import Manifest
    from earmark.data.readers import read_manifest
    from earmark.errors import EarmarkError
    from earmark.evaluation.evaluate import evaluate
    from earmark.evaluation.outcome import Outcome
    from earmark.evaluation.report import write_report
    from earmark.inference.classifier import Classifier
    from earmark.inference.results import (
        ClipResult,
        EmbeddingResult,
        Event,
        EventsResult,
        Failure,
        Tag,
        TimelineResult,
    )
    from earmark.inference.stream import Stream
    from earmark.model.card import ClassRule, DecisionRule, Label, ModelCard
    from earmark.model.verify import verify
    from earmark.training.crossval import crossval
    from earmark.training.ensemble import ensemble
    from earmark.training.recalibration import calibrate
    from earmark.training.train import train

    __version__: str

__all__ = [
    "ClassRule",
    "Classifier",
    "ClipResult",
    "DecisionRule",
    "EarmarkError",
    "EmbeddingResult",
    "Event",
    "EventsResult",
    "Failure",
    "Label",
    "Manifest",
    "ModelCard",
    "Outcome",
    "Stream",
    "Tag",
    "TimelineResult",
    "__version__",
    "calibrate",
    "check_audio",
    "crossval",
    "ensemble",
    "evaluate",
    "read_manifest",
    "train",
    "verify",
    "write_report",
]

_HOMES = {
    "audio.check": ("check_audio",),
    "data.manifest": ("Manifest",),
    "data.readers": ("read_manifest",),
    "errors": ("EarmarkError",),
    "evaluation.evaluate": ("evaluate",),
    "evaluation.outcome": ("Outcome",),
    "evaluation.report": ("write_report",),
    "inference.classifier": ("Classifier",),
    "inference.results": (
        *("ClipResult", "EmbeddingResult", "Event", "EventsResult"),
        *("Failure", "Tag", "TimelineResult"),
    ),
    "inference.stream": ("Stream",),
    "model.card": ("ClassRule", "DecisionRule", "Label", "ModelCard"),
    "model.verify": ("verify",),
    "training.recalibration": ("calibrate",),
    "training.crossval": ("crossval",),
    "training.ensemble": ("ensemble",),
    "training.train": ("train",),
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used, so that importing earmark costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("earmark")
    for module, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            with _ready_for(module):
                value = globals()[name] = getattr(import_module(f"earmark.{module}"), name)
            return value
    raise AttributeError(f"module 'earmark' has no attribute {name!r}")


def _ready_for(module: str) -> "AbstractContextManager[None]":
    """Say which extra is missing where what a module imports is not installed."""
    from contextlib import nullcontext

    from earmark.errors import needs_extra

    return needs_extra("train", "training") if module.startswith("training.") else nullcontext()


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted(__all__)
