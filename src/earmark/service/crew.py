"""The workers: which is idle, what waits for one, how a dead one is replaced and all of them by newer ones."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

from earmark.errors import ModelError
from earmark.service.logs import LOGGER, log_failure
from earmark.service.member import DeadMemberError, Member
from earmark.service.pipe import Message
from earmark.service.problems import RefusedError, refusal
from earmark.service.reply import Reply
from earmark.service.settings import Settings

__all__ = ["Crew", "Job"]

_LOG = logging.getLogger(LOGGER)
_PAUSES_SECONDS = (0.0, 1.0, 5.0, 30.0)  # before a worker is started that did not start; the last of them for ever


@dataclass(frozen=True, slots=True)
class Job:
    """Something to ask a worker.

    Parameters
    ----------
    task : str
        One of `earmark.service.jobs.TASKS`.
    model : str
        By the name in its card.
    sound : bytes or Path
        A recording, or the service's own file with it.
    options : Mapping
        Of the task, as JSON has them.
    """

    task: str
    model: str
    sound: bytes | Path
    options: Mapping[str, Any] = field(default_factory=dict)


class Crew:
    """Worker processes behind a bounded queue, for one event loop.

    Parameters
    ----------
    settings : Settings
        How many workers, their models and limits.
    folder : Path
        Private to the service; large answers lie there until they are sent.
    on_restart : callable
        Called when a worker is started in place of one that ended.
    """

    def __init__(self, settings: Settings, folder: Path, on_restart: Callable[[], None]) -> None:
        self._settings, self._limits = settings, settings.limits
        self._folder, self._on_restart = folder, on_restart
        self._members: set[Member] = set()  # of the present generation; older ones finish their job
        self._idle: deque[Member] = deque()
        self._waiting: dict[asyncio.Future[Member], bool] = {}  # by when they came, and whether they are patient
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers = count()
        self._busy = 0
        self._reloading = asyncio.Lock()
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether there is a worker with its models loaded."""
        return bool(self._members) and not self._closed

    @property
    def waiting(self) -> int:
        """How many jobs wait for a worker."""
        return len(self._waiting)

    @property
    def busy(self) -> int:
        """How many workers have a job."""
        return self._busy

    @property
    def ready_workers(self) -> int:
        """How many workers have loaded their models."""
        return len(self._members)

    @property
    def workers(self) -> int:
        """How many workers there shall be."""
        return self._settings.workers

    async def start(self) -> None:
        """Start the workers, and wait until they have loaded their models.

        Raises
        ------
        ModelError
            If one of them cannot.
        """
        for member in await self._recruits():
            self._enlist(member)

    async def reload(self) -> None:
        """Replace all workers by new ones, which load the models as they are on disk now; old ones finish their job.

        Raises
        ------
        ModelError
            If a new worker cannot load them; the old ones then stay.
        """
        async with self._reloading:
            recruits = await self._recruits()
            old, self._members = self._members, set()
            retired = [member for member in self._idle if member in old]
            self._idle.clear()
            for member in recruits:
                self._enlist(member)
            for member in retired:
                self._keep(member.dismiss())

    async def close(self) -> None:
        """End all workers; who still waits for one is refused."""
        self._closed = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(_ending())
        for task in self._tasks:
            task.cancel()
        members, self._members = self._members, set()
        await asyncio.gather(*self._tasks, *(member.dismiss() for member in members), return_exceptions=True)

    async def ask(self, job: Job, *, patient: bool = False) -> Reply:
        """Let a worker do a job.

        Parameters
        ----------
        job : Job
            What to do.
        patient : bool
            Whether to wait as long as it takes, rather than to be refused because many wait.

        Raises
        ------
        RefusedError
            If the queue is full; or the job cannot be done, takes too long or too much memory, or ends its worker.
        """
        try:
            return await self._attempt(job, patient=patient)
        except DeadMemberError as death:
            if death.by_itself:
                raise _crashed() from death
        try:  # it was killed from outside: that may be no fault of this recording
            return await self._attempt(job, patient=True)
        except DeadMemberError as death:
            raise _crashed() from death

    async def _attempt(self, job: Job, *, patient: bool) -> Reply:
        large = self._folder / f"answer-{next(self._answers)}"
        async with self._lent(large, patient=patient) as (member, deadline):
            head, body = await self._by(deadline, member, member.ask(_message(job, large), job.sound))
            return _reply(head, body)

    async def _by(self, deadline: float, member: Member, answer: Awaitable[Message]) -> Message:
        """Wait for an answer; end a worker that takes too long."""
        try:
            async with asyncio.timeout_at(deadline):
                return await answer
        except TimeoutError:
            member.kill()
            await member.join()  # until then it may write
            allowed = f"{self._limits.analysis_seconds:g} s"
            raise refusal("analysis_too_long", f"The analysis was stopped after {allowed}.") from None

    @asynccontextmanager
    async def _lent(self, large: Path, *, patient: bool) -> AsyncIterator[tuple[Member, float]]:
        """Lend a worker until a time of the loop; one whose borrower is cancelled comes back when it has finished.

        What it wrote to the file for a large answer goes, unless all went well.
        """
        member = await self._next_member(patient=patient)
        deadline = asyncio.get_running_loop().time() + self._limits.analysis_seconds
        self._busy += 1
        try:
            yield member, deadline
        except asyncio.CancelledError:
            self._keep(self._take_back(member, deadline, large))
            raise
        except BaseException:
            large.unlink(missing_ok=True)
            self._return(member)
            raise
        self._return(member)

    async def _take_back(self, member: Member, deadline: float, large: Path) -> None:
        """Wait for an answer that nobody wants any more, no longer than somebody would."""
        try:
            with suppress(RefusedError, DeadMemberError):
                await self._by(deadline, member, member.answer())
        finally:
            large.unlink(missing_ok=True)
        self._return(member)

    def _return(self, member: Member) -> None:
        self._busy -= 1
        self._release(member)

    def _release(self, member: Member) -> None:
        """Let a worker without a job have the next, if it shall have one."""
        if not member.is_ready:  # its end is noticed, and then it is replaced
            return
        if member in self._members:
            self._offer(member)
        else:  # of an older generation
            self._keep(member.dismiss())

    def _offer(self, member: Member) -> None:
        """Give a worker to who has waited longest, or let it be idle."""
        while self._waiting:
            waiting = next(iter(self._waiting))
            del self._waiting[waiting]
            if not waiting.done():
                waiting.set_result(member)
                return
        self._idle.append(member)

    async def _next_member(self, *, patient: bool) -> Member:
        """Return an idle worker, once there is one."""
        if self._closed:
            raise _ending()
        if self._idle:
            return self._idle.popleft()
        if not patient:
            self._check_queue()
        waiting: asyncio.Future[Member] = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = patient
        try:
            async with asyncio.timeout(None if patient else self._limits.analysis_seconds):
                return await waiting
        except (TimeoutError, asyncio.CancelledError) as stop:
            if waiting.done() and not (waiting.cancelled() or waiting.exception()):
                self._release(waiting.result())
            if isinstance(stop, asyncio.CancelledError):
                raise
            said = f"No worker was free within {self._limits.analysis_seconds:g} s."
            raise refusal("no_worker", said) from None
        finally:
            self._waiting.pop(waiting, None)

    def _check_queue(self) -> None:
        """Refuse a job if as many as may wait do; those of batches are patient and take nobody's place."""
        impatient = sum(not patient for patient in self._waiting.values())
        if impatient >= self._limits.queue:
            raise refusal("queue_full", f"All workers are busy and {impatient} recordings wait.")

    async def _recruits(self) -> list[Member]:
        """Start as many workers as there shall be, all or none."""
        recruits = [Member(self._settings, self._lose) for _ in range(self._settings.workers)]
        try:
            await asyncio.gather(*(member.start() for member in recruits))
        except BaseException:
            for member in recruits:
                member.kill()
            raise
        return recruits

    def _enlist(self, member: Member) -> None:
        self._members.add(member)
        if member.is_ready:
            self._offer(member)
        else:  # it has just ended
            self._lose(member)

    def _lose(self, member: Member) -> None:
        """Take a worker whose process has ended off the list, and start another in its place."""
        if member not in self._members:
            return
        self._members.remove(member)
        if member in self._idle:
            self._idle.remove(member)
        self._on_restart()
        self._keep(self._replace(member))

    async def _replace(self, lost: Member) -> None:
        await lost.join()
        _LOG.warning("a worker ended with status %s, another takes its place", lost.exit_status)
        for pause_seconds in chain(_PAUSES_SECONDS, repeat(_PAUSES_SECONDS[-1])):
            await asyncio.sleep(pause_seconds)
            member = Member(self._settings, self._lose)
            try:
                await member.start()
            except ModelError as error:
                _LOG.error("a worker does not start: %s", error)
                continue
            if len(self._members) < self._settings.workers:  # else a reload has filled the ranks
                self._enlist(member)
            else:
                await member.dismiss()
            return

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something be done beside, and hold on to it until it is."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _message(job: Job, large: Path) -> dict[str, Any]:
    return {"task": job.task, "model": job.model, "options": dict(job.options), "large": str(large)}


def _reply(head: Mapping[str, Any], body: bytes) -> Reply:
    if "error" in head:
        if "trace" in head:
            log_failure("a worker failed", head["trace"])
        raise refusal(head["error"], head["message"])
    return Reply(Path(head["file"]) if "file" in head else body, head["bytes"], head["media"], head["seconds"])


def _crashed() -> RefusedError:
    return refusal("analysis_crashed", "The process that analysed the recording ended before it answered.")


def _ending() -> RefusedError:
    return refusal("ending", "The service is ending.")
