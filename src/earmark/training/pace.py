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
    to_the_end : bool
        Whether the last of them is told too, however soon it comes.
    """

    def __init__(
        self, report: Callable[[str], None], doing: str, things: str = "clips", *, to_the_end: bool = False
    ) -> None:
        self._report, self._doing, self._things, self._to_the_end = report, doing, things, to_the_end
        self._last = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        """Say how many are done, of how many."""
        now = time.monotonic()
        if now - self._last >= REPORT_EVERY_SECONDS or (self._to_the_end and done == total):
            whole = "" if total is None else f" of {total:,}"
            self._report(f"{self._doing} {done:,}{whole} {self._things}")
            self._last = now
