"""Connections: none is held for ever, nothing passes for a request that is none, one client leaves room for others."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from earmark.service import connection as connections
from earmark.service.connection import HEADER_BYTES, PunctualProtocol
from earmark.service.crowd import Crowd
from earmark.service.metrics import Metrics
from earmark.service.problems import KINDS
from tests.service.loops import run_apart
from tests.service.process import Running, serving
from tests.service.rawclient import answered, connected, deaf, head, until_closed
from tests.service.sounds import noise
from tests.service.workers import held_up

CLIP = noise(1.0)
QUICK = {"connection.HEADER_SECONDS": 0.3}
MOST, MOST_OF_ONE = 8, 6
H2C = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2_settings": "AAMAAABkAAQAAP__"}
WEBSOCKET = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec_websocket_version": 13,
    "sec_websocket_key": "ZWFybWFyay1saXN0ZW5lcg==",
}


@pytest.fixture(scope="module")
def quick(tiny_models: list[Path]) -> Iterator[Running]:
    with serving(tiny_models, QUICK) as service:
        yield service


@pytest.fixture(scope="module")
def small(tiny_models: list[Path]) -> Iterator[Running]:
    with serving(tiny_models, {"crowd.MOST_CONNECTIONS": MOST}) as service:
        yield service


def asking(service: Running, path: str = "/healthz", **fields: object) -> bytes:
    """Return a request without a body."""
    return head(service, "GET", path, **fields)


def last(service: Running) -> bytes:
    """Return a request after whose answer the service closes."""
    return asking(service, connection="close")


def answers(data: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Return all answers in what came: status, header and body."""
    found = []
    while data:
        first, _, data = data.partition(b"\r\n\r\n")
        status, *lines = first.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines)
        length = int(fields["content-length"])
        found.append((int(status.split()[1]), fields, data[:length]))
        data = data[length:]
    return found


def statuses(connection: socket.socket) -> list[int]:
    """Return the status of each answer that comes until the service closes."""
    return [status for status, _, _ in answers(until_closed(connection))]


def counted(service: Running, code: str) -> float:
    return service.metric(f'earmark_errors_total{{code="{code}"}}')


class TestHeld:
    @pytest.mark.parametrize(
        ("length", "more"), [(0, b"\r\n"), (1_000_000, b"x"), (0, b"GET / HT")], ids=["line", "body", "header"]
    )
    def test_a_byte_after_an_answer(self, length: int, more: bytes, quick: Running) -> None:
        with connected(quick) as connection:
            connection.sendall(asking(quick, content_length=length))
            assert answered(connection)[0] == 200
            connection.sendall(more)
            assert until_closed(connection)[:13] == (b"HTTP/1.1 408 " if more.startswith(b"GET") else b"")

    def test_empty_lines_without_end(self, running: Running) -> None:
        with connected(running) as connection:
            try:
                for _ in range(100):
                    connection.sendall(b"\r\n" * HEADER_BYTES)
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert until_closed(connection)[:13] in (b"HTTP/1.1 431 ", b"")

    def test_a_trailer_without_end(self, running: Running) -> None:
        with connected(running) as connection:
            connection.sendall(head(running, transfer_encoding="chunked") + b"3\r\nabc\r\n0\r\n")
            try:
                for _ in range(2000):
                    connection.sendall(b"x-filler: " + b"x" * 1000 + b"\r\n")
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert until_closed(connection)[:13] in (b"HTTP/1.1 431 ", b"")

    def test_a_body_that_nobody_reads_is_no_header(self, running: Running) -> None:
        with connected(running) as connection:
            connection.sendall(asking(running, content_length=1_000_000))
            assert answered(connection)[0] == 200
            connection.sendall(bytes(1_000_000) + last(running))
            assert statuses(connection) == [200]

    def test_an_upload_before_a_header_is_no_header(self, running: Running) -> None:
        body = bytes(3 * HEADER_BYTES)
        with connected(running) as connection:
            connection.sendall(head(running, content_length=len(body)) + body + last(running)[:-2])
            assert answered(connection)[0] == 415
            connection.sendall(b"\r\n")
            assert statuses(connection) == [200]

    def test_last_bytes_that_nobody_takes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connections, "UNREAD_SECONDS", 1.0)
        assert run_apart(bytes_left_when_closed()) > 0


