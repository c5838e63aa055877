"""The options of each task as clients give them, in the address or in a form: the library's own names and ranges."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, TypeAlias, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from earmark.inference.novelty import NoveltyMode
from earmark.inference.tagger import Aggregate
from earmark.service.problems import RefusedError, refusal

__all__ = [
    "BATCH_TASKS",
    "OPTIONS",
    "ClassifyOptions",
    "EmbedOptions",
    "EventsOptions",
    "Options",
    "TimelineOptions",
    "WavOptions",
    "not_allowed",
    "read_batch",
    "unknown_option",
]

_Score = Annotated[float, Field(ge=0.0, le=1.0)]
_Seconds = Annotated[float, Field(ge=0.0)]
_Labels: TypeAlias = list[Annotated[str, Field(min_length=1)]]


class Options(BaseModel):
    """What every task takes: which part of the recording it is about."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    start: Annotated[_Seconds, Field(description="Leave out what comes before this time, in seconds.")] = 0.0
    end: Annotated[
        Annotated[float, Field(gt=0.0)] | None,
        Field(description="Leave out what comes after this time, in seconds; by default nothing."),
    ] = None

    @classmethod
    def read(cls, given: Iterable[tuple[str, str]]) -> Self:
        """Return the options that a client gave.

        Parameters
        ----------
        given : iterable of (str, str)
            Names and values. Lists of labels may be given several times.

        Raises
        ------
        RefusedError
            For a name that the task does not know, a name that is given twice, a value that is not allowed.
        """
        values: dict[str, Any] = {}
        for name, value in given:
            kind = cls.model_fields.get(name)
            if kind is None:
                raise unknown_option(name, list(cls.model_fields))
            if get_origin(kind.annotation) is list:
                values.setdefault(name, []).append(value)
            elif name in values:
                raise refusal("bad_option", f"{name} is given twice: {values[name]!r} and {value!r}.")
            else:
                values[name] = value
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise not_allowed(error) from error

    @property
    def model_name(self) -> str | None:
        """The model that was asked for."""
        return getattr(self, "model", None)

    def for_worker(self) -> dict[str, Any]:
        """Return what the task takes beside the model, as JSON has it."""
        return {name: value for name, value in self if name != "model" and value is not None}


class _Modelled(Options):
    """What every task that asks a model takes."""

    model: Annotated[
        str | None, Field(description="A name from GET /v1/models; by default the first model of the service.")
    ] = None


class _Labelled(_Modelled):
    """What every task that answers with labels takes."""

    allow: Annotated[
        _Labels,
        Field(description="Only these labels: names, ids or wildcards such as *siren*, with commas between."),
    ] = []
    deny: Annotated[_Labels, Field(description="Not these labels; written as for allow.")] = []


class _Rejecting(_Labelled):
    """What every task that tells unknown sound takes."""

    novelty: Annotated[
        NoveltyMode,
        Field(description="Sound that the model finds unknown: answer 'none of these', or with its labels."),
    ] = "reject"
    novelty_threshold: Annotated[
        _Score | None,
        Field(description="Sound of this novelty or more is unknown; by default as the model's card says."),
    ] = None


class ClassifyOptions(_Rejecting):
    """The options of ``classify``."""

    top_k: Annotated[int, Field(ge=0, description="At most so many labels; 0 for all.")] = 5
    threshold: Annotated[
        _Score | Literal["card"] | None,
        Field(description="Only labels that score this or more; card: as much as the model's card asks of each."),
    ] = None
    aggregate: Annotated[
        Aggregate, Field(description="How the segments of a long recording make one score: their mean, or the highest.")
    ] = "mean"
    format: Annotated[Literal["json", "csv"], Field(description="What the answer is written in.")] = "json"


class EventsOptions(_Rejecting):
    """The options of ``events``."""

    on: Annotated[_Score | None, Field(description="An event begins where its label's score reaches this.")] = None
    off: Annotated[_Score | None, Field(description="It ends where the score falls below this.")] = None
    smoothing: Annotated[
        _Seconds | None, Field(description="Length of the running median over the scores, in seconds.")
    ] = None
    min_duration: Annotated[_Seconds | None, Field(description="Events shorter than this are dropped, in seconds.")] = (
        None
    )
    merge_gap: Annotated[
        _Seconds | None, Field(description="Events of one label closer than this become one, in seconds.")
    ] = None
    format: Annotated[
        Literal["json", "csv", "audacity", "raven", "rttm", "sed-events"],
        Field(description="What the answer is written in."),
    ] = "json"


class TimelineOptions(_Labelled):
    """The options of ``timeline``."""

    format: Annotated[Literal["json", "csv", "sed-scores"], Field(description="What the answer is written in.")] = (
        "json"
    )


class EmbedOptions(_Modelled):
    """The options of ``embed``."""

    format: Annotated[Literal["json", "csv"], Field(description="What the answer is written in.")] = "json"


class WavOptions(Options):
    """The options of ``wav``, in which no model has a part."""


OPTIONS: dict[str, type[Options]] = {
    "classify": ClassifyOptions,
    "events": EventsOptions,
    "timeline": TimelineOptions,
    "embed": EmbedOptions,
    "wav": WavOptions,
}
"""The options of each task, by its name."""

BATCH_TASKS = ("classify", "events", "timeline", "embed")
"""The tasks of a batch; the first is the default."""


def read_batch(given: Iterable[tuple[str, str]]) -> tuple[str, Options]:
    """Return the task of a batch and its options; see `Options.read`.

    Raises
    ------
    RefusedError
        As `Options.read` does; a batch has no choice of format.
    """
    pairs = list(given)
    tasks = [value for name, value in pairs if name == "task"] or [BATCH_TASKS[0]]
    if len(tasks) > 1 or tasks[0] not in BATCH_TASKS:
        said = " and ".join(map(repr, tasks))
        raise refusal("bad_option", f"task={said} is not allowed: give one of {', '.join(BATCH_TASKS)}.")
    if any(name == "format" for name, _ in pairs):
        raise refusal("unknown_parameter", "The parameter 'format' is not for batches: their answer is JSON Lines.")
    return tasks[0], OPTIONS[tasks[0]].read(pair for pair in pairs if pair[0] != "task")


def unknown_option(name: str, known: list[str]) -> RefusedError:
    """Return the refusal of a name that is none of those that are known; it names the closest."""
    near = get_close_matches(name, known, n=1)
    meant = f"did you mean {near[0]!r}?" if near else f"those that are: {', '.join(known)}."
    return refusal("unknown_parameter", f"The parameter {name!r} is not known; {meant}")


def not_allowed(error: ValidationError) -> RefusedError:
    """Return the first of pydantic's complaints as a sentence that names the option, its value and what is allowed."""
    complaint = error.errors(include_url=False)[0]
    said = complaint["msg"].removeprefix("Input ").removeprefix("String ")
    return refusal("bad_option", f"{complaint['loc'][0]}={complaint['input']!r} is not allowed: it {said}.")
