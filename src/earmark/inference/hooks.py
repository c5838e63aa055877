"""What happens on an event: a command runs, an address gets a message; listening never waits for either.

Every hook has a queue and a thread of its own. A full queue drops the newest call; what was dropped, what failed and
what was left at the end is counted and said.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import IO, Any, Protocol, Self

from earmark.errors import OptionError

__all__ = ["CommandHook", "Hook", "HookCounts", "HookRunner", "WebhookHook"]

QUEUE_CALLS = 64
"""How many calls may wait for one hook."""

TIMEOUT_SECONDS = 10.0
"""How long one run of a command, or one answer to a webhook, may take."""

ATTEMPTS = 3
BACK_OFF_SECONDS = 0.5
"""A webhook's first pause before it tries again; each further one is twice as long."""

REPORT_SECONDS = 10.0
"""Failures of one hook are reported at most this often."""

ENVIRONMENT_PREFIX = "EARMARK_EVENT_"

Call = Mapping[str, Any]
"""A change of an event, ready for JSON: ``kind``, ``label``, ``id``, ``onset``, ``offset``, ``score``."""


class Hook(Protocol):
    """Something to do on an event; used from one thread, aborted from another."""

    name: str

    def run(self, call: Call) -> str | None:
        """Do it, and return what went wrong in words, or None."""
        ...  # pragma: no cover - a protocol

    def abort(self) -> None:
        """Give up what is under way, and do not try again."""
        ...  # pragma: no cover - a protocol


