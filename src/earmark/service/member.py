"""One worker process as the front process sees it: started, asked, killed, missed."""

import asyncio
import atexit
import multiprocessing
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from earmark.errors import ModelError
from earmark.service.jobs import Bounds
from earmark.service.pipe import Message, Pipe
from earmark.service.settings import Settings
from earmark.service.worker import work

__all__ = ["DeadMemberError", "Member"]

_PATIENCE_SECONDS = 5.0
_FAULTS = {
    -getattr(signal, name)
    for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS")
    if hasattr(signal, name)
}


class DeadMemberError(Exception):
    """The process ended before it answered.

    Attributes
    ----------
    by_itself : bool
        Whether it crashed, rather than was killed by somebody else.
    """

    def __init__(self, *, by_itself: bool) -> None:
        super().__init__("the worker process ended")
        self.by_itself = by_itself


class Member:
    """A worker process and the pipe to it; made inside the event loop.

    Parameters
    ----------
    settings : Settings
        Its models, and what a job may take.
    on_end : callable
        Called with the member once its process has ended, whatever the reason, if it was ready before.
    """

    def __init__(self, settings: Settings, on_end: "Callable[[Member], None]") -> None:
        self._settings, self._on_end = settings, on_end
        self._ready = self._doomed = False
        self._pipe = Pipe(self._ended)
        self._process: Any = None
        self._joining: asyncio.Future[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it has loaded its models and can be asked."""
        return self._ready and not self._doomed

    @property
    def exit_status(self) -> int | None:
        """How its process ended, a signal as a negative number; None while it runs."""
        status: int | None = self._process.exitcode
        return status

    async def start(self) -> None:
        """Start the process and wait until it has loaded its models.

        Raises
        ------
        ModelError
            If it cannot load them, or ends before, or the system lets no process start.
        """
        own = self._launch()
        own.setblocking(False)
        await asyncio.get_running_loop().create_connection(lambda: self._pipe, sock=own)
        try:
            head, _ = await self._pipe.receive()
        except EOFError:
            raise ModelError("a worker process ended while it loaded its models") from None
        except asyncio.CancelledError:
            self.kill()
            raise
        if "failed" in head:
            raise ModelError(head["failed"])
        self._ready = True

    def _launch(self) -> socket.socket:
        """Start the process; return the front's end of the pipe to it."""
        try:
            own, its = socket.socketpair()
            with its:
                self._process = self._started(its)
        except OSError as error:  # the system is out of processes, memory or files
            raise ModelError(f"a worker process cannot be started: {error.strerror}") from error
        atexit.register(self.kill)  # it heeds no other signal, and who ends would wait for it
        return own

    def _started(self, end: socket.socket) -> Any:
        settings, limits = self._settings, self._settings.limits
        bounds = Bounds(limits.sound_seconds)
        process = multiprocessing.get_context("spawn").Process(
            target=work,
            args=(end, settings.models, settings.threads, bounds, limits.worker_memory_bytes),
            name="earmark worker",
            daemon=True,
        )
        process.start()
        return process

    async def ask(self, head: Mapping[str, Any], sound: bytes | Path) -> Message:
        """Hand over a job, and return the head and the body of the answer.

        Raises
        ------
        DeadMemberError
            If the process ends before it answers.
        """
        with suppress(EOFError):  # which `answer` raises as well
            if isinstance(sound, Path):
                self._pipe.send({**head, "file": str(sound)})
            else:
                self._pipe.send(head, sound)
        return await self.answer()

    async def answer(self) -> Message:
        """Return the answer to what was asked, for those who were cancelled in `ask`."""
        try:
            return await self._pipe.receive()
        except EOFError:
            await self.join()
            status = self.exit_status
            by_itself = status is not None and (status >= 0 or status in _FAULTS)
            raise DeadMemberError(by_itself=by_itself) from None

    def kill(self) -> None:
        """End the process at once."""
        self._doomed = True
        if self._process is not None:
            self._process.kill()

    async def dismiss(self) -> None:
        """End the process, which has no job or whose job is not wanted any more."""
        self._doomed = True
        self._pipe.close()
        await self.join()

    async def join(self) -> None:
        """Wait until the process has ended, and end one that does not."""
        if self._joining is None:  # the system tells only one who asks how a process ended
            self._joining = asyncio.ensure_future(asyncio.to_thread(self._process.join, _PATIENCE_SECONDS))
        await asyncio.shield(self._joining)
        self.kill()

    def _ended(self) -> None:
        atexit.unregister(self.kill)
        if self._ready:
            self._ready = False
            self._on_end(self)
