"""The routes of IBM's MAX Audio Classifier 1.2.0, for clients that were written for it.

They answer with its statuses, fields and messages. What differs is better: any sound file is read, not 16-bit WAV
alone; `filter` chooses among all labels and not among the best five; a short clip is not repeated to fill ten rows.

Source: IBM/MAX-Audio-Classifier at version 1.2.0, its routes, its tests and its clip logic.
"""

import json
import math
import re
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from earmark.model.audioset import audioset_labels
from earmark.model.card import ModelCard
from earmark.service.answers import ReplyAnswer, json_answer
from earmark.service.crew import Job
from earmark.service.departure import unless_gone
from earmark.service.jobs import MAX_ROW_SECONDS
from earmark.service.multipart import boundary_of
from earmark.service.observer import visit_of
from earmark.service.problems import RefusedError, refusal
from earmark.service.rest import service_of
from earmark.service.routes import PlainRoute
from earmark.service.uploads import Upload, received

__all__ = ["description", "router"]

router = APIRouter(route_class=PlainRoute, tags=["MAX"], include_in_schema=False)

_WAV = re.compile(r"audio/.*wav")
_OUTSIDE = "Invalid start time: value outside audio clip"
_NO_FILE = "Input payload validation failed: audio is missing"
_METADATA = {
    "id": "audio_embeddings-tf-imagenet",
    "name": "audio_embeddings TensorFlow Model",
    "description": "audio_embeddings TensorFlow model trained on Audio Set",
    "type": "image_classification",
    "license": "Apache 2.0",
}


@router.post("/model/predict")
async def predict(request: Request) -> Response:
    """Answer with the best five labels of ten seconds of a recording."""
    service = service_of(request)
    try:
        if boundary_of(request.headers.get("content-type", "")) is None:
            raise _bad_request(_NO_FILE)
        async with received(request, service.settings.limits, service.room) as upload:
            job = _job(service.default_model, request, upload)
            reply = await unless_gone(request, service.crew.ask(job))
    except RefusedError as error:
        raise _as_max(error) from error
    visit_of(request.scope).sound_seconds = reply.seconds
    service.metrics.count_sound(service.default_model, reply.seconds)
    return ReplyAnswer(reply)


@router.get("/model/metadata")
async def metadata(request: Request) -> Response:
    """Say what the model is: of YAMNet as MAX said it of its own, of others as their cards do."""
    service = service_of(request)
    return json_answer(_metadata(service.classifiers[service.default_model].card))


@router.get("/model/labels")
async def labels(request: Request) -> Response:
    """List the labels."""
    service = service_of(request)
    found = [{"id": label.id, "name": label.name} for label in service.classifiers[service.default_model].card.labels]
    return json_answer({"count": len(found), "labels": found})


@router.get("/swagger.json")
async def swagger(_: Request) -> Response:
    """Describe these routes in Swagger 2.0, as MAX does."""
    return json_answer(description())


def _job(model: str, request: Request, upload: Upload) -> Job:
    """Return what is asked, if the file is of a type that MAX takes."""
    if not upload.sounds:
        raise _bad_request(_NO_FILE)
    media_type = upload.media_types[0].partition(";")[0].strip().lower()
    if not _WAV.match(media_type):
        raise _bad_request(f"Invalid file type/extension: {media_type}")
    return Job("max", model, upload.only(), _options(request, upload))


def _options(request: Request, upload: Upload) -> dict[str, Any]:
    """Return the options of the job, from the address or the form; what MAX does not know it passes over."""
    given = [*request.query_params.multi_items(), *upload.fields]
    start_text = next((value for name, value in given if name == "start_time"), "0")
    try:
        start_seconds = float(start_text)
    except ValueError:
        start_seconds = math.nan
    if not math.isfinite(start_seconds):
        raise _bad_request(f"Input payload validation failed: start_time {start_text!r} is no number")
    if start_seconds <= -MAX_ROW_SECONDS:
        raise _bad_request(_OUTSIDE)
    return {"start_time": start_seconds, "filter": ",".join(value for name, value in given if name == "filter")}


def _as_max(error: RefusedError) -> RefusedError:
    """Return an error about the recording with the one status that MAX has for those."""
    if error.problem.code == "bad_option":
        return _bad_request(_OUTSIDE)
    if error.problem.status in (415, 422):
        return _bad_request(error.problem.message)
    return error


def _bad_request(message: str) -> RefusedError:
    return refusal("bad_request", message)


def _metadata(card: ModelCard) -> dict[str, str]:
    if card.labels == audioset_labels():
        return _METADATA
    return {
        "id": card.name,
        "name": f"{card.name} {card.version}",
        "description": card.description,
        "type": "audio_classification",
        "license": card.licence,
    }


@cache
def description() -> dict[str, Any]:
    """Read the description of these routes."""
    text = files("earmark.service").joinpath("swagger.json").read_text(encoding="utf-8")
    described: dict[str, Any] = json.loads(text)
    return described
