"""The worker processes of a service, seen and treated from outside."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from tests.service.process import PATIENCE_SECONDS, Running


def workers_of(service: Running) -> list[psutil.Process]:
    """Return the worker processes of a service, which has a helper of Python's as well."""
    return [child for child in psutil.Process(service.process.pid).children() if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return any("spawn_main" in word for word in process.cmdline())
    except psutil.NoSuchProcess:  # it has just ended
        return False


def until(service: Running, condition: Callable[[], object]) -> None:
    """Return once something is so that a service makes so, as long as it runs; give up after some minutes."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert service.process.poll() is None, service.log
        assert time.monotonic() < end, service.log
        time.sleep(0.01)


@contextmanager
def held_up(service: Running) -> Iterator[list[psutil.Process]]:
    """Stop the workers, so that whatever they are asked takes for ever; then let them go on."""
    workers = workers_of(service)
    for worker in workers:
        worker.suspend()
    try:
        yield workers
    finally:
        for worker in workers:
            if worker.is_running():
                worker.resume()
