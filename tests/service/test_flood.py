"""Streams that are opened to do harm: by strangers, and by clients that send what costs much and means nothing."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from benchmarks.liveload import UPGRADE, frame
from uvicorn import Config
from uvicorn.server import ServerState
from websockets.sync.client import ClientConnection, connect

from earmark.service import live, websocket
from earmark.service.settings import Settings
from earmark.service.state import Service
from earmark.service.websocket import MOST_FRAMES, ListeningProtocol
from tests.service.loops import run_apart
from tests.service.process import Running, serving
from tests.service.rawclient import connected, deaf
from tests.service.test_live import END, OPENING, TOKEN, in_blocks, listened, messages_of, sound

TEXT, BINARY, PING = 1, 2, 9
EMPTY = frame(BINARY, b"")
OPEN_TEXT, MORE_TEXT = (bytes([kind]) + frame(kind, b" " * 64)[1:] for kind in (TEXT, 0))  # without the bit of an end
MOST_UNOPENED, MOST_OF_ONE = 5, 3
HEADER = {"Authorization": f"Bearer {TOKEN}"}


@contextmanager
def upgraded(running: Running, *first: bytes) -> Iterator[socket.socket]:
    """Open a stream without a library, and send frames."""
    with connected(running) as client:
        client.sendall(UPGRADE.format(host="127.0.0.1", port=running.port).encode())
        assert client.recv(12) == b"HTTP/1.1 101"
        client.sendall(b"".join(first))
        yield client


def send_often(client: socket.socket, data: bytes, times: int) -> None:
    """Send the same again and again, as long as it is taken, and a while longer."""
    for _ in range(times):
        client.sendall(data)
    client.settimeout(2)
    while client.recv(1 << 16):
        pass


class TestFrames:
    @pytest.mark.parametrize(
        ("first", "data"),
        [
            (b"", EMPTY * 40_000),
            (frame(TEXT, json.dumps(OPENING).encode()), EMPTY * 40_000),
            (b"", frame(PING, b"") * 40_000),
            (OPEN_TEXT, MORE_TEXT * 500),
        ],
        ids=["strangers", "listeners", "pings", "pieces"],
    )
    def test_too_many_at_once(self, first: bytes, data: bytes, running: Running) -> None:
        with upgraded(running, first) as client, pytest.raises(ConnectionError):
            send_often(client, data, 20)
        running.wait_for("earmark_listeners", 0)

    def test_many_short_blocks_at_once_are_heard(self, running: Running) -> None:
        """Of two milliseconds, sent as fast as they are taken."""
        heard = listened(running, in_blocks(sound(11, 16_000, form="s16le"), [32]), sample_rate=16_000)
        assert (heard.code, heard.rest[-1]["seconds"]) == (1000, 3.0)

    def test_answers_to_pings_that_nobody_reads(self, running: Running) -> None:
        process = psutil.Process(running.process.pid)
        before = process.memory_info().rss
        with upgraded(running) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with pytest.raises(ConnectionError):
                send_often(client, frame(PING, bytes(125)) * 500, 1000)
        assert process.memory_info().rss - before < 24 * 2**20

    def test_others_have_their_turn_between_messages(self, tiny_model: Path) -> None:
        assert run_apart(turns_of_others(tiny_model, MOST_FRAMES)) >= MOST_FRAMES

    def test_a_close_that_nobody_takes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(websocket, "LINGER_SECONDS", 0.2)
        run_apart(end_of_a_deaf_client())


async def turns_of_others(model: Path, messages: int) -> int:
    """Let a stream take messages that wait, and return how many turns others have in the meantime."""
    said: list[dict[str, Any]] = [{"text": json.dumps(OPENING)}, *[{"bytes": b""}] * messages, {"text": END}]
    coming = iter([{"type": "websocket.receive", **message} for message in said])

    async def nothing(*_: Any) -> None:
        pass

    async def receive() -> dict[str, Any]:
        return next(coming)

    service = Service(Settings(models=(str(model),), workers=1))
    app = SimpleNamespace(state=SimpleNamespace(service=service))
    stream: Any = SimpleNamespace(app=app, client=None, headers={}, accept=nothing, receive=receive)
    stream.send_text = stream.close = nothing
    listening, turns = asyncio.create_task(live.listen(stream)), 0
    while not listening.done():
        await asyncio.sleep(0)
        turns += 1
    await listening
    await service.stop()
    return turns


async def end_of_a_deaf_client() -> None:
    """Return once the line is free of a client that neither reads nor answers pings."""

    async def application(_scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": bytes(40_000)})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    config = Config(application, log_config=None, ws_ping_interval=0.1, ws_ping_timeout=0.1)
    given: dict[str, Any] = {"config": config, "server_state": ServerState(), "app_state": {}}
    with deaf(UPGRADE.format(host="127.0.0.1", port=80).encode()) as line:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_accepted_socket(lambda: ListeningProtocol(**given), line)
        await asyncio.sleep(0.05)
        assert transport.get_write_buffer_size() > 0
        async with asyncio.timeout(20):
            while protocol.connections or protocol.tasks:
                await asyncio.sleep(0.05)


class TestStrangers:
    @pytest.fixture
    def guarded(self, tiny_models: list[Path]) -> Iterator[Running]:
        limits = {"listeners": 2, "per_client": MOST_OF_ONE}
        with serving(tiny_models, {"live.MOST_UNOPENED": MOST_UNOPENED}, limits=limits, token=TOKEN) as service:
            yield service

    def test_they_keep_nobody_out(self, guarded: Running) -> None:
        opening = json.dumps(OPENING | {"token": TOKEN})
        with ExitStack() as stack:
            for _ in range(MOST_OF_ONE):
                stack.enter_context(upgraded(guarded))
            assert refused_at_once(guarded, "127.0.0.1") == ("client_busy", 1013)
            stack.enter_context(listening(guarded, json.dumps(OPENING), additional_headers=HEADER))
            stack.enter_context(listening(guarded, opening, sock=from_address("127.0.0.2", guarded)))
            assert guarded.metric("earmark_listeners") == 2
            for number in range(MOST_UNOPENED - MOST_OF_ONE):
                stack.enter_context(stream_from(f"127.0.0.{number + 3}", guarded))
            assert refused_at_once(guarded, "127.0.0.9") == ("too_many_listeners", 1013)
        guarded.wait_for("earmark_listeners", 0)
        assert listened(guarded, [], **OPENING, token=TOKEN).code == 1000


@contextmanager
def listening(running: Running, opening: str, **options: Any) -> Iterator[ClientConnection]:
    """Open a stream, and see that it is one."""
    with connect(running.address("ws", "/v1/stream"), **options) as client:
        client.send(opening)
        assert json.loads(client.recv())["type"] == "ready"
        yield client


def stream_from(address: str, running: Running) -> ClientConnection:
    return connect(running.address("ws", "/v1/stream"), sock=from_address(address, running))


def refused_at_once(running: Running, address: str) -> tuple[str, int | None]:
    """Return the code of the error that comes before anything was sent, and how the stream is closed."""
    with stream_from(address, running) as client:
        (said,) = messages_of(client)
    return said["error"]["code"], client.close_code


def from_address(address: str, running: Running) -> socket.socket:
    """Connect from another address of this machine."""
    return socket.create_connection(("127.0.0.1", running.port), source_address=(address, 0))
