"""A service in a process of its own, as `earmark serve` runs it, and what can be asked of it from outside."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

_PROGRAM = """
import json, sys
from importlib import import_module
from earmark.service.server import run
from earmark.service.settings import Limits, Settings
given = json.loads(sys.argv[1])
for place, value in given["patience"].items():
    module, constant = place.split(".")
    setattr(import_module(f"earmark.service.{module}"), constant, value)
settings = Settings(**given["settings"], port=0, limits=Limits(**given["limits"]))
run(settings, on_ready=lambda address: print(address, flush=True))
"""

PATIENCE_SECONDS = 180.0
"""How long a test waits for what must happen, far longer than it takes on a busy machine."""


@dataclass
class Running:
    """A service that runs.

    Parameters
    ----------
    process : Popen
        The front process.
    url : str
        Such as ``http://127.0.0.1:8000``.
    log_file : Path
        What it says on standard error.
    token : str, optional
        What it asks for.
    """

    process: subprocess.Popen[str]
    url: str
    log_file: Path
    token: str | None = None

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self.log_file.read_text(encoding="utf-8")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def address(self, scheme: str, path: str) -> str:
        """Return the address of a route."""
        return f"{scheme}{self.url.removeprefix('http')}{path}"

    def metric(self, name: str) -> float:
        """Return a number of ``/metrics`` by its name, labels included; 0 before it was counted."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        lines = httpx.get(f"{self.url}/metrics", headers=headers).raise_for_status().text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name), 0.0)

    def wait_for(self, name: str, value: float) -> None:
        """Return once a number of ``/metrics`` is so."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (now := self.metric(name)) != value:
            assert time.monotonic() < end, f"{name} is {now} and not {value}:\n{self.log}"
            time.sleep(0.02)


@contextmanager
def serving(
    models: Sequence[Path],
    patience: Mapping[str, float] | None = None,
    *,
    limits: Mapping[str, float] | None = None,
    **settings: Any,
) -> Iterator[Running]:
    """Run a service, end it, and see that its log tells of no mistake of its own.

    Parameters
    ----------
    models : sequence of Path
        The first is the default.
    patience : Mapping, optional
        Constants to replace, such as ``live.OPENING_SECONDS``, so that a test need not wait for them.
    limits, settings
        As of `Limits` and `Settings`.
    """
    chosen = {"models": [str(model) for model in models], "workers": 1, **settings}
    given = json.dumps({"settings": chosen, "limits": dict(limits or {}), "patience": dict(patience or {})})
    with TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as log:
        command = [sys.executable, "-c", _PROGRAM, given]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            assert process.stdout is not None
            running = Running(process, process.stdout.readline().strip(), Path(log.name), settings.get("token"))
            try:
                assert running.url, running.log
                yield running
            finally:
                process.terminate()
        assert "Traceback" not in running.log, running.log
