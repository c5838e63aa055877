"""Running the command line: in a process of its own, as people do, or in this one where that is enough."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from earmark.cli.app import app

PROGRAM = [sys.executable, "-m", "earmark"]


@dataclass(frozen=True)
class Done:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """What was printed as JSON Lines; anything else among it fails."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaints(self) -> list[str]:
        """The lines of standard error, each of which is earmark's."""
        lines = self.err.splitlines()
        assert all(line.startswith("earmark: ") for line in lines), self.err
        return [line.removeprefix("earmark: ") for line in lines]


def earmark(*words: str | Path, cwd: Path, stdin: bytes = b"", encoding: str = "utf-8") -> Done:
    """Run a command in a process of its own, on a terminal of that encoding."""
    done = subprocess.run(
        [*PROGRAM, *map(str, words)],
        check=False,
        capture_output=True,
        cwd=cwd,
        input=stdin,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        timeout=120,
    )
    return Done(done.returncode, *(printed.decode("utf-8", "replace") for printed in (done.stdout, done.stderr)))


class Here:
    """Runs commands in this process."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *words: str | Path) -> Done:
        with pytest.raises(SystemExit) as stop:
            app([str(word) for word in words], prog_name="earmark")
        printed = self._capture.readouterr()
        assert isinstance(stop.value.code, int)
        return Done(stop.value.code, printed.out, printed.err)
