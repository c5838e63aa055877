"""A service in a process of its own, as `earmark serve` runs it, and what can be asked of it from outside."""

import atexit
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

_MADE_READY = ["earmark.service.server", __name__]
"""What every service imports: with it imported, a process is forked, and another service costs a second less."""

_PROCESSES = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
if sys.platform != "win32":
    multiprocessing.set_forkserver_preload(_MADE_READY)

PATIENCE_SECONDS = 180.0
"""How long a test waits for what must happen, far longer than it takes on a busy machine."""


class ServiceProcess:
    """The front process of a service, with what tests need of `subprocess.Popen`."""

    def __init__(self, process: Any) -> None:
        self._process = process
        self.pid: int = process.pid

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""
        status: int | None = self._process.exitcode
        return status

    def wait(self, timeout: float = PATIENCE_SECONDS) -> int:
        """Wait until it has ended, and return how."""
        self._process.join(timeout)
        status = self.poll()
        assert status is not None, f"it has not ended within {timeout:g} s"
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


@dataclass
class Running:
    """A service that runs.

    Parameters
    ----------
    process : ServiceProcess or Popen
        The front process.
    url : str
        Such as ``http://127.0.0.1:8000``.
    log_file : Path
        What it says on standard error.
    token : str, optional
        What it asks for.
    """

    process: "ServiceProcess | subprocess.Popen[str]"
    url: str
    log_file: Path
    token: str | None = None

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self.log_file.read_text(encoding="utf-8")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def address(self, scheme: str, path: str) -> str:
        """Return the address of a route."""
        return f"{scheme}{self.url.removeprefix('http')}{path}"

    def metric(self, name: str) -> float:
        """Return a number of ``/metrics`` by its name, labels included; 0 before it was counted."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        lines = httpx.get(f"{self.url}/metrics", headers=headers).raise_for_status().text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name), 0.0)

    def wait_for(self, name: str, value: float) -> None:
        """Return once a number of ``/metrics`` is so."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (now := self.metric(name)) != value:
            assert time.monotonic() < end, f"{name} is {now} and not {value}:\n{self.log}"
            time.sleep(0.02)


@contextmanager
def serving(
    models: Sequence[Path],
    patience: Mapping[str, Any] | None = None,
    *,
    limits: Mapping[str, float] | None = None,
    **settings: Any,
) -> Iterator[Running]:
    """Run a service, end it, and see that its log tells of no mistake of its own.

    Parameters
    ----------
    models : sequence of Path
        The first is the default.
    patience : Mapping, optional
        Constants to replace, such as ``live.OPENING_SECONDS``, so that a test need not wait for them.
    limits, settings
        As of `Limits` and `Settings`.
    """
    chosen = {"models": tuple(str(model) for model in models), "workers": 1, **settings, "port": 0}
    mine, its = _PROCESSES.Pipe(duplex=False)
    with TemporaryDirectory() as folder, mine:
        log_file = Path(folder) / "log"
        log_file.touch()
        given = (log_file, dict(os.environ), its, chosen, dict(limits or {}), dict(patience or {}))
        started = _PROCESSES.Process(target=_serve, args=given)
        started.start()
        its.close()
        process = ServiceProcess(started)
        try:
            running = Running(process, _address(mine), log_file, settings.get("token"))
            assert running.url, running.log
            yield running
        finally:
            process.terminate()
            started.join(PATIENCE_SECONDS)
            process.kill()
        assert "Traceback" not in running.log, running.log


def _address(ready: Connection) -> str:
    """Return where a service is once it is ready, nothing if it ends before."""
    try:
        return str(ready.recv())
    except EOFError:
        return ""


def _serve(
    log_file: Path,
    variables: dict[str, str],
    ready: Connection,
    settings: dict[str, Any],
    limits: dict[str, float],
    patience: dict[str, Any],
) -> None:
    """Be a service, as a process that was started with these variables and this log."""
    from earmark.service.server import run
    from earmark.service.settings import Limits, Settings

    os.environ.clear()
    os.environ.update(variables)
    with log_file.open("w") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    for place, value in patience.items():
        module, constant = place.split(".")
        setattr(import_module(f"earmark.service.{module}"), constant, value)
    try:
        run(Settings(**settings, limits=Limits(**limits)), on_ready=ready.send)
    finally:
        atexit._run_exitfuncs()  # which Python leaves out in such processes
