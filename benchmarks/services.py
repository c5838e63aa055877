"""Services under load: earmark's and the plain one, each in processes of its own, and what loads them."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from benchmarks.bench import Bench
from benchmarks.peers import WEIGHTS_VARIABLE
from benchmarks.timing import earmark_command

WORKERS = 2
_START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Service:
    """A service that answers.

    Parameters
    ----------
    process : psutil.Process
        The one that was started; others may be its children.
    port : int
        On 127.0.0.1.
    """

    process: psutil.Process
    port: int

    def memory_bytes(self) -> int:
        """Return what its processes have for themselves, shared libraries apart."""
        return sum(process.memory_full_info().uss for process in (self.process, *self.process.children(recursive=True)))

    def restarts(self) -> int:
        """Return how many of earmark's workers had to be replaced."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return int(float(next(line for line in lines if line.startswith("earmark_worker_restarts_total")).split()[-1]))


@contextmanager
def earmark_service(bench: Bench, *models: str) -> Iterator[Service]:
    """Run `earmark serve`, as it is by default but for its models."""
    options = [word for model in models for word in ("--model", model)]
    command = [earmark_command(), "serve", *options, "--workers", str(WORKERS)]
    with _running(bench, command, "/readyz") as service:
        yield service


@contextmanager
def plain_service(bench: Bench, processes: int) -> Iterator[Service]:
    """Run the service of `plainservice.py` in so many processes."""
    command = [sys.executable, "-m", "uvicorn", "benchmarks.plainservice:app", "--workers", str(processes)]
    weights = {WEIGHTS_VARIABLE: str(bench.published_weights("yamnet-int8"))}
    with _running(bench, command, "/openapi.json", weights) as service:
        yield service


@contextmanager
def _running(
    bench: Bench, command: Sequence[str], ready_path: str, variables: Mapping[str, str] | None = None
) -> Iterator[Service]:
    port, environment = _free_port(), os.environ | dict(variables or {})
    with (bench.folder / f"service-{port}.log").open("w") as log:
        command = [*command, "--port", str(port)]
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, stdout=log, env=environment)
        try:
            _await(f"http://127.0.0.1:{port}{ready_path}", started, log.name)
            yield Service(psutil.Process(started.pid), port)
        finally:
            started.terminate()
            started.wait()


def load(module: str, plan: dict[str, Any]) -> dict[str, Any]:
    """Let a module of this package load a service, in a process of its own, and return what it took down.

    Raises
    ------
    RuntimeError
        If it fails, with what it said.
    """
    command = [sys.executable, "-m", f"benchmarks.{module}", json.dumps(plan)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"{module} failed: {done.stderr.strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(url: str, started: "subprocess.Popen[bytes]", log: str) -> None:
    """Return once the service answers."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urlopen(url, timeout=10):
                return
        except (URLError, ConnectionError, TimeoutError):
            if started.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{started.args} does not answer; see {log}") from None
            time.sleep(0.05)
