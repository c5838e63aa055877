"""The folder on this machine where models live.

It holds ``models/NAME.onnx`` (installed models), ``sources/FILE`` (published files that models are made from) and
``partial`` (work in progress). A file is made under ``partial`` and gets its final name in one step, when it is whole:
so several processes may use one cache, and whoever is killed leaves nothing under a final name.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from earmark.errors import ChecksumError, ModelFormatError, OutputError
from earmark.model.registry import SourceFile, check_name, is_name

__all__ = ["Cache", "cache_folder", "is_file", "read_bytes"]

_ABANDONED_SECONDS = 24 * 3600.0
"""Age at which work in progress is taken to be that of a process which was killed."""


def cache_folder() -> Path:
    """Return the cache folder: ``EARMARK_CACHE`` if set, else ``earmark`` in the user's cache of this platform."""
    override = os.environ.get("EARMARK_CACHE")
    if override:
        return Path(override).expanduser().absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "earmark"


class Cache:
    """One cache folder. Nothing is created before something is written.

    Parameters
    ----------
    folder : Path
        Need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def model_path(self, name: str) -> Path:
        """Return where the model of that name is or would be; raise OptionError for what cannot be a name."""
        return self.folder / "models" / f"{check_name(name)}.onnx"

    def source_path(self, source: SourceFile) -> Path:
        """Return where a published file is or would be."""
        return self.folder / "sources" / source.name

    def has_model(self, name: str) -> bool:
        """Tell whether the model of that name is installed."""
        return is_file(self.model_path(name))

    def model_names(self) -> list[str]:
        """Return the names of the installed models, sorted. A file with another kind of name is none of them."""
        return sorted(path.stem for path in (self.folder / "models").glob("*.onnx") if is_name(path.stem))

    def find_source(self, source: SourceFile) -> bytes | None:
        """Return a published file that lies in ``sources``, or in the folder itself, where somebody put it by hand.

        Raises
        ------
        ChecksumError
            If a file of its name is there and none has the right hash.
        """
        wrong = None
        for path in (self.source_path(source), self.folder / source.name):
            if is_file(path):
                data = read_bytes(path)
                sha256 = hashlib.sha256(data).hexdigest()
                if sha256 == source.sha256:
                    return data
                wrong = wrong or f"{path} is not the file expected: its sha256 is {sha256}, expected {source.sha256}"
        if wrong:
            raise ChecksumError(f"{wrong}; delete it, or copy it there again")
        return None

    @contextmanager
    def workshop(self) -> Iterator[Path]:
        """Give an empty folder for work in progress, on the same disk as the cache, and delete it afterwards.

        Raises
        ------
        OutputError
            If a file cannot be written, here or in the cache, while the workshop is open.
        """
        with self.writing():
            partial = self.folder / "partial"
            partial.mkdir(parents=True, exist_ok=True)
            _sweep(partial)
            with tempfile.TemporaryDirectory(dir=partial, ignore_cleanup_errors=True) as folder:
                yield Path(folder)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn a failure to write into one clear OutputError."""
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"cannot write to the cache folder {self.folder}: {error.strerror or error}; "
                "free some space, or set EARMARK_CACHE to a folder that you may write to"
            ) from error


def is_file(path: Path) -> bool:
    """Tell whether a file is there, as far as this user may see."""
    return os.path.isfile(path)  # noqa: PTH113 - where looking is not allowed, Path.is_file raises before Python 3.14


def read_bytes(path: Path) -> bytes:
    """Read a whole file; raise ModelFormatError where that is not allowed."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelFormatError(f"cannot read {path}: {error.strerror}; check its permissions") from error


def _sweep(partial: Path) -> None:
    """Delete what killed processes left behind."""
    for path in partial.iterdir():
        with suppress(FileNotFoundError):  # another process may sweep at the same time
            if path.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
