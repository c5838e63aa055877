"""The table of figures, for a terminal, a page and a program."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from benchmarks.row import Row

COLUMNS = ("", "earmark", "against", "its figure", "ratio", "to reach", "reached")
_REACHED = {True: "yes", False: "no", None: ""}


@dataclass(slots=True)
class Report:
    """Rows by group, and where and when they were measured.

    Parameters
    ----------
    quick : bool
        Whether the run was a short one, whose figures mean little.
    groups : dict of str to list of Row
        In the order of measuring, by the group's title.
    """

    quick: bool = False
    groups: dict[str, list[Row]] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=describe_machine)
    day: str = field(default_factory=lambda: date.today().isoformat())

    def heading(self) -> str:
        """Return when and on what the figures were measured, as one sentence."""
        short = " A quick run on little data: the figures mean little." if self.quick else ""
        return f"Measured on {self.day}: {', '.join(f'{key} {value}' for key, value in self.machine.items())}.{short}"

    def only(self, titles: Iterable[str]) -> "Report":
        """Return the report of some groups."""
        return replace(self, groups={title: self.groups[title] for title in titles})

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready data."""
        rows = {title: [_row_dict(row) for row in rows] for title, rows in self.groups.items()}
        return {"date": self.day, "machine": self.machine, "quick": self.quick, "groups": rows}

    def to_markdown(self) -> str:
        """Return the table as Markdown, with the notes below it."""
        lines = [self.heading(), "", _line(COLUMNS), _line(["---"] * len(COLUMNS))]
        for title, rows in self.groups.items():
            lines.append(_line([f"**{title}**", *[""] * (len(COLUMNS) - 1)]))
            lines += [_line(_cells(row)) for row in rows]
        notes = [f"- {title}, {row.what}: {row.note}" for title, row in self._noted()]
        return "\n".join([*lines, *(["", "Notes:", "", *notes] if notes else [])])

    def print_table(self, console: Console) -> None:
        """Print the table on a terminal."""
        for title, rows in self.groups.items():
            table = Table(*COLUMNS, title=title, title_justify="left", title_style="bold", expand=True)
            for row in rows:
                style = {True: "green", False: "red", None: ""}[row.reached]
                table.add_row(*_cells(row)[:-1], f"[{style}]{_REACHED[row.reached]}" if style else "")
            console.print(table)
        for title, row in self._noted():
            console.print(f"{title}, {row.what}: {row.note}", highlight=False)
        console.print(self.heading(), highlight=False)

    def _noted(self) -> Iterator[tuple[str, Row]]:
        return ((title, row) for title, rows in self.groups.items() for row in rows if row.note)


def _row_dict(row: Row) -> dict[str, Any]:
    return {**asdict(row), "ratio": row.ratio, "reached": row.reached}


def _cells(row: Row) -> list[str]:
    ratio = "" if row.ratio is None else f"{row.ratio:.3g}×"
    peer = "" if row.peer is None else str(row.peer)
    return [row.what, str(row.ours), row.against, peer, ratio, row.goal_text(), _REACHED[row.reached]]


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"
