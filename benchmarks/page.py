"""Pages that show figures: blocks between markers, each of which names its benchmarks and is filled by a command."""

import re
from collections.abc import Callable
from pathlib import Path

BEGIN, END = "<!-- benchmarks:begin", "<!-- benchmarks:end -->"
_BLOCK = re.compile(rf"{BEGIN}(?P<names>(?: [a-z]+)*) -->\n.*?{END}", re.DOTALL)


def blocks(page: Path) -> list[list[str]]:
    """Return the names of the benchmarks of each block of a page; none if there is no page.

    Raises
    ------
    ValueError
        If a marker stands alone, or names nothing.
    """
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    found = [match["names"].split() for match in _BLOCK.finditer(text)]
    if not text.count(BEGIN) == text.count(END) == len(found) or not all(found):
        raise ValueError(f"a block of {page} begins with {BEGIN} NAME NAME --> and ends with {END}; put both there")
    return found


def fill(page: Path, done: set[str], table: Callable[[list[str]], str]) -> None:
    """Put tables into the blocks of a page whose benchmarks are all done; the others stay as they are.

    Parameters
    ----------
    page : Path
        Markdown.
    done : set of str
        Names of benchmarks.
    table : callable
        Returns the Markdown of some benchmarks.
    """

    def filled(match: re.Match[str]) -> str:
        names = match["names"].split()
        return f"{BEGIN} {' '.join(names)} -->\n\n{table(names)}\n\n{END}" if done.issuperset(names) else match[0]

    page.write_text(_BLOCK.sub(filled, page.read_text(encoding="utf-8")), encoding="utf-8")
