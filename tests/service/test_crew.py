"""Who gets a worker, and what becomes of a job that nobody waits for any more; the workers do as they are told."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from earmark.service.crew import Crew, Job
from earmark.service.member import DeadMemberError, Member
from earmark.service.pipe import Message
from earmark.service.problems import RefusedError
from earmark.service.reply import Reply
from earmark.service.settings import Limits, Settings
from tests.service.loops import run_apart

JOB = Job("classify", "tiny", b"")


class Puppet:
    """A worker without a process: it has an answer when `answered` says so."""

    def __init__(self) -> None:
        self.is_ready = True
        self.answered = asyncio.Event()
        self.failure: Exception | None = None
        self.file: Path | None = None

    async def ask(self, head: Mapping[str, Any], _sound: bytes | Path) -> Message:
        """Take a job, and write at once to the file for large answers."""
        self.file = Path(head["large"])
        self.file.write_bytes(b"{half of it")
        return await self.answer()

    async def answer(self) -> Message:
        """Wait until there is an answer."""
        await self.answered.wait()
        if self.failure:
            raise self.failure
        return {"file": str(self.file), "bytes": 11, "media": "application/json", "seconds": 1.0}, b""

    def kill(self) -> None:
        """Be of no more use."""
        self.is_ready = False
        self.failure = DeadMemberError(by_itself=False)
        self.answered.set()

    async def join(self) -> None:
        """Have no process to wait for."""


def played(
    play: Callable[[Crew, Puppet], Awaitable[object]], folder: Path, *, queue: int = 64, analysis_seconds: float = 60.0
) -> None:
    """Run a play with a crew of one puppet, and see that nothing is left on the disk."""

    async def whole() -> None:
        settings = Settings(workers=1, limits=Limits(queue=queue, analysis_seconds=analysis_seconds))
        crew, puppet = Crew(settings, folder, lambda: None), Puppet()
        crew._enlist(cast(Member, puppet))
        await asyncio.wait_for(play(crew, puppet), 60)

    run_apart(whole())
    assert list(folder.iterdir()) == []


async def under_way(crew: Crew, *, patient: bool = False) -> asyncio.Task[Reply]:
    """Ask, and return once the worker has the job or it waits for one."""
    task = asyncio.create_task(crew.ask(JOB, patient=patient))
    for _ in range(3):
        await asyncio.sleep(0)
    return task


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


class TestWhatNobodyWantsAnyMore:
    def test_an_answer_that_comes_when_its_client_has_left(self, tmp_path: Path) -> None:
        async def play(crew: Crew, puppet: Puppet) -> None:
            task = await under_way(crew)
            task.cancel()
            await asyncio.sleep(0)
            assert (crew.busy, len(list(tmp_path.iterdir()))) == (1, 1)
            puppet.answered.set()
            await until(lambda: crew.busy == 0)

        played(play, tmp_path)

    def test_one_that_came_just_before(self, tmp_path: Path) -> None:
        async def play(crew: Crew, puppet: Puppet) -> None:
            task = await under_way(crew)
            puppet.answered.set()
            task.cancel()
            await until(lambda: crew.busy == 0)

        played(play, tmp_path)

    def test_one_that_a_dying_worker_has_begun(self, tmp_path: Path) -> None:
        async def play(crew: Crew, puppet: Puppet) -> None:
            task = await under_way(crew)
            puppet.kill()
            puppet.failure = DeadMemberError(by_itself=True)
            with pytest.raises(RefusedError, match="ended before it answered"):
                await task

        played(play, tmp_path)

    def test_one_that_takes_too_long(self, tmp_path: Path) -> None:
        async def play(crew: Crew, _: Puppet) -> None:
            with pytest.raises(RefusedError, match=r"stopped after 0\.1 s"):
                await crew.ask(JOB)

        played(play, tmp_path, analysis_seconds=0.1)

    def test_it_has_no_more_time_than_if_its_client_had_stayed(self, tmp_path: Path) -> None:
        async def play(crew: Crew, puppet: Puppet) -> None:
            loop = asyncio.get_running_loop()
            began = loop.time()
            task = await under_way(crew)
            await asyncio.sleep(1.5)
            task.cancel()
            await until(lambda: crew.busy == 0)
            assert not puppet.is_ready
            assert 2.0 <= loop.time() - began < 3.0

        played(play, tmp_path, analysis_seconds=2.0)


class TestTurns:
    def test_a_worker_that_died_is_not_offered_to_the_next(self, tmp_path: Path) -> None:
        async def play(crew: Crew, puppet: Puppet) -> None:
            first, second, third = [await under_way(crew) for _ in range(3)]
            crew._enlist(cast(Member, other := Puppet()))
            other.kill()  # second has been given it, and does not know yet
            other.failure = DeadMemberError(by_itself=True)  # for which third would be blamed
            second.cancel()
            await asyncio.sleep(0.05)
            assert (crew.busy, crew.waiting) == (1, 1)
            puppet.answered.set()
            for task in (first, third):
                (await task).discard()

        played(play, tmp_path)

    def test_the_patient_take_nobody_s_place_in_the_queue(self, tmp_path: Path) -> None:
        async def play(crew: Crew, puppet: Puppet) -> None:
            tasks = [await under_way(crew, patient=patient) for patient in (True, True, True, False, True, False)]
            assert (crew.busy, crew.waiting) == (1, 5)
            with pytest.raises(RefusedError, match="2 recordings wait"):
                await crew.ask(JOB)
            puppet.answered.set()
            for task in tasks:
                (await task).discard()

        played(play, tmp_path, queue=2)

    def test_who_has_waited_longest_is_next(self, tmp_path: Path) -> None:
        async def play(crew: Crew, puppet: Puppet) -> None:
            done: list[int] = []
            tasks = [await under_way(crew, patient=number % 2 == 0) for number in range(5)]
            for number, task in enumerate(tasks):
                task.add_done_callback(lambda _, number=number: done.append(number))  # type: ignore[misc]
            puppet.answered.set()
            for reply in await asyncio.gather(*tasks):
                reply.discard()
            assert done == [0, 1, 2, 3, 4]

        played(play, tmp_path)
