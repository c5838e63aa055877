"""Counting for people: a line of progress now and then, not one for each clip."""

import time
from collections.abc import Callable

REPORT_EVERY_SECONDS = 2.0


class Pace:
    """Reports how much is done, every two seconds at most; what is done sooner is not worth a line.

    Parameters
    ----------
    report : callable
        Takes a line.
    doing : str
        What is done, such as ``decoded``.
    things : str
        To what, in the plural.
    """

    def __init__(self, report: Callable[[str], None], doing: str, things: str = "clips") -> None:
        self._report, self._doing, self._things = report, doing, things
        self._last = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        """Say how many are done, of how many."""
        now = time.monotonic()
        if now - self._last >= REPORT_EVERY_SECONDS:
            whole = "" if total is None else f" of {total:,}"
            self._report(f"{self._doing} {done:,}{whole} {self._things}")
            self._last = now
