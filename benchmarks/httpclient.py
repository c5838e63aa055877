"""An HTTP client that costs next to nothing, because it shares its cores with the service that it loads."""

import asyncio
from dataclasses import dataclass
from typing import Self

_BOUNDARY = "earmark-benchmark-boundary"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Parameters
    ----------
    status : int
        0 where the connection was closed before there was one.
    body : bytes
    """

    status: int
    body: bytes


class Client:
    """One connection that is kept for the next request, and opened anew where the service closes it.

    Parameters
    ----------
    port : int
        On 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def ask(self, request: bytes) -> Answer:
        """Send the bytes of a request and return the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = _fields(head)
            body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.close()
            return Answer(0, b"")
        if fields.get(b"connection") == b"close":
            self.close()
        return Answer(int(head.split(b" ", 2)[1]), body)

    def close(self) -> None:
        """Leave; the next request opens a connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def post(port: int, path: str, body: bytes, content_type: str = "application/octet-stream") -> bytes:
    """Return a request with a body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def post_form(port: int, path: str, data: bytes) -> bytes:
    """Return a request with a form whose one field, ``audio``, is a file."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="audio"; filename="clip"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    form = head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return post(port, path, form, f"multipart/form-data; boundary={_BOUNDARY}")


def get(port: int, path: str) -> bytes:
    """Return a request without a body."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()


def _fields(head: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.strip().lower(): value.strip().lower() for name, _, value in lines}