async def bytes_left_when_closed() -> int:
    """Ask for more than the system keeps for a client that reads nothing, and return how much waited until the end."""
    loop = asyncio.get_running_loop()
    config = Config(answering(bytes(40_000)), log_config=None, access_log=False)
    given: dict[str, Any] = {"config": config, "server_state": ServerState(), "app_state": {}}
    given |= {"crowd": Crowd(), "metrics": Metrics()}
    with deaf(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n") as line:
        transport, protocol = await loop.connect_accepted_socket(lambda: PunctualProtocol(**given), line)
        await asyncio.sleep(0.1)
        left: int = transport.get_write_buffer_size()
        async with asyncio.timeout(20):
            while protocol.connections:
                await asyncio.sleep(0.05)
        return left


def answering(body: bytes) -> Any:
    """Return an application that always answers the same."""

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    return application


class TestUpgrade:
    @pytest.mark.parametrize("pieces", [1, 7])
    @pytest.mark.parametrize("fields", [H2C, WEBSOCKET, WEBSOCKET | {"upgrade": "websocket, h2c"}])
    def test_a_body_after_another_protocol_was_offered(
        self, fields: dict[str, Any], pieces: int, running: Running
    ) -> None:
        expected = httpx.post(f"{running.url}/v1/classify", content=CLIP).json()
        request = head(running, content_length=len(CLIP), **fields) + CLIP + last(running)
        with connected(running) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in range(pieces):
                connection.sendall(request[len(request) * piece // pieces : len(request) * (piece + 1) // pieces])
            first, second = answers(until_closed(connection))
        assert (first[0], json.loads(first[2]), second[0]) == (200, expected, 200)

    def test_a_body_in_chunks(self, running: Running) -> None:
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(CLIP), CLIP)
        with connected(running) as connection:
            connection.sendall(head(running, transfer_encoding="chunked", **H2C) + chunks + last(running))
            assert statuses(connection) == [200, 200]

    def test_a_body_is_no_request(self, running: Running) -> None:
        hidden = asking(running, "/v1/models/tiny")
        with connected(running) as connection:
            connection.sendall(head(running, content_length=len(hidden), **H2C))
            connection.sendall(hidden + last(running))
            assert statuses(connection) == [415, 200]

    def test_as_many_as_one_likes(self, running: Running) -> None:
        with connected(running) as connection:
            connection.sendall(asking(running, **H2C) * 2000 + last(running))
            assert statuses(connection) == [200] * 2001

    def test_a_stream_that_is_asked_for_too_early(self, running: Running) -> None:
        """It would break into the answer to what was asked before."""
        with connected(running) as connection:
            with held_up(running):
                request = head(running, content_length=len(CLIP)) + CLIP
                connection.sendall(request + asking(running, "/v1/stream", **WEBSOCKET))
                running.wait_for("earmark_busy_workers", 1)
            assert statuses(connection) == [200, 404]  # an error before which no body was read closes

    @pytest.mark.parametrize("fields", [{"x_long": "x" * 10_000}, {f"x_{number}": "x" for number in range(200)}])
    def test_a_stream_with_too_large_a_header(self, fields: dict[str, object], running: Running) -> None:
        with connected(running) as connection:
            connection.sendall(asking(running, "/v1/stream", **WEBSOCKET, **fields))
            assert until_closed(connection).startswith(b"HTTP/1.1 431 ")

    def test_a_tunnel(self, running: Running) -> None:
        with connected(running) as connection:
            connection.sendall(b"CONNECT localhost:80 HTTP/1.1\r\nhost: localhost\r\n\r\n" + last(running))
            assert statuses(connection) == [400]


class TestRefusal:
    @pytest.mark.parametrize(
        ("sent", "code"),
        [
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "not_http"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "not_http"),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\n", "header_too_slow"),
            (b"GET / HTTP/1.1\r\nx-filler: " + b"x" * (10 * HEADER_BYTES), "header_too_large"),
        ],
    )
    def test_it_is_told_and_counted(self, sent: bytes, code: str, quick: Running) -> None:
        before = counted(quick, code)
        usual = httpx.get(f"{quick.url}/v1/models/none").headers
        with connected(quick) as connection:
            connection.sendall(sent)
            ((status, fields, body),) = answers(until_closed(connection))
        assert (status, json.loads(body)["error"]["code"]) == (KINDS[code].status, code)
        assert set(json.loads(body)["error"]) == {"code", "message", "hint"}
        assert set(fields) == set(usual)
        assert fields["content-type"] == "application/json"
        assert counted(quick, code) == before + 1

    @pytest.mark.parametrize("trouble", [b"no HTTP\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"x" * (10 * HEADER_BYTES)])
    def test_what_was_asked_before_is_answered(self, trouble: bytes, running: Running) -> None:
        with connected(running) as connection:
            with held_up(running):
                connection.sendall(head(running, content_length=len(CLIP)) + CLIP)
                running.wait_for("earmark_busy_workers", 1)
                connection.sendall(trouble)
            assert statuses(connection) == [200]

    def test_a_body_that_breaks_off_is_told_at_once(self, running: Running) -> None:
        with connected(running) as connection:
            connection.sendall(head(running, transfer_encoding="chunked") + b"3\r\nabc\r\nno chunk\r\n")
            assert statuses(connection) == [400]


class TestCrowd:
    def test_one_client_leaves_room_for_others(self, small: Running) -> None:
        with ExitStack() as stack:
            for _ in range(MOST_OF_ONE):
                stack.enter_context(connected(small))
            for _ in range(20):
                with connected(small) as connection:
                    ((status, fields, body),) = answers(until_closed(connection))
                    assert (status, fields["retry-after"]) == (503, "1")
                    assert json.loads(body)["error"]["code"] == "too_many_connections"
            other = httpx.HTTPTransport(local_address="127.0.0.2")
            with httpx.Client(transport=other) as client:
                assert client.get(f"{small.url}/healthz").status_code == 200
                for _ in range(MOST - MOST_OF_ONE - 1):
                    stack.enter_context(connected_from("127.0.0.3", small))
                with connected_from("127.0.0.4", small) as connection:
                    assert f"{MOST} connections are open" in until_closed(connection).decode()
        assert counted(small, "too_many_connections") == 21
        assert small.log.count("connections are refused") == 1

    def test_streams_are_connections_too(self, small: Running) -> None:
        small.wait_for("earmark_listeners", 0)
        with ExitStack() as stack:
            for _ in range(MOST_OF_ONE):
                stream = stack.enter_context(connected(small))
                stream.sendall(asking(small, "/v1/stream", **WEBSOCKET))
                assert stream.recv(12) == b"HTTP/1.1 101"
            with connected(small) as connection:
                assert statuses(connection) == [503]

    def test_files_that_the_process_may_not_open(self, monkeypatch: pytest.MonkeyPatch) -> None:
        resource = pytest.importorskip("resource")
        monkeypatch.setattr(resource, "getrlimit", lambda _: (8, 8))
        crowd, visitor = Crowd(), SimpleNamespace(client=("::1", 1))
        assert crowd.refusal(visitor, [visitor] * 3) is None
        assert crowd.refusal(visitor, [visitor] * 4) == "3 connections of one address are open: as many as it may have."
        assert "4 connections" in str(crowd.refusal(visitor, [visitor] * 5))


def connected_from(address: str, service: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=60, source_address=(address, 0))
