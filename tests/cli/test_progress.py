"""The bar: for people who wait at a terminal, and for nobody else."""

import io
import sys
import time

import pytest

from earmark.cli import progress
from earmark.cli.progress import ProgressBar, count_bytes, count_files


class Terminal(io.StringIO):
    """A terminal that remembers what it showed."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0.05)
    monkeypatch.setenv("TERM", "xterm-256color")


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal in the place of standard error; in the test itself, or pytest puts its own there again."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def wait_for(words: str, terminal: Terminal) -> bool:
    deadline = time.monotonic() + 20
    while words not in terminal.getvalue() and time.monotonic() < deadline:
        time.sleep(0.02)
    return words in terminal.getvalue()


def test_bar_counts_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    with ProgressBar(count_files, total=3) as bar:
        for item in bar.count("abc", until_first=False):
            if item == "b":
                assert wait_for("2 of 3 files", terminal)
    assert terminal.getvalue().endswith(("\x1b[2K", "\x1b[?25h"))  # the line is erased, the cursor is back


def test_bar_goes_when_results_appear(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    with ProgressBar(count_files) as bar:
        assert wait_for("analysing", terminal)
        shown = [(item, len(terminal.getvalue())) for item in bar.count("abc", until_first=True)]
    assert shown[0][1] == shown[2][1] == len(terminal.getvalue())


def test_quick_work_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    with ProgressBar(count_files, total=1) as bar:
        assert list(bar.count("a", until_first=False)) == ["a"]
    time.sleep(0.1)
    assert terminal.getvalue() == ""


def test_no_bar_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    with ProgressBar(count_files, total=1) as bar:
        time.sleep(0.1)
        bar.update(1, 1)
    assert log.getvalue() == ""


def test_words_beside_the_bar() -> None:
    assert count_files(120, 2000, 4.0) == "120 of 2000 files, 30.0 a second"
    assert count_bytes(2_100_000, 4_126_810, 3.0) == "2.1 of 4.1 MB, 0.7 MB a second"
    assert count_bytes(2_100_000, None, 3.0) == "2.1 MB, 0.7 MB a second"
