"""The routes under ``/v1``, and those by which operators watch the service."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from fastapi import APIRouter, Request
from starlette.responses import Response

from earmark.service import description
from earmark.service.answers import LinesAnswer, ReplyAnswer, json_answer
from earmark.service.batch import answer_lines
from earmark.service.crew import Job
from earmark.service.departure import unless_gone
from earmark.service.facts import list_models, model_facts
from earmark.service.metrics import MEDIA_TYPE
from earmark.service.observer import visit_of
from earmark.service.options import OPTIONS, read_batch
from earmark.service.problems import refusal
from earmark.service.routes import PlainRoute
from earmark.service.state import Service
from earmark.service.uploads import received

__all__ = ["router", "service_of"]

router = APIRouter(route_class=PlainRoute)


def service_of(request: Request) -> Service:
    """Return the state that all requests share."""
    service: Service = request.app.state.service
    return service


def _asks(task: str) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that lets a worker do a task with one recording."""

    async def endpoint(request: Request) -> Response:
        service = service_of(request)
        query = request.query_params.multi_items()
        options = OPTIONS[task].read(query)
        model = service.find(options.model_name)
        async with received(request, service.settings.limits, service.room) as upload:
            if upload.fields:
                options = OPTIONS[task].read([*query, *upload.fields])
                model = service.find(options.model_name)
            job = Job(task, model, upload.only(), options.for_worker())
            reply = await unless_gone(request, service.crew.ask(job))
        visit_of(request.scope).sound_seconds = reply.seconds
        service.metrics.count_sound(model, reply.seconds)
        return ReplyAnswer(reply)

    return endpoint


for _task in OPTIONS:
    router.add_api_route(f"/v1/{_task}", _asks(_task), methods=["POST"], **description.of_task(_task))


@router.post("/v1/batch", **description.of_batch())
async def answer_batch(request: Request) -> Response:
    """Do one task with many recordings."""
    service = service_of(request)
    limits = service.settings.limits
    query = request.query_params.multi_items()
    task, options = read_batch(query)
    service.find(options.model_name)
    async with AsyncExitStack() as kept:
        upload = await kept.enter_async_context(received(request, limits, service.room, most=limits.batch_files))
        task, options = read_batch([*query, *upload.fields])
        model = service.find(options.model_name)
        if not upload.sounds:
            raise refusal("no_file", "The request brings no recording.")
        jobs = [Job(task, model, sound, options.for_worker()) for sound in upload.sounds]
        lines = answer_lines(jobs, service.crew, service.metrics, visit_of(request.scope))
        return LinesAnswer(lines, kept.pop_all())


@router.get("/v1/models", **description.of_models())
async def answer_models(request: Request) -> Response:
    """List the models that are served here."""
    service = service_of(request)
    return json_answer(list_models(service.classifiers, service.default_model, service.settings.limits))


@router.get("/v1/models/{name}", **description.of_model())
async def answer_model(request: Request) -> Response:
    """Say all about a model that a client may need."""
    service = service_of(request)
    return json_answer(model_facts(service.classifiers[service.find(request.path_params["name"])]))


@router.get("/healthz", **description.of_health())
async def answer_health(_: Request) -> Response:
    """Say that the process lives."""
    return json_answer({"status": "ok"})


@router.get("/readyz", **description.of_readiness())
async def answer_readiness(request: Request) -> Response:
    """Say whether requests can be answered."""
    service = service_of(request)
    if service.ending.is_set():
        raise refusal("ending", "The service is ending.")
    if not service.crew.ready:
        raise refusal("no_worker", "No worker has loaded its models.")
    return json_answer({"status": "ready"})


@router.get("/metrics", **description.of_metrics())
async def answer_metrics(request: Request) -> Response:
    """Give the counters to Prometheus."""
    return Response(service_of(request).metrics.text(), headers={"content-type": MEDIA_TYPE})
