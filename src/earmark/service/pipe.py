"""The pipe between the front process and a worker: messages of a JSON head and a body of bytes, one way and back.

It speaks JSON and never pickles: who took over a worker by a hostile file must not thereby take over the service.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

__all__ = ["Message", "Pipe", "WorkerPipe"]

Message: TypeAlias = tuple[dict[str, Any], bytes]
"""A head, as JSON has it, and a body."""

_HEADER = struct.Struct("!IQ")  # bytes of the head, bytes of the body


def _packed(head: Mapping[str, Any], body: bytes) -> bytes:
    """Return what stands before the body."""
    encoded = json.dumps(head).encode()
    return _HEADER.pack(len(encoded), len(body)) + encoded


class WorkerPipe:
    """The worker's end, which waits.

    Parameters
    ----------
    end : socket
        Connected to the front process.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(True)
        self._end = end

    def send(self, head: Mapping[str, Any], body: bytes = b"") -> None:
        """Send a message; raise OSError if the front process has gone."""
        self._end.sendall(_packed(head, body))
        if body:
            self._end.sendall(body)

    def receive(self) -> Message:
        """Return the next message; raise EOFError where the front process has closed its end."""
        head_bytes, body_bytes = _HEADER.unpack(self._take(_HEADER.size))
        head: dict[str, Any] = json.loads(self._take(head_bytes))
        return head, self._take(body_bytes)

    def _take(self, count: int) -> bytes:
        buffer = bytearray(count)
        view = memoryview(buffer)
        while view:
            got = self._end.recv_into(view)
            if not got:
                raise EOFError
            view = view[got:]
        return bytes(buffer)


class Pipe(asyncio.Protocol):
    """The front process's end, for its event loop.

    Parameters
    ----------
    on_end : callable
        Called once the worker has closed its end, as its death does.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._transport: asyncio.WriteTransport | None = None
        self._received = bytearray()
        self._expect()

    def _expect(self) -> None:
        self._next: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._next.add_done_callback(_look_at)

    def send(self, head: Mapping[str, Any], body: bytes = b"") -> None:
        """Send a message, to which one comes back; raise EOFError if the worker has gone."""
        if self._next.done():
            self._next.result()
            self._expect()
        assert self._transport is not None, "the pipe is connected"
        self._transport.write(_packed(head, body))
        if body:
            self._transport.write(body)

    async def receive(self) -> Message:
        """Return the message that is expected; raise EOFError if the worker has gone.

        Who is cancelled here may ask again.
        """
        return await asyncio.shield(self._next)

    def close(self) -> None:
        """Close this end, which ends the worker unless it is at work."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be connected."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Take the next bytes of a message."""
        self._received += data
        if len(self._received) < _HEADER.size:
            return
        head_bytes, body_bytes = _HEADER.unpack_from(self._received)
        head_end = _HEADER.size + head_bytes
        if len(self._received) < head_end + body_bytes:
            return
        head = json.loads(self._received[_HEADER.size : head_end])
        body = bytes(memoryview(self._received)[head_end:])
        self._received = bytearray()
        if not self._next.done():
            self._next.set_result((head, body))

    def connection_lost(self, _: Exception | None) -> None:
        """Tell who waits that nothing will come."""
        if self._next.done():
            self._expect()
        self._next.set_exception(EOFError("the worker has gone"))
        self._on_end()


def _look_at(message: "asyncio.Future[Message]") -> None:
    """Let an exception that nobody waits for pass in silence."""
    if not message.cancelled():
        message.exception()
