"""Live sound over a WebSocket: samples in, frame scores and events out as they open and close.

Back-pressure takes the place of buffers: a message is read, scored and answered before the next one is read. So a
client that sends faster than it is heard waits, and one that does not read what it is sent is closed.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from time import perf_counter
from typing import Any, TypeVar

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from earmark.service.access import check_token, sent_token
from earmark.service.listener import Listener
from earmark.service.logs import LOGGER, log_request
from earmark.service.opening import EXAMPLE, Opening
from earmark.service.problems import Problem, RefusedError, problem_of, refusal
from earmark.service.state import Service

__all__ = ["MESSAGE_BYTES", "router"]

router = APIRouter()

ROUTE = "/v1/stream"

MESSAGE_BYTES = 2**20
"""The largest message of sound."""

OPENING_SECONDS = 10.0
"""How long a client may take to say what it will send."""

MOST_UNOPENED = 256
"""How many streams may wait for that; they are no listeners yet, for strangers can open them too."""

READING_SECONDS = 30.0
"""How long a client may leave unread what it was sent."""

_END = {"type": "end"}
_FIRST = f"send an object such as {EXAMPLE} first."
_DONE, _GOING_AWAY, _REFUSED, _TOO_LARGE, _FAILED, _FULL = 1000, 1001, 1008, 1009, 1011, 1013
_LOST = 1006
_SERVER_ENDS = 1012  # see `ListeningProtocol`
_CLOSE_CODES = {
    "too_large": _TOO_LARGE,
    "internal": _FAILED,
    "too_many_listeners": _FULL,
    "client_busy": _FULL,
    "ending": _GOING_AWAY,
}

_LOG = logging.getLogger(LOGGER)
_Given = TypeVar("_Given")


@router.websocket(ROUTE)
async def listen(websocket: WebSocket) -> None:
    """Hear live sound until the client ends it."""
    client = _Client(websocket)
    await websocket.accept()
    try:
        opening = await client.opening()
        with _counted(client.service):
            await client.serve(opening)
    except (WebSocketDisconnect, TimeoutError):  # it went away, or reads nothing: there is nobody to tell
        pass
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends this stream and no other
        await client.refuse(error)
    finally:
        client.log()


@contextmanager
def _unopened(service: Service, address: str) -> Iterator[None]:
    """Count a stream of a stranger for as long as it is not opened.

    Raises
    ------
    RefusedError
        If there are too many, of this address or in all.
    """
    streams, most = service.unopened, service.settings.limits.per_client
    if streams[address] >= most:
        said = f"{most} streams of this client are open and have no first message, which is as many as are allowed."
        raise refusal("client_busy", said)
    if streams.total() >= MOST_UNOPENED:
        raise refusal("too_many_listeners", f"{MOST_UNOPENED} streams are open and have no first message.")
    streams[address] += 1
    try:
        yield
    finally:
        streams[address] -= 1
        if not streams[address]:
            del streams[address]


@contextmanager
def _counted(service: Service) -> Iterator[None]:
    """Count a listener while it is there.

    Raises
    ------
    RefusedError
        If there are too many.
    """
    most = service.settings.limits.listeners
    if service.listeners >= most:
        raise refusal("too_many_listeners", f"{most} streams are open, which is as many as this service bears.")
    service.listeners += 1
    try:
        yield
    finally:
        service.listeners -= 1


class _Client:
    """One client: what it sends, and what it is told."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self.service: Service = websocket.app.state.service
        self._address = websocket.client.host if websocket.client else "-"
        self._began = perf_counter()
        self._received_bytes = 0
        self._sound_seconds = 0.0
        self._code = _LOST

    async def opening(self) -> Opening:
        """Return the first message, of a client that may use the service."""
        with nullcontext() if self._has_shown_token() else _unopened(self.service, self._address):
            message = await self._first_message()
        if not isinstance(message, str):
            raise refusal("bad_message", f"Sound came before it was said what sound it is: {_FIRST}")
        opening = Opening.read(message)
        check_token(self.service.settings, opening.token or sent_token(self._websocket.headers))
        return opening

    async def serve(self, opening: Opening) -> None:
        """Hear what the client sends until it ends, or the server does."""
        classifier = self.service.classifiers[self.service.find(opening.model)]
        listener = await self._in_thread(Listener, classifier, opening)
        await self._tell([listener.greeting()])
        code = None
        while code is None:
            data, code = await self._receive()
            listener.add(data)
            await asyncio.sleep(0)  # messages that came at once and complete no frame would be taken in one go
            while listener.ready or (code is not None and listener.waiting):
                await self._hear(listener)
        await self._tell(await self._in_thread(listener.finish))
        await self._close(code)

    async def refuse(self, error: Exception) -> None:
        """Say what is wrong, and close."""
        problem = problem_of(error)
        if problem is None:
            _LOG.error("a stream failed", exc_info=error)
            problem = Problem("internal", "The service made a mistake.")
        self.service.metrics.count_error(problem.code)
        with suppress(WebSocketDisconnect, TimeoutError):
            await self._tell([json.dumps({"type": "error", **problem.to_dict()})])
            await self._close(_CLOSE_CODES.get(problem.code, _REFUSED))

    def log(self) -> None:
        """Write the line of the log."""
        log_request(
            method="WS",
            route=ROUTE,
            status=self._code,
            milliseconds=1000 * (perf_counter() - self._began),
            sound_seconds=self._sound_seconds,
            received_bytes=self._received_bytes,
            client=self._address,
        )

    def _has_shown_token(self) -> bool:
        """Whether the client is no stranger, by its header; browsers can show the token in the first message alone."""
        settings = self.service.settings
        try:
            check_token(settings, sent_token(self._websocket.headers))
        except RefusedError:
            return False
        return settings.token is not None

    async def _first_message(self) -> bytes | str:
        try:
            async with asyncio.timeout(OPENING_SECONDS):
                return await self._message()
        except TimeoutError:
            raise refusal("bad_message", f"No message came for {OPENING_SECONDS:g} s: {_FIRST}") from None

    async def _hear(self, listener: Listener) -> None:
        messages = await self._in_thread(listener.hear)
        self.service.metrics.count_sound(listener.model, listener.seconds - self._sound_seconds)
        self._sound_seconds = listener.seconds
        await self._tell(messages)

    async def _receive(self) -> tuple[bytes, int | None]:
        """Return the next samples, and with which code to close after them; None to go on."""
        try:
            message = await self._message()
        except WebSocketDisconnect as end:
            if end.code != _SERVER_ENDS:
                raise
            return b"", _GOING_AWAY
        if isinstance(message, bytes):
            return message, None
        if _is_end(message):
            return b"", _DONE
        raise refusal("bad_message", f"A text of {len(message)} characters came: send samples, or {json.dumps(_END)}.")

    async def _message(self) -> bytes | str:
        """Return the next message of the client.

        Raises
        ------
        WebSocketDisconnect
            If there is none.
        RefusedError
            If it is too large.
        """
        received = await self._websocket.receive()
        if received["type"] == "websocket.disconnect":
            self._code = received["code"]  # what the log says of a client that closes the stream by itself
            raise WebSocketDisconnect(self._code)
        message: bytes | str = received.get("bytes") or received.get("text") or b""
        self._received_bytes += len(message)
        if len(message) > MESSAGE_BYTES:
            raise refusal("too_large", f"A message has {len(message)} bytes; {MESSAGE_BYTES} are allowed.")
        return message

    async def _tell(self, messages: list[str]) -> None:
        """Send messages; raise TimeoutError if the client leaves too much unread."""
        for message in messages:
            async with asyncio.timeout(READING_SECONDS):
                await _unless_closed(self._websocket.send_text(message))

    async def _close(self, code: int) -> None:
        async with asyncio.timeout(READING_SECONDS):
            await _unless_closed(self._websocket.close(code))
        self._code = code

    async def _in_thread(self, work: Callable[..., _Given], *given: Any) -> _Given:
        return await asyncio.get_running_loop().run_in_executor(self.service.stream_threads, work, *given)


async def _unless_closed(sending: Awaitable[None]) -> None:
    """Send; raise WebSocketDisconnect if the server has closed the stream by itself, as after a broken frame."""
    try:
        await sending
    except RuntimeError as error:
        raise WebSocketDisconnect(_LOST) from error


def _is_end(text: str) -> bool:
    try:
        return bool(json.loads(text) == _END)
    except (ValueError, RecursionError):
        return False
