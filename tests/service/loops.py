"""An event loop for tests that need one of their own."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Given = TypeVar("_Given")


def run_apart(work: Coroutine[Any, Any, _Given]) -> _Given:
    """Return what a coroutine gives, run in another thread: a browser that other tests have open keeps a loop here."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()
