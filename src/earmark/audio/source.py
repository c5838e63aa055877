"""What a caller may hand over as sound, and how its bytes are opened."""

import io
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import numpy as np

from earmark.errors import AudioError, AudioIsFolderError, AudioNotFoundError, EmptyAudioError, OptionError

if TYPE_CHECKING:
    from earmark.audio.decode import AudioReader

__all__ = ["ByteSource", "Source", "open_bytes", "source_name"]

Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | tuple[np.ndarray, int] | AudioReader"
"""A path, the bytes of a file, a binary file object, ``(array, sample_rate_hz)``, or what `open_audio` gave."""

_HEAD_BYTES = 64
# A Path has made one slash of two; one letter is a drive.
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]+:/")


def source_name(source: Source) -> str:
    """Return how results and messages call `source`.

    Parameters
    ----------
    source : Source
        What is to be decoded.

    Returns
    -------
    str
        The path as it was given, ``<bytes>``, ``<array>``, or for a file object its `name` where that is a text,
        else ``<stream>``.
    """
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return "<bytes>"
    if isinstance(source, tuple | np.ndarray):
        return "<array>"
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "<stream>"


class ByteSource:
    """The bytes of a recording, in the form that libsndfile and FFmpeg can safely call back.

    It has no `name`, because FFmpeg would guess the format from it. It never raises into C code: a failing read looks
    like the end of the file there, and `raise_failure` tells afterwards.

    Parameters
    ----------
    file : BinaryIO
        Read from its beginning where it can seek, else from where it stands.
    title : str
        How messages call it.
    path : str, optional
        Where libsndfile may open the same bytes itself.
    owned : bool
        Whether `close` closes `file`.
    """

    def __init__(self, file: BinaryIO, title: str, *, path: str | None = None, owned: bool) -> None:
        self._file, self._owned = file, owned
        self._failure: BaseException | None = None
        self.title, self.path = title, path
        self._seekable = _can_seek(file)
        # A buffered reader waits for all the bytes it is asked for; a stream should give what it has.
        self._read = file.read if self._seekable else getattr(file, "read1", file.read)
        self._pending = b""
        self.size: int | None = self.seek(0, os.SEEK_END) if self._seekable else None
        self.rewind()
        self.head = self.read_exactly(_HEAD_BYTES)
        if self._seekable:
            self.rewind()
        else:
            self._pending = self.head

    def rewind(self) -> None:
        """Go back to the first byte, where that is possible."""
        if self._seekable:
            self.seek(0)

    def seekable(self) -> bool:
        """Return whether the bytes can be read again and in any order."""
        return self._seekable

    def forward_only(self) -> None:
        """Take away the possibility to seek, here at the beginning."""
        self._seekable = False

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes: what is there, without waiting for all of them; nothing at the end."""
        if self._pending:
            data, self._pending = self._pending[:count], self._pending[count:]
            return data
        if self._failure is not None:  # C code may ask again
            return b""
        try:
            data = self._read(count)
        except BaseException as error:  # noqa: BLE001 - C code would lose even Ctrl-C; `raise_failure` raises it again
            self._failure = error
            return b""
        if isinstance(data, str):
            self._failure = OptionError(f"{self.title} gives text: open it in binary mode ('rb').")
            return b""
        return data or b""

    def read_exactly(self, count: int) -> bytes:
        """Return `count` bytes, fewer only at the end."""
        data = self.read(count)
        while len(data) < count and (more := self.read(count - len(data))):
            data += more
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill the beginning of `buffer` with up to its length of bytes and return how many there were."""
        data = self.read(len(buffer))
        buffer[0 : len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to `offset` and return the new position, or -1 for a place that a damaged file only pretends to have."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._file.tell()

    def raise_failure(self) -> None:
        """Raise what a read raised, if one did.

        Raises
        ------
        AudioError
            When the bytes could not be read to their end.
        BaseException
            What is no failure but an end, such as KeyboardInterrupt, as it is.
        """
        if self._failure is None:
            return
        if isinstance(self._failure, AudioError | OptionError) or not isinstance(self._failure, Exception):
            raise self._failure
        raise AudioError(f"Reading {self.title} failed: {self._failure}") from self._failure

    def spooled(self) -> "ByteSource":
        """Return the same bytes in a temporary file on disk, for a format that cannot be decoded without seeking."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the ByteSource closes it
        shutil.copyfileobj(cast(BinaryIO, self), file)
        self.raise_failure()
        self.close()
        return ByteSource(cast(BinaryIO, file), self.title, owned=True)

    def close(self) -> None:
        """Close the file if earmark opened it."""
        if self._owned:
            self._file.close()


def _can_seek(file: BinaryIO) -> bool:
    seekable = getattr(file, "seekable", None)
    return hasattr(file, "seek") and hasattr(file, "tell") if seekable is None else bool(seekable())


def open_bytes(source: Source) -> ByteSource:
    """Open a path, bytes or a file object.

    Parameters
    ----------
    source : Source
        Anything but an array.

    Returns
    -------
    ByteSource
        At its first byte.

    Raises
    ------
    AudioNotFoundError, AudioIsFolderError, EmptyAudioError, AudioError, OptionError
        No such file, a folder, zero bytes, a file that may not be read, something else than a source.
    """
    title = source_name(source)
    if isinstance(source, str | os.PathLike):
        opened = ByteSource(_open_path(title), title, path=title, owned=True)
    elif isinstance(source, bytes | bytearray | memoryview):
        opened = ByteSource(io.BytesIO(source), title, owned=True)
    elif hasattr(source, "read"):
        opened = _borrowed(cast(BinaryIO, source), title)
    else:
        raise OptionError(
            f"A {type(source).__name__} is no source: give a path, bytes, a binary file, or (array, sample_rate_hz)."
        )
    if not opened.head:
        opened.close()
        opened.raise_failure()
        raise EmptyAudioError(f"{title} is empty (0 bytes): record, copy or download it again.")
    return opened


def _borrowed(file: BinaryIO, title: str) -> ByteSource:
    try:
        return ByteSource(file, title, owned=False)
    except (OSError, ValueError) as error:  # such as a closed file
        raise AudioError(f"{title} may not be read: {error}.") from error


def _open_path(path: str) -> BinaryIO:
    if not path:
        raise AudioNotFoundError("The name of the file is empty: give the path of a recording.")
    try:
        return cast(BinaryIO, Path(path).open("rb", buffering=0))
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        hint = f"The current folder is {Path.cwd()}."
        if _ADDRESS.match(path):
            hint = "Addresses are not read: download it first."
        raise AudioNotFoundError(f"No such file: {path!r}. {hint}") from error
    except OSError as error:
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where the folder above may not be read
            raise AudioIsFolderError(f"{path} is a folder, not a recording: give the files in it.") from error
        raise AudioError(f"{path} may not be read: {error.strerror}.") from error
