"""Many recordings in one request: analysed side by side, answered in their order, a line for each as it is done."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

from earmark.service.crew import Crew, Job
from earmark.service.metrics import Metrics
from earmark.service.observer import Visit
from earmark.service.problems import RefusedError
from earmark.service.reply import Reply

__all__ = ["answer_lines"]


_AHEAD = 2  # recordings under way for each worker: one in work, one ready


async def answer_lines(jobs: Sequence[Job], crew: Crew, metrics: Metrics, visit: Visit) -> AsyncGenerator[bytes, None]:
    """Yield a line of JSON for each job, in their order: the result or the error, with the job's number.

    A long line comes in pieces. No more jobs are under way than keep the workers busy, so that a batch leaves room for
    others.

    Parameters
    ----------
    jobs : sequence of Job
        What to do.
    crew : Crew
        Who does it.
    metrics : Metrics
        Where sound and errors are counted.
    visit : Visit
        The request.
    """
    under_way: deque[asyncio.Task[Reply]] = deque()
    waiting = iter(jobs)
    try:
        for number in range(len(jobs)):
            for job in waiting:
                under_way.append(asyncio.create_task(crew.ask(job, patient=True)))
                if len(under_way) >= _AHEAD * crew.workers:
                    break
            try:
                reply = await under_way[0]
            except RefusedError as error:
                metrics.count_error(error.problem.code)
                yield _line({"number": number, **error.problem.to_dict()})
            else:
                visit.sound_seconds += reply.seconds
                metrics.count_sound(jobs[number].model, reply.seconds)
                for piece in _numbered(number, reply):
                    yield piece
                reply.discard()
            under_way.popleft()
    finally:
        for task in under_way:
            _abandon(task)


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def _numbered(number: int, reply: Reply) -> Iterator[bytes]:
    """Yield an object of JSON with its number before all else."""
    pieces = reply.pieces(start=len(b"{"))
    yield b'{"number": %d, %b' % (number, next(pieces))
    yield from pieces


def _abandon(task: asyncio.Task[Reply]) -> None:
    """Let go of a job of whose answer nobody will hear."""
    if task.cancel():
        return
    if not task.cancelled() and task.exception() is None:  # to ask is to say that it was no oversight
        task.result().discard()
