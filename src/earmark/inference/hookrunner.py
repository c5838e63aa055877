"""Calling hooks beside the listening, which never waits for one.

Every hook has a queue and a thread of its own. A full queue drops the newest call; what was dropped, what failed and
what was left at the end is counted and said.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from earmark.inference.hooks import Call, Hook

__all__ = ["HookCounts", "HookRunner"]

QUEUE_CALLS = 64
"""How many calls may wait for one hook."""

FINISH_SECONDS = 10.0
"""How long the calls that are still queued may take at the end."""

REPORT_SECONDS = 10.0
"""Failures of one hook are reported at most this often."""


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
    """Hands every call to every hook.

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

    def wait(self, timeout_seconds: float) -> int:
        """Take no more calls, wait for those queued, but no longer than this, and return how many are still to do."""
        deadline = time.monotonic() + timeout_seconds
        return sum(worker.wait(deadline) for worker in self._workers)

    def finish(self, timeout_seconds: float = FINISH_SECONDS) -> HookCounts:
        """Wait as `wait` does, give up what is then still to do, and return what became of all calls."""
        try:
            self.wait(timeout_seconds)
        finally:  # also where Ctrl-C ends the waiting
            for worker in self._workers:
                worker.give_up()
        return self.counts


class _Worker:
    """The queue and the thread of one hook."""

    def __init__(self, hook: Hook, report: Callable[[str], None], queue_calls: int) -> None:
        self._hook, self._report, self._queue_calls = hook, report, queue_calls
        self._calls: deque[Call] = deque()
        self._news = threading.Condition()
        self._finishing = self._given_up = self._busy = False
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

    def wait(self, deadline: float) -> int:
        with self._news:
            self._finishing = True
            self._news.notify()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._news:
            return len(self._calls) + self._busy

    def give_up(self) -> None:
        with self._news:
            self._given_up = True
            self._left = len(self._calls) + self._busy
            self._calls.clear()
        self._hook.abort()

    def _work(self) -> None:
        while (call := self._next()) is not None:
            problem = self._hook.run(call)
            with self._news:
                if self._given_up:
                    return  # this call was counted as left
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
