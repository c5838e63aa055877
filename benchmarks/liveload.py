"""Listeners that send sound in real time and take down when each score came: ``python -m benchmarks.liveload``.

A process of its own, made to cost little, because it shares the machine with the service that it loads: one raw
socket a listener, messages made before, answers looked at and not parsed.
"""

import asyncio
import json
import random
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK_SECONDS = 0.02
SAMPLE_BYTES = 2
UPGRADE = (
    "GET /v1/stream HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: ZWFybWFyay1saXN0ZW5lcg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_TEXT, _BINARY, _PING, _PONG = 1, 2, 9, 10
_NO_MASK = bytes(4)  # masking with zeros leaves the bytes as they are


class Listener(asyncio.Protocol):
    """One connection.

    Parameters
    ----------
    opening : dict
        The first message.

    Attributes
    ----------
    sent, heard : list of float
        When each block went out, and when the score of each frame came, by one clock.
    ready : Future
        Done when the service listens; fails with what it says if it does not.
    failure : bytes, optional
        What it said instead of listening on, or that it closed the connection.
    """

    def __init__(self, opening: dict[str, Any]) -> None:
        self.sent: list[float] = []
        self.heard: list[float] = []
        self.failure: bytes | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opening = json.dumps(opening).encode()
        self._received = bytearray()
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host, port = transport.get_extra_info("peername")[:2]
        transport.write(UPGRADE.format(host=host, port=port).encode())

    def data_received(self, data: bytes) -> None:
        """Take what came, and look at the messages that are whole."""
        now = time.monotonic()
        self._received += data
        if not self._upgraded and b"\r\n\r\n" in self._received:
            self._upgraded = True
            head, _, rest = self._received.partition(b"\r\n\r\n")
            self._received = rest
            self._transport.write(frame(_TEXT, self._opening))
            if b" 101 " not in head:
                self._fail(bytes(head))
        for kind, message in self._messages() if self._upgraded else ():
            self._look(kind, message, now)

    def connection_lost(self, _: Exception | None) -> None:
        """Say so to who waits."""
        self._fail(b"the service closed the connection")

    async def send(self, blocks: list[bytes], begin: float) -> None:
        """Send frames that were made before, one each `BLOCK_SECONDS` from a time of the clock on."""
        for number, block in enumerate(blocks):
            await asyncio.sleep(begin + (number + 1) * BLOCK_SECONDS - time.monotonic())
            self.sent.append(time.monotonic())
            self._transport.write(block)

    def close(self) -> None:
        """Leave, as a browser's tab does."""
        self._transport.abort()

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        received = self._received
        while len(received) >= 2:
            size, start = received[1], 2
            if size == 126:
                size, start = int.from_bytes(received[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(received[2:10], "big"), 10
            if len(received) < start + size:
                return
            kind, message = received[0] & 15, bytes(received[start : start + size])
            del received[: start + size]
            yield kind, message

    def _look(self, kind: int, message: bytes, now: float) -> None:
        if message.startswith(b'{"type":"frames"'):
            edges = message[: message.index(b"]")]
            self.heard += [now] * edges.count(b",", edges.index(b"["))
        elif message.startswith(b'{"type":"ready"'):
            self.ready.set_result(None)
        elif kind == _PING:
            self._transport.write(frame(_PONG, message))
        elif kind != _TEXT or b'"error"' in message:
            self._fail(message)

    def _fail(self, said: bytes) -> None:
        self.failure = self.failure or said
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(said.decode(errors="replace")))


def frame(kind: int, data: bytes) -> bytes:
    """Return a WebSocket frame as a client sends it."""
    size = len(data)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 2**16:
        length = struct.pack("!BH", 0x80 | 126, size)
    else:
        length = struct.pack("!BQ", 0x80 | 127, size)
    return bytes([0x80 | kind]) + length + _NO_MASK + data


async def load(plan: dict[str, Any]) -> dict[str, Any]:
    """Let listeners listen side by side; return the delay of each score, and how late blocks went out, in seconds.

    Raises
    ------
    ConnectionError
        If the service does not listen to one, or not to the end.
    """
    loop, rng = asyncio.get_running_loop(), random.Random(plan["seed"])
    sound = await asyncio.to_thread(Path(plan["sound"]).read_bytes)
    blocks = cut(sound, round(BLOCK_SECONDS * plan["opening"]["sample_rate"]) * SAMPLE_BYTES)
    count = round(plan["seconds"] / BLOCK_SECONDS)
    listeners = []
    for _ in range(plan["listeners"]):
        _, listener = await loop.create_connection(lambda: Listener(plan["opening"]), plan["host"], plan["port"])
        await listener.ready
        listeners.append(listener)
    begin = time.monotonic() + 0.5
    begins = [begin + rng.uniform(0, plan["hop_seconds"]) for _ in listeners]  # nobody begins at the same moment
    starts = [rng.randrange(len(blocks) - count) for _ in listeners]
    await asyncio.gather(
        *(one.send(blocks[start : start + count], at) for one, start, at in zip(listeners, starts, begins, strict=True))
    )
    await asyncio.sleep(2.0)
    for listener in listeners:
        if listener.failure is not None:
            raise ConnectionError(f"a listener was dropped: {listener.failure.decode(errors='replace')}")
        listener.close()
    return {
        "delays": [delay for one in listeners for delay in delays(one, plan["length_seconds"], plan["hop_seconds"])],
        "frames": [len(one.heard) for one in listeners],
        "late": max(
            moment - at - (number + 1) * BLOCK_SECONDS
            for one, at in zip(listeners, begins, strict=True)
            for number, moment in enumerate(one.sent)
        ),
    }


def cut(sound: bytes, block_bytes: int) -> list[bytes]:
    """Return sound as frames of whole blocks."""
    whole = len(sound) - len(sound) % block_bytes
    return [frame(_BINARY, sound[start : start + block_bytes]) for start in range(0, whole, block_bytes)]


def delays(listener: Listener, length_seconds: float, hop_seconds: float) -> list[float]:
    """Return for each frame the time from sending the block with its last sample to receiving its score."""
    last_blocks = [
        int((length_seconds + number * hop_seconds) / BLOCK_SECONDS - 1e-9) for number in range(len(listener.heard))
    ]
    return [heard - listener.sent[block] for heard, block in zip(listener.heard, last_blocks, strict=True)]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(load(json.loads(sys.argv[1])))))