class CommandHook:
    """Runs a command, without a shell.

    It finds the call as JSON on its standard input, and each part in its environment: EARMARK_EVENT_KIND,
    EARMARK_EVENT_LABEL and so on. What it prints is not shown; the last line of its errors is, if it fails.

    Parameters
    ----------
    command : str
        Split into words as a POSIX shell would.
    timeout_seconds : float
        After so long it is killed, with all that it started.

    Raises
    ------
    OptionError
        If the words cannot be told apart, or the first is no program.
    """

    def __init__(self, command: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise OptionError(f"exec: the command {command!r} cannot be split ({error}); close its quotes") from error
        if not self._words or shutil.which(self._words[0]) is None:
            raise OptionError(
                f"exec: no program {' '.join(self._words[:1])!r} in the command {command!r}; "
                "give a program on the PATH and its arguments, or sh -c '...' for a shell"
            )
        self.name = f"exec {self._words[0]}"
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._aborted = False

    def run(self, call: Call) -> str | None:
        """Run the command once; see `Hook.run`."""
        # A file, not a pipe: a process that the command leaves behind would hold a pipe open.
        with tempfile.TemporaryFile() as errors:
            try:
                process = self._start(call, errors)
                process.communicate(json.dumps(call).encode(), timeout=self._timeout_seconds)
            except subprocess.TimeoutExpired:
                _kill(process)
                process.communicate()
                return f"killed after {self._timeout_seconds:g} s"
            except OSError as error:
                return f"could not be run: {error.strerror}"
            if process.returncode == 0:
                return None
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            return ": ".join([f"exit status {process.returncode}", *said])

    def _start(self, call: Call, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        variables = {f"{ENVIRONMENT_PREFIX}{key.upper()}": str(value) for key, value in call.items()}
        with self._lock:
            if self._aborted:
                raise OSError(0, "too late")
            self._process = subprocess.Popen(  # noqa: S603 - the user's own command
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, **variables},
                start_new_session=True,  # Ctrl-C is for earmark, which then waits for it
            )
            return self._process

    def abort(self) -> None:
        """Kill the command if it is running; see `Hook.abort`."""
        with self._lock:
            self._aborted = True
            if self._process is not None and self._process.poll() is None:
                _kill(self._process)


class WebhookHook:
    """Posts the call as JSON to an address, and tries again where that may help.

    A refused connection, a timeout, and the answers 408, 429 and 5xx are tried again, with growing pauses. Any other
    answer but 2xx is final. Redirections are not followed: a POST would turn into a GET on the way.

    Parameters
    ----------
    url : str
        ``http://`` or ``https://``.
    timeout_seconds : float
        For each attempt.
    attempts : int
        In all, at least 1.
    back_off_seconds : float
        First pause.

    Raises
    ------
    OptionError
        For any other address.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        attempts: int = ATTEMPTS,
        back_off_seconds: float = BACK_OFF_SECONDS,
    ) -> None:
        host = _host(url)
        if host is None:
            raise OptionError(f"webhook: {url!r} is no address; give one that begins with http:// or https://")
        self.name = f"webhook {host}"
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._attempts = attempts
        self._back_off_seconds = back_off_seconds
        self._opener = urllib.request.build_opener(_NoRedirection)
        self._aborted = threading.Event()

    def run(self, call: Call) -> str | None:
        """Post the call; see `Hook.run`."""
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url, json.dumps(call).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        problem, again = self._post(request)
        for attempt in range(1, self._attempts):
            if not again or self._aborted.wait(self._back_off_seconds * 2 ** (attempt - 1)):
                break
            problem, again = self._post(request)
        return problem

    def _post(self, request: urllib.request.Request) -> tuple[str | None, bool]:
        """Return what went wrong, or None, and whether it may go right another time."""
        try:
            with self._opener.open(request, timeout=self._timeout_seconds):
                return None, False
        except urllib.error.HTTPError as error:
            error.close()
            return f"answered {error.code} {error.reason}", error.code in (408, 429) or error.code >= 500
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            return f"no answer: {reason}", True

    def abort(self) -> None:
        """Do not try again; see `Hook.abort`."""
        self._aborted.set()


@dataclass(frozen=True, slots=True)
class HookCounts:
    """What became of the calls.

    Parameters
    ----------
    done, failed : int
        Calls that went well, and that did not.
    dropped : int
        Calls that found the queue full.
    left : int
        Calls that were still waiting, or under way, when time was up.
    """

    done: int = 0
    failed: int = 0
    dropped: int = 0
    left: int = 0

    def __add__(self, other: Self) -> "HookCounts":
        return HookCounts(
            self.done + other.done, self.failed + other.failed, self.dropped + other.dropped, self.left + other.left
        )


class HookRunner:
    """Calls hooks beside the listening.

    Parameters
    ----------
    hooks : sequence of Hook
        Each gets every call, in order.
    report : callable
        Takes one line of text when something went wrong; called from the hooks' threads.
    queue_calls : int
        How many calls may wait for each.
    """

    def __init__(self, hooks: Sequence[Hook], report: Callable[[str], None], *, queue_calls: int = QUEUE_CALLS) -> None:
        self._workers = [_Worker(hook, report, queue_calls) for hook in hooks]

    def submit(self, call: Call) -> None:
        """Hand a call to every hook and return at once."""
        for worker in self._workers:
            worker.submit(call)

    @property
    def counts(self) -> HookCounts:
        """The calls so far, of all hooks together."""
        return sum((worker.counts() for worker in self._workers), HookCounts())

    def finish(self, timeout_seconds: float = TIMEOUT_SECONDS) -> HookCounts:
        """Wait for the calls that are queued, but no longer than `timeout_seconds`, and return what became of all."""
        deadline = time.monotonic() + timeout_seconds
        for worker in self._workers:
            worker.finish(deadline)
        return self.counts


class _Worker:
    """The queue and the thread of one hook."""

    def __init__(self, hook: Hook, report: Callable[[str], None], queue_calls: int) -> None:
        self._hook, self._report, self._queue_calls = hook, report, queue_calls
        self._calls: deque[Call] = deque()
        self._news = threading.Condition()
        self._finishing = self._busy = False
        self._done = self._failed = self._dropped = self._left = 0
        self._unreported, self._next_report = 0, 0.0
        self._thread = threading.Thread(target=self._work, name=f"earmark {hook.name}", daemon=True)
        self._thread.start()

    def submit(self, call: Call) -> None:
        with self._news:
            if len(self._calls) >= self._queue_calls:
                self._dropped += 1
            else:
                self._calls.append(call)
                self._news.notify()

    def counts(self) -> HookCounts:
        with self._news:
            return HookCounts(self._done, self._failed, self._dropped, self._left)

    def finish(self, deadline: float) -> None:
        with self._news:
            self._finishing = True
            self._news.notify()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._news:
            self._left += len(self._calls) + self._busy
            self._calls.clear()
        self._hook.abort()

    def _work(self) -> None:
        while (call := self._next()) is not None:
            problem = self._hook.run(call)
            with self._news:
                self._busy = False
                self._done += problem is None
                self._failed += problem is not None
            if problem is not None:
                self._tell(problem)

    def _next(self) -> Call | None:
        with self._news:
            self._news.wait_for(lambda: self._calls or self._finishing)
            if not self._calls:
                return None
            self._busy = True
            return self._calls.popleft()

    def _tell(self, problem: str) -> None:
        self._unreported += 1
        if time.monotonic() < self._next_report:
            return
        more = f" ({self._unreported - 1} more failures since the last report)" if self._unreported > 1 else ""
        self._report(f"{self._hook.name}: {problem}{more}")
        self._unreported, self._next_report = 0, time.monotonic() + REPORT_SECONDS


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """Leaves a 3xx answer as it is, which makes it an HTTPError."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _host(url: str) -> str | None:
    """Return the host and port of an http or https address, without a user's name and password; None for any other."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return None
    return f"{parts.hostname}{port}" if parts.scheme in ("http", "https") and parts.hostname else None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and, where the system knows groups, all that it started."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()  # pragma: no cover - Windows
