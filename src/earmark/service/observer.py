"""What surrounds every request: it is timed, counted and logged, and an error that comes out of it is answered."""

import asyncio
import json
import logging
from time import perf_counter
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from earmark.service.logs import LOGGER, log_request
from earmark.service.problems import Problem, problem_of
from earmark.service.state import Service

__all__ = ["Observer", "Visit", "visit_of"]

_LOG = logging.getLogger(LOGGER)
_LINGER_SECONDS, _LINGER_BYTES = 5.0, 64 * 2**20
_GONE = 499
_MAX_ROUTES = "/model/"


class Visit:
    """What is known of a request while it is under way.

    Attributes
    ----------
    sound_seconds : float
        Of the recordings that were analysed for it.
    received_bytes : int
        Of its body.
    status : int
        Of the answer; 499 if the client went before it.
    """

    __slots__ = ("complete", "received_bytes", "sound_seconds", "started", "status")

    def __init__(self) -> None:
        self.sound_seconds = 0.0
        self.received_bytes = 0
        self.status = _GONE
        self.started = False
        self.complete = False


def visit_of(scope: Scope) -> Visit:
    """Return the visit that a request is."""
    visit: Visit = scope["earmark.visit"]
    return visit


class Observer:
    """ASGI middleware around all others that answer.

    Parameters
    ----------
    app : ASGIApp
        What is observed.
    service : Service
        Whose counters count.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._metrics = app, service.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and see how it goes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        visit = scope["earmark.visit"] = Visit()

        async def observed_receive() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                visit.received_bytes += len(message.get("body", b""))
                visit.complete = not message.get("more_body", False)
            return message

        async def observed_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status, visit.started = message["status"], True
            await send(message)

        try:
            await self._app(scope, observed_receive, observed_send)
        except ClientDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 - a mistake of our own ends one request and not the service
            await self._answer(error, visit, scope, observed_receive, observed_send)
        finally:
            self._enter(scope, visit, perf_counter() - began)

    def _enter(self, scope: Scope, visit: Visit, seconds: float) -> None:
        route = _route_of(scope)
        self._metrics.count_request(route, visit.status, seconds)
        log_request(
            method=scope["method"],
            route=route,
            status=visit.status,
            milliseconds=1000 * seconds,
            sound_seconds=visit.sound_seconds,
            received_bytes=visit.received_bytes,
            client=scope["client"][0] if scope.get("client") else "-",
        )

    async def _answer(self, error: Exception, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        problem = problem_of(error)
        if problem is None:
            _LOG.error("a request to %s failed", _route_of(scope), exc_info=error)
            problem = Problem("internal", "The service made a mistake.")
        self._metrics.count_error(problem.code)
        if visit.started:
            return  # too late to say so; the server breaks the connection off
        await send(_start(problem, body := _body(problem, scope["path"]), close=not visit.complete))
        if visit.complete or not _sends_body(scope):
            await send({"type": "http.response.body", "body": body})
            return
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await _let_finish(receive, visit)
        await send({"type": "http.response.body", "body": b""})


def _route_of(scope: Scope) -> str:
    """Return the template of a request's path; of one that was refused before it was routed, by asking the routes."""
    if "route" in scope:
        return str(scope["route"].path)
    routes = (route for route in scope["app"].routes if route.matches(scope)[0] is not Match.NONE)
    return str(getattr(next(routes, None), "path", "unknown"))


def _body(problem: Problem, path: str) -> bytes:
    """Return an error as JSON, on the routes of IBM's MAX in the shape that its clients know."""
    if path.startswith(_MAX_ROUTES):
        return json.dumps({"status": "error", "message": problem.message}).encode()
    return json.dumps(problem.to_dict(), ensure_ascii=False).encode("utf-8", "backslashreplace")


def _start(problem: Problem, body: bytes, *, close: bool) -> Message:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers),
    ]
    if close:
        headers.append((b"connection", b"close"))
    return {"type": "http.response.start", "status": problem.status, "headers": headers}


def _sends_body(scope: Scope) -> bool:
    """Whether the client has announced a body."""
    announced: dict[bytes, Any] = dict(scope["headers"])
    return b"transfer-encoding" in announced or announced.get(b"content-length", b"0") != b"0"


async def _let_finish(receive: Receive, visit: Visit) -> None:
    """Read on for a while what nobody wants: a client that is cut off while it sends never sees the answer."""
    most = visit.received_bytes + _LINGER_BYTES
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            while not visit.complete and visit.received_bytes < most:
                if (await receive())["type"] != "http.request":
                    return
    except TimeoutError:
        return
