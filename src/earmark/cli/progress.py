"""How far a long job is: a bar on standard error, there only where somebody sits and waits."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

DELAY_SECONDS = 2.0
"""What is done sooner needs no bar."""

Item = TypeVar("Item")


class ProgressBar:
    """A bar that appears after `DELAY_SECONDS`, and only if standard error is a terminal; it erases itself.

    Parameters
    ----------
    describe : callable
        Gets how much is done, how much there is in all (None if unknown) and the seconds since the beginning, and
        returns the words beside the bar.
    total : int, optional
        How much there is in all, as far as it is known beforehand.
    """

    def __init__(self, describe: Callable[[int, int | None, float], str], total: int | None = None) -> None:
        self._describe, self._total, self._done = describe, total, 0
        self._began = time.monotonic()
        self._timer = threading.Timer(DELAY_SECONDS, self._show)
        self._timer.daemon = True
        self._lock = threading.Lock()  # the bar appears in the timer's thread
        self._bar: Any = None

    def __enter__(self) -> Self:
        if sys.stderr is not None and sys.stderr.isatty():
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def update(self, done: int, total: int | None) -> None:
        """Say how much is done."""
        with self._lock:
            self._done, self._total = done, total
            self._refresh()

    def count(self, items: Iterable[Item], *, until_first: bool) -> Iterator[Item]:
        """Pass items on and count them; `until_first` takes the bar away at the first, for items on view."""
        for done, item in enumerate(items, start=1):
            if until_first:
                self.close()
            else:
                self.update(done, self._total)
            yield item

    def close(self) -> None:
        """Take the bar away for good."""
        self._timer.cancel()
        with self._lock:
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

        with self._lock:
            if self._timer.finished.is_set():
                return  # cancelled while rich was loading
            columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task("", total=None)
            self._refresh()
            self._bar.start()

    def _refresh(self) -> None:
        if self._bar is not None:
            words = self._describe(self._done, self._total, time.monotonic() - self._began)
            self._bar.update(self._bar.task_ids[0], completed=self._done, total=self._total, description=words)


def count_files(done: int, total: int | None, seconds: float) -> str:
    """Return such as ``120 of 2000 files, 31.2 a second``; of one file nobody knows how much is done."""
    return "analysing" if total is None else f"{done} of {total} files, {done / seconds:.1f} a second"


def count_bytes(done: int, total: int | None, seconds: float) -> str:
    """Return such as ``2.1 of 4.1 MB, 0.8 MB a second``."""
    whole = "" if total is None else f" of {total / 1e6:.1f}"
    return f"{done / 1e6:.1f}{whole} MB, {done / 1e6 / seconds:.1f} MB a second"
