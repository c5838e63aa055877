"""earmark labels sound: what is heard, when and how surely. `Classifier.load` is where to start."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earmark.audio.check import check_audio
    from earmark.errors import EarmarkError
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
    "ModelCard",
    "Stream",
    "Tag",
    "TimelineResult",
    "__version__",
    "check_audio",
    "verify",
]

_HOMES = {
    "audio.check": ("check_audio",),
    "errors": ("EarmarkError",),
    "inference.classifier": ("Classifier",),
    "inference.results": (
        *("ClipResult", "EmbeddingResult", "Event", "EventsResult"),
        *("Failure", "Tag", "TimelineResult"),
    ),
    "inference.stream": ("Stream",),
    "model.card": ("ClassRule", "DecisionRule", "Label", "ModelCard"),
    "model.verify": ("verify",),
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used, so that importing earmark costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("earmark")
    for module, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            value = globals()[name] = getattr(import_module(f"earmark.{module}"), name)
            return value
    raise AttributeError(f"module 'earmark' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted(__all__)
