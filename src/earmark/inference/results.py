"""What earmark answers: tags, events, a timeline, embeddings; small, frozen and ready for JSON.

Every result says which file, which model, how many seconds were analysed, with which parameters, and what the input
doctor noticed. Times are seconds from the start of the file, scores probabilities in [0, 1].
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.model.card import Label


@dataclass(frozen=True, slots=True)
class Tag:
    """A label of a whole clip and how sure the model is of it."""

    label: str
    id: str
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"label", "id", "score"}``."""
        return {"label": self.label, "id": self.id, "score": round(self.score, 6)}


@dataclass(frozen=True, slots=True)
class Event:
    """A label with its onset and offset in seconds; `score` is the highest frame score in between."""

    label: str
    id: str
    onset: float
    offset: float
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"label", "id", "onset", "offset", "score"}``."""
        return {
            "label": self.label,
            "id": self.id,
            "onset": round(self.onset, 6),
            "offset": round(self.offset, 6),
            "score": round(self.score, 6),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What every result carries.

    Parameters
    ----------
    file : str
        The path as it was given, or ``<bytes>``, ``<array>``, ``<stream>``.
    model, model_version : str
        From the model's card.
    calibrated : bool
        Whether the scores are calibrated probabilities.
    seconds : float
        How much sound was analysed.
    notes : tuple of str
        What the input doctor and the decoder noticed, each a sentence that says what to do.
    parameters : Mapping
        Every option that shaped this result.
    """

    file: str
    model: str
    model_version: str
    calibrated: bool
    seconds: float
    notes: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def _dict(self, **content: Any) -> dict[str, Any]:
        return {
            "file": self.file,
            "model": self.model,
            "model_version": self.model_version,
            "calibrated": self.calibrated,
            "seconds": round(self.seconds, 6),
            **content,
            "notes": list(self.notes),
            "parameters": dict(self.parameters),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data; each kind of result adds its content."""
        return self._dict()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipResult(Result):
    """Tags of a whole recording, highest score first, or the answer that it is none of these.

    Parameters
    ----------
    tags : tuple of Tag
        Empty where `none_of_these`, so that nobody takes the nearest class for the answer.
    novelty : float, optional
        How unlike its training data the model finds the recording, in [0, 1]; None where the model gives no novelty.
    none_of_these : bool
        Whether the recording is refused as none of the model's classes.
    closest : tuple of Tag
        What the tags would have been; empty where there are tags, and for silence.
    """

    tags: tuple[Tag, ...]
    novelty: float | None = None
    none_of_these: bool = False
    closest: tuple[Tag, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data.

        Tags are under ``tags``; of a model with novelty there are also ``novelty``, ``none_of_these`` and ``closest``.
        """
        tags = [tag.to_dict() for tag in self.tags]
        if self.novelty is None and not self.none_of_these:
            return self._dict(tags=tags)
        return self._dict(
            tags=tags,
            novelty=None if self.novelty is None else round(self.novelty, 6),
            none_of_these=self.none_of_these,
            closest=[tag.to_dict() for tag in self.closest],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsResult(Result):
    """Events of a recording, by onset."""

    events: tuple[Event, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data, events under ``events``."""
        return self._dict(events=[event.to_dict() for event in self.events])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimelineResult(Result):
    """Scores of every frame.

    Parameters
    ----------
    labels : tuple of Label
        The columns of `scores`.
    edges : ndarray of float64, shape (frames + 1,)
        Frame i stands for ``edges[i]`` to ``edges[i + 1]`` seconds; frames lie end to end.
    scores : ndarray of float32, shape (frames, classes)
        Probabilities.
    novelty : ndarray of float32, shape (frames,), optional
        How unlike its training data the model finds each frame, in [0, 1]; None where it gives no novelty.
    """

    labels: tuple[Label, ...]
    edges: NDArray[np.float64]
    scores: NDArray[np.float32]
    novelty: NDArray[np.float32] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data: ``labels``, and ``frames`` of ``{"onset", "offset", "scores"}``.

        The frames of a model with novelty have ``novelty`` too.
        """
        frames = _frames(self.edges, self.novelty, scores=[[round(float(s), 6) for s in row] for row in self.scores])
        return self._dict(labels=[{"label": label.name, "id": label.id} for label in self.labels], frames=frames)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddingResult(Result):
    """Embeddings of every frame.

    Parameters
    ----------
    edges : ndarray of float64, shape (frames + 1,)
        As in `TimelineResult`.
    embeddings : ndarray of float32, shape (frames, size)
        What a head, a search index or a novelty score is built on.
    novelty : ndarray of float32, shape (frames,), optional
        As in `TimelineResult`.
    """

    edges: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    novelty: NDArray[np.float32] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data: ``frames`` of ``{"onset", "offset", "embedding"}``.

        The frames of a model with novelty have ``novelty`` too.
        """
        return self._dict(frames=_frames(self.edges, self.novelty, embedding=self.embeddings.tolist()))


def _frames(edges: NDArray[np.float64], novelty: NDArray[np.float32] | None, **content: list[Any]) -> list[Any]:
    """Return frames as JSON-ready data: their span, then one item of each list."""
    columns: dict[str, Any] = {"onset": _rounded(edges[:-1]), "offset": _rounded(edges[1:]), **content}
    if novelty is not None:
        columns["novelty"] = _rounded(novelty)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=False)]


def _rounded(values: NDArray[Any]) -> list[float]:
    return [round(value, 6) for value in values.tolist()]


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that gave no result, and why; what a batch keeps in place of the result."""

    file: str
    error: Exception

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"file", "error", "kind"}``."""
        return {"file": self.file, "error": str(self.error), "kind": type(self.error).__name__}
