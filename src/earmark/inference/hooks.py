"""What may happen on an event: a command runs, an address gets a message. `HookRunner` sees to it that nobody waits."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import IO, Any, Protocol, TypeAlias

from earmark.errors import OptionError

__all__ = ["Call", "CommandHook", "Hook", "WebhookHook"]

TIMEOUT_SECONDS = 10.0
"""How long one run of a command, or one answer to a webhook, may take."""

ATTEMPTS = 3
BACK_OFF_SECONDS = 0.5
"""A webhook's first pause before it tries again; each further one is twice as long."""

_MOST_BYTES = 1 << 16  # of what one run of a command prints, shown

ENVIRONMENT_PREFIX = "EARMARK_EVENT_"

Call: TypeAlias = Mapping[str, Any]
"""A change of an event, ready for JSON: ``kind``, ``label``, ``id``, ``onset``, ``offset``, ``score``; and, from
`earmark listen`, ``time`` and ``source``."""


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
    EARMARK_EVENT_LABEL and so on. If it fails, the last line of its errors is told.

    Parameters
    ----------
    command : str
        Split into words as a POSIX shell would.
    timeout_seconds : float
        After so long it is killed, with all that it started.
    show : callable, optional
        Takes what each run printed, once it has ended.

    Raises
    ------
    OptionError
        If the words cannot be told apart, or the first is no program.
    """

    def __init__(
        self,
        command: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        show: Callable[[str], None] | None = None,
    ) -> None:
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
        self._timeout_seconds, self._show = timeout_seconds, show
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._aborted = False

    def run(self, call: Call) -> str | None:
        """Run the command once; see `Hook.run`."""
        # Files, not pipes: a process that the command leaves behind would hold a pipe open.
        with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors:
            try:
                process = self._start(call, printed, errors)
            except OSError as error:
                return f"could not be run: {error.strerror}"
            if process is None:
                return "not run: too late"
            problem = self._wait(process, call)
            said = _text(printed)
            if said and self._show is not None:
                self._show(said)
            return ": ".join([problem, *_text(errors).strip().splitlines()[-1:]]) if problem else None

    def _wait(self, process: subprocess.Popen[bytes], call: Call) -> str | None:
        """Hand over the call and wait for the end; return what went wrong, or None."""
        try:
            process.communicate(json.dumps(call).encode(), timeout=self._timeout_seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.communicate()
            return f"killed after {self._timeout_seconds:g} s"
        return f"exit status {process.returncode}" if process.returncode else None

    def _start(self, call: Call, printed: IO[bytes], errors: IO[bytes]) -> subprocess.Popen[bytes] | None:
        """Start the command, unless it was aborted."""
        variables = {f"{ENVIRONMENT_PREFIX}{key.upper()}": str(value) for key, value in call.items()}
        with self._lock:
            if self._aborted:
                return None
            self._process = subprocess.Popen(  # noqa: S603 - the user's own command
                self._words,
                stdin=subprocess.PIPE,
                stdout=printed,
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
            raise OptionError(
                f"webhook: {url!r} is no address; give one such as http://localhost:8080/events, or https://"
            )
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


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """Leaves a 3xx answer as it is, which makes it an HTTPError."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _text(file: IO[bytes]) -> str:
    """Return what a command wrote into a file, as far as anybody will read it."""
    file.seek(0)
    return file.read(_MOST_BYTES).decode(errors="replace")


def _host(url: str) -> str | None:
    """Return host and port of an address that can be posted to as it stands, None for any other."""
    try:
        parts = urllib.parse.urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc
    return parts.netloc if has_host and plain and parts.scheme in ("http", "https") else None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and, where the system knows groups, all that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has just ended by itself
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()  # pragma: no cover - Windows
