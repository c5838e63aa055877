"""The runtime of a page in Node: whether a folder for browsers gives the answers that its model was saved with."""

import json
import shutil
import subprocess
import tempfile
import threading
from contextlib import ExitStack, suppress
from importlib.resources import as_file, files
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from earmark.errors import DeviceError, ModelFormatError
from earmark.model.backends import Outputs
from earmark.model.card import ModelCard

__all__ = ["NodeBackend"]

_MOST_SECONDS = 600.0
_DONE = "done"


class NodeBackend:
    """The model of a folder that `write_web` wrote, run by the folder's own script and runtime in Node.

    Within ``with`` one Node answers all calls; outside of it, each call starts its own. For one thread.

    Parameters
    ----------
    folder : Path
        As `write_web` made it.

    Attributes
    ----------
    card : ModelCard
        Of its ``card.json``.
    has_novelty : bool
        Whether the outputs have novelty, as far as the card's test vectors know.

    Raises
    ------
    DeviceError
        If Node is not there.
    ModelFormatError
        If the folder is not such a one.
    CardError
        If its card cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        node = shutil.which("node")
        if node is None:
            raise DeviceError(
                "running a page's model needs node, which is not on the PATH: install Node.js 20 or later, "
                "or open the page in a browser instead"
            )
        self._node = node
        self.card = ModelCard.from_json(self._read("card.json"))
        self.has_novelty = any("novelty" in vector.outputs for vector in self.card.test_vectors)
        self._conversation: _Conversation | None = None

    def _read(self, name: str) -> str:
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelFormatError(
                f"{self._folder} has no {name} that can be read, so it is no model for browsers; "
                "give a folder that `earmark export MODEL --to web` wrote"
            ) from error

    def __enter__(self) -> Self:
        try:
            self._conversation = _Conversation(self._node, self._folder)
        except OSError as error:
            raise DeviceError(f"{self._node} cannot be run ({error.strerror}): install Node.js again") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._conversation is not None:
            self._conversation.close()
            self._conversation = None

    def run(self, waveforms: NDArray[np.float32]) -> Outputs:
        """Run the model on float32 waveforms of shape (batch, samples) in [-1, 1], at the card's sample rate.

        Raises
        ------
        ModelFormatError
            If the runtime refuses the model, or its files are missing.
        """
        if self._conversation is None:
            with self:
                return self.run(waveforms)
        reason = self._conversation.ask(waveforms)
        if reason:
            raise ModelFormatError(f"{self._folder} cannot be run in Node ({reason}); export it again")
        return self._conversation.outputs()


class _Conversation:
    """One Node that runs ``verify.mjs``: lines go through pipes, numbers through files."""

    def __init__(self, node: str, folder: Path) -> None:
        with ExitStack() as opened:
            self._work = Path(opened.enter_context(tempfile.TemporaryDirectory()))
            script = opened.enter_context(as_file(files("earmark.export") / "webpage" / "verify.mjs"))
            self._complaints = self._work / "stderr.txt"
            self._process = subprocess.Popen(  # noqa: S603 - no shell, and nothing but paths
                [node, str(script), str(folder), str(self._work)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=opened.enter_context(self._complaints.open("wb")),
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            self._opened = opened.pop_all()

    def ask(self, waveforms: NDArray[np.float32]) -> str:
        """Have the outputs for waveforms written; return what went wrong, nothing if all is well."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None, "both are pipes"
        assert stdout is not None, "both are pipes"
        waveforms.astype("<f4").tofile(self._work / "waveform.f32")
        patience = threading.Timer(_MOST_SECONDS, self._process.kill)
        patience.start()
        try:
            with suppress(OSError):  # a Node that has ended has said why
                stdin.write(" ".join(map(str, waveforms.shape)) + "\n")
                stdin.flush()
            answer = stdout.readline().strip()
        finally:
            patience.cancel()
        return "" if answer == _DONE else answer or self._last_complaint()

    def _last_complaint(self) -> str:
        text = self._complaints.read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Node.js v")]
        return lines[-1] if lines else "it ended without a word"

    def outputs(self) -> Outputs:
        """Return the outputs that were written last."""
        shapes = json.loads((self._work / "shapes.json").read_text(encoding="utf-8"))
        return Outputs(
            **{
                name: np.fromfile(self._work / f"{name}.f32", "<f4").astype(np.float32, copy=False).reshape(shape)
                for name, shape in shapes.items()
            }
        )

    def close(self) -> None:
        """End Node, and delete the files."""
        with self._opened:
            self._process.kill()  # it has nothing to finish
            self._process.communicate()  # waits, and closes the pipes
