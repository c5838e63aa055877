"""Hostile files sent to a service while somebody else has honest ones, and what became of both."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.service.hostile import HostileFile

from benchmarks.httpclient import Answer, Client, post

SENDERS = 4
PATIENCE_SECONDS = 180.0
_PATH = "/v1/classify"


@dataclass
class Course:
    """How an attack went.

    Attributes
    ----------
    codes : Counter of str
        How often each refusal was given; ``ok`` for tags.
    failures : list of str
        Files whose answer was none, no clear refusal, or wrong tags, each with what is wrong.
    good, good_failed : int
        Honest requests while it lasted, and those that were not answered as before.
    """

    codes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    good: int = 0
    good_failed: int = 0
    tagged: list[tuple[HostileFile, list[object]]] = field(default_factory=list)


async def attack(port: int, files: Iterator[HostileFile], honest: bytes) -> Course:
    """Send all files, several at a time, and an honest one over and over."""
    course, done = Course(), asyncio.Event()
    witness = asyncio.create_task(_be_honest(port, honest, course, done))
    await asyncio.gather(*(_send(port, files, course) for _ in range(SENDERS)))
    done.set()
    await witness
    return course


async def _send(port: int, files: Iterator[HostileFile], course: Course) -> None:
    async with Client(port) as client:
        for file in files:
            answer = await _asked(client, post(port, _PATH, file.data))
            if answer.status == 200:
                course.codes["ok"] += 1
                course.tagged.append((file, json.loads(answer.body)["tags"]))
            elif 400 <= answer.status < 500:
                course.codes[json.loads(answer.body)["error"]["code"]] += 1
            else:
                course.failures.append(f"{file.name}: {answer.status or 'no answer'}")


async def _be_honest(port: int, honest: bytes, course: Course, done: asyncio.Event) -> None:
    async with Client(port) as client:
        first = await _asked(client, post(port, _PATH, honest))
        while course.good == 0 or not done.is_set():
            answer = await _asked(client, post(port, _PATH, honest))
            course.good += 1
            course.good_failed += answer.status != 200 or answer.body != first.body


async def _asked(client: Client, request: bytes) -> Answer:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await client.ask(request)
    except TimeoutError:
        client.close()
        return Answer(0, b"")
