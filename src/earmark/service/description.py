"""The routes as OpenAPI describes them: parameters, bodies, answers and errors, with examples."""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel

from earmark.service import schemas
from earmark.service.jobs import MEDIA_TYPES
from earmark.service.options import BATCH_TASKS, OPTIONS
from earmark.service.problems import KINDS, Problem

__all__ = ["of_batch", "of_health", "of_metrics", "of_model", "of_models", "of_readiness", "of_task"]

Described = dict[str, Any]

_TASKS: dict[str, tuple[str, type[BaseModel]]] = {
    "classify": ("Say what is heard in a recording as a whole", schemas.ClipAnswer),
    "events": ("Say what is heard when", schemas.EventsAnswer),
    "timeline": ("Give the score of every label at every moment", schemas.TimelineAnswer),
    "embed": ("Give what the model knows of every frame before it chooses labels", schemas.EmbedAnswer),
}
_FILE = {"type": "string", "format": "binary", "description": "A sound or video file."}
_ANYWHERE = ("token_missing", "token_wrong", "host_not_allowed", "client_busy", "ending", "internal")
_WITH_SOUND = tuple(
    code for code, kind in KINDS.items() if kind.status in (408, 413, 415, 422, 503) and code != "bad_message"
)


def of_task(task: str) -> Described:
    """Return how a route that takes one recording is described: arguments of FastAPI's `add_api_route`."""
    if task == "wav":
        answer: Described = {"description": "16-bit mono WAV at 16 kHz", "content": {"audio/wav": {"schema": _FILE}}}
        summary = "Give the sound back as WAV, which every browser plays"
        return _described(summary, task, answer, _upload(task), codes=_WITH_SOUND)
    summary, kind = _TASKS[task]
    content: Described = {"application/json": {"example": _examples()[task]}}
    for name in _formats(OPTIONS[task]):
        content.setdefault(_plain(MEDIA_TYPES[name]), {"schema": {"type": "string"}})
    answer = {"model": kind, "description": "The result", "content": content}
    return _described(summary, task, answer, _upload(task), codes=(*_WITH_SOUND, "unknown_model"))


def of_batch() -> Described:
    """Return how the route for many recordings is described."""
    lines = "".join(json.dumps({"number": 0, **_examples()["classify"]}) + "\n")
    answer = {
        "description": "A line of JSON for each recording, in their order: its number, and the result or the error",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}, "example": lines}},
    }
    choice = {
        "name": "task",
        "in": "query",
        "description": "What to do with each recording; the options are those of this task.",
        "schema": {"type": "string", "enum": list(BATCH_TASKS), "default": BATCH_TASKS[0]},
    }
    shared = {item["name"]: item for task in reversed(BATCH_TASKS) for item in _parameters(OPTIONS[task])}
    del shared["format"]
    many = {"type": "array", "items": _FILE, "minItems": 1}
    form = {"type": "object", "properties": {"audio": many}, "required": ["audio"]}
    extra = {
        "parameters": [choice, *shared.values()],
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
    }
    codes = (*_WITH_SOUND, "unknown_model")
    return _described("Do one task with many recordings", "batch", answer, extra, codes=codes)


def of_models() -> Described:
    """Return how the list of models is described."""
    return _described("List the models that are served here", "models", _json(schemas.ModelList, "models"))


def of_model() -> Described:
    """Return how the facts about a model are described."""
    answer = _json(schemas.ModelFacts, "model")
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    extra = {"parameters": [name]}
    return _described("Say all about a model that a client may need", "model", answer, extra, codes=("unknown_model",))


def of_health() -> Described:
    """Return how the sign of life is described."""
    return _described("Say that the process lives", "health", _health("ok"), tag="operation")


def of_readiness() -> Described:
    """Return how the readiness is described."""
    summary = "Say whether requests can be answered"
    return _described(summary, "readiness", _health("ready"), codes=("no_worker",), tag="operation")


def of_metrics() -> Described:
    """Return how the counters are described."""
    answer = {"description": "Text for Prometheus", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return _described("Give the counters to Prometheus", "metrics", answer, tag="operation")


def _described(
    summary: str,
    name: str,
    answer: Described,
    extra: Described | None = None,
    *,
    codes: Sequence[str] = (),
    tag: str = "v1",
) -> Described:
    return {
        "summary": summary,
        "operation_id": name,
        "tags": [tag],
        "response_model": None,
        "responses": {200: answer, **_errors((*_ANYWHERE, *codes))},
        "openapi_extra": extra,
    }


def _json(kind: type[BaseModel], example: str) -> Described:
    return {"model": kind, "content": {"application/json": {"example": _examples()[example]}}}


def _health(status: str) -> Described:
    return {"model": schemas.Health, "content": {"application/json": {"example": {"status": status}}}}


def _upload(task: str) -> Described:
    """Return the parameters and the body of a route that takes one recording."""
    form: Described = {"type": "object", "properties": {"audio": _FILE}, "required": ["audio"]}
    content: Described = {
        "multipart/form-data": {"schema": form},
        "application/octet-stream": {"schema": _FILE},
        "audio/*": {"schema": _FILE},
        "video/*": {"schema": _FILE},
    }
    return {"parameters": _parameters(OPTIONS[task]), "requestBody": {"required": True, "content": content}}


def _parameters(options: type[BaseModel]) -> list[Described]:
    """Return options as parameters of the address; they may stand in a form as well."""
    return [
        {"name": name, "in": "query", "description": schema.pop("description", ""), "schema": _given(schema)}
        for name, schema in options.model_json_schema()["properties"].items()
    ]


def _given(schema: Described) -> Described:
    """Return the schema of an option that is given: none of them can be null in an address."""
    kept = {key: value for key, value in schema.items() if key != "title" and not (key == "default" and value is None)}
    choices = [choice for choice in kept.pop("anyOf", ()) if choice != {"type": "null"}]
    return kept | (choices[0] if len(choices) == 1 else {"anyOf": choices} if choices else {})


def _formats(options: type[BaseModel]) -> list[str]:
    names: list[str] = options.model_json_schema()["properties"]["format"]["enum"]
    return names


def _plain(media_type: str) -> str:
    return media_type.partition(";")[0]


def _errors(codes: Iterable[str]) -> dict[int | str, Described]:
    """Return the errors of a route by their status, each code with an example."""
    found: dict[int | str, Described] = {}
    for code in dict.fromkeys(codes):
        status = KINDS[code].status
        described = found.setdefault(status, {"model": schemas.ErrorAnswer, "description": "", "content": {}})
        examples = described["content"].setdefault("application/json", {"examples": {}})["examples"]
        examples[code] = {"value": Problem(code, "What is wrong, in a sentence.").to_dict()}
        described["description"] = f"Code {', '.join(examples)}"
    return found


@cache
def _examples() -> dict[str, Described]:
    """Read the answers that the model inside gave for a clip, with their lists cut short."""
    text = files("earmark.service").joinpath("examples.json").read_text(encoding="utf-8")
    examples: dict[str, Described] = json.loads(text)
    return examples
