"""A client that is not polite: it sends bytes as a test says, and listens to what comes back."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.service.process import Running

PATIENCE_SECONDS = 60.0


@contextmanager
def connected(service: Running) -> Iterator[socket.socket]:
    """Open a connection."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS) as connection:
        yield connection


@contextmanager
def deaf(words: bytes) -> Iterator[socket.socket]:
    """Let a client say something and then read nothing, and give the other end of its line, which takes little."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(server.getsockname())
        client.sendall(words)
        own, _ = server.accept()
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        yield own


def head(service: Running, method: str = "POST", path: str = "/v1/classify", **fields: object) -> bytes:
    """Return the header of a request; ``content_length=3`` is the field ``content-length: 3``."""
    named = {"host": f"127.0.0.1:{service.port}", **{name.replace("_", "-"): value for name, value in fields.items()}}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return "\r\n".join(lines).encode()


def answered(connection: socket.socket) -> tuple[int, bytes]:
    """Return the status and the body of the next answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    header, _, body = data.partition(b"\r\n\r\n")
    length = int(header.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += _more(connection)
    return int(header.split()[1]), body


def until_closed(connection: socket.socket) -> bytes:
    """Return all that comes until the service closes the connection."""
    data = b""
    try:
        while more := connection.recv(1 << 16):
            data += more
    except ConnectionResetError:
        pass
    return data


def _more(connection: socket.socket) -> bytes:
    more = connection.recv(1 << 16)
    assert more, "the service closed the connection"
    return more
