"""One line of the table of figures: what was measured, beside what, and what was to be reached."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit.

    Parameters
    ----------
    value : float
    unit : str
        Such as ``ms``, ``%`` or ``× real time``.
    """

    value: float
    unit: str

    def __str__(self) -> str:
        digits = f"{self.value:,.0f}" if abs(self.value) >= 1000 else f"{self.value:.4g}"
        return f"{digits} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure to reach.

    Parameters
    ----------
    limit : float
        In the unit of what it limits.
    of : {"ours", "ratio"}
        Whether it limits earmark's own number or its ratio to the peer's.
    at_most : bool
        Whether less is better.
    """

    limit: float
    of: Literal["ours", "ratio"] = "ours"
    at_most: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was measured.

    Parameters
    ----------
    what : str
        In a few words.
    ours : Quantity
        Earmark's number.
    against : str
        The peer; empty where there is none.
    peer : Quantity, optional
        The peer's number, of the same unit.
    goal : Goal, optional
        None for a row that only informs.
    note : str
        What a reader should know besides.
    """

    what: str
    ours: Quantity
    against: str = ""
    peer: Quantity | None = None
    goal: Goal | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Earmark's number divided by the peer's."""
        return None if self.peer is None else self.ours.value / self.peer.value

    @property
    def reached(self) -> bool | None:
        """Whether the goal was reached; None without one."""
        if self.goal is None:
            return None
        measured = self._measured(self.goal)
        return measured <= self.goal.limit if self.goal.at_most else measured >= self.goal.limit

    def goal_text(self) -> str:
        """Return the goal as in ``≥ 2×`` or ``≤ 30 ms``; empty without one."""
        if self.goal is None:
            return ""
        sign = "≤" if self.goal.at_most else "≥"
        return f"{sign} {self.goal.limit:g}×" if self.goal.of == "ratio" else f"{sign} {self._limit(self.goal)}"

    def _limit(self, goal: Goal) -> Quantity:
        return Quantity(goal.limit, self.ours.unit)

    def _measured(self, goal: Goal) -> float:
        if goal.of == "ours":
            return self.ours.value
        assert self.ratio is not None, f"{self.what}: a goal for the ratio needs a peer's number"
        return self.ratio
