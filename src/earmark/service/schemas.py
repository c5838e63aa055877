"""The answers of ``/v1`` as OpenAPI describes them; no answer is made of these, as workers write the bytes."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from earmark.service.problems import KINDS

__all__ = [
    "ClipAnswer",
    "EmbedAnswer",
    "ErrorAnswer",
    "EventsAnswer",
    "Health",
    "ModelFacts",
    "ModelList",
    "TimelineAnswer",
]

_Score = Annotated[float, Field(ge=0.0, le=1.0)]
_Seconds = Annotated[float, Field(ge=0.0)]


class _Exact(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LabelAnswer(_Exact):
    """A class of a model: its display name, and its stable id."""

    label: str
    id: str


class TagAnswer(LabelAnswer):
    """A label of a whole recording, and how sure the model is of it."""

    score: _Score


class EventAnswer(TagAnswer):
    """A label with its onset and offset in seconds; the score is the highest in between."""

    onset: _Seconds
    offset: _Seconds


class _ResultAnswer(_Exact):
    file: Literal["upload"]
    model: str
    model_version: str
    calibrated: Annotated[bool, Field(description="Whether the scores are calibrated probabilities.")]
    seconds: Annotated[_Seconds, Field(description="How much sound was analysed.")]
    notes: Annotated[list[str], Field(description="What was noticed about the recording, and what to do about it.")]
    parameters: Annotated[dict[str, Any], Field(description="Every option that shaped this result.")]


class ClipAnswer(_ResultAnswer):
    """What is heard in a recording as a whole, highest score first."""

    tags: list[TagAnswer]
    novelty: Annotated[
        _Score | None, Field(description="How unlike its training data the model finds the recording.")
    ] = None
    none_of_these: Annotated[bool, Field(description="Whether it is none of the model's classes.")] = False
    closest: Annotated[list[TagAnswer], Field(description="What the tags would have been, had it been one.")] = []


class EventsAnswer(_ResultAnswer):
    """What is heard when, by onset."""

    events: list[EventAnswer]


class ScoresAnswer(_Exact):
    """The scores of one frame, in the order of the labels."""

    onset: _Seconds
    offset: _Seconds
    scores: list[_Score]
    novelty: _Score | None = None


class TimelineAnswer(_ResultAnswer):
    """The score of every label in every frame."""

    labels: list[LabelAnswer]
    frames: list[ScoresAnswer]


class EmbeddingAnswer(_Exact):
    """The embedding of one frame."""

    onset: _Seconds
    offset: _Seconds
    embedding: list[float]
    novelty: _Score | None = None


class EmbedAnswer(_ResultAnswer):
    """The embedding of every frame."""

    frames: list[EmbeddingAnswer]


class ModelSummary(_Exact):
    """A model that is served."""

    name: str
    version: str
    description: str
    labels: Annotated[int, Field(description="How many.")]
    sample_rate: Annotated[int, Field(description="Hertz; what is sent is resampled to it.")]
    frame_length_seconds: float
    frame_hop_seconds: float
    task: Literal["multi-label", "single-label"]
    calibrated: bool
    background: Annotated[bool, Field(description="Whether scores may sum to less than 1: to no class, the rest.")]
    has_novelty: bool
    novelty_threshold: _Score | None
    embedding_size: Annotated[int, Field(description="0 where the model gives no embeddings.")]
    licence: str


class ModelList(_Exact):
    """The models that are served, and what may be sent to them."""

    default: str
    models: list[ModelSummary]
    limits: Annotated[dict[str, float], Field(description="upload_bytes and sound_seconds: what one recording may be.")]


class ThresholdsAnswer(_Exact):
    """From which score on an event of a class begins, and below which it ends."""

    on: _Score
    off: _Score


class RuleAnswer(ThresholdsAnswer):
    """How scores become events: thresholds of all classes, and of those with their own by id."""

    smoothing_seconds: _Seconds
    min_duration_seconds: _Seconds
    merge_gap_seconds: _Seconds
    classes: dict[str, ThresholdsAnswer]


class ModelFacts(_Exact):
    """Everything about a model that a client may need."""

    name: str
    version: str
    description: str
    labels: list[LabelAnswer]
    sample_rate: int
    frame_length_seconds: float
    frame_hop_seconds: float
    segment_seconds: float
    task: Literal["multi-label", "single-label"]
    calibrated: bool
    background: bool
    has_novelty: bool
    novelty_threshold: _Score | None
    embedding_size: int
    licence: str
    citation: str
    source: str
    training_data: str
    decision: RuleAnswer


class ErrorBody(_Exact):
    """What is wrong: a code that stays the same, a sentence, and what to do."""

    code: Annotated[str, Field(json_schema_extra={"enum": list(KINDS)})]
    message: str
    hint: str


class ErrorAnswer(_Exact):
    """The answer to every request that cannot be done."""

    error: ErrorBody


class Health(_Exact):
    """How the service is."""

    status: Literal["ok", "ready"]
