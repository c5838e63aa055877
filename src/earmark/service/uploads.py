"""What clients send: bodies read under limits, into memory while they are small and into files of our own beyond that.

The names that clients give their files are never used, opened, or written down.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from starlette.requests import ClientDisconnect, Request

from earmark.service.multipart import FormReader, boundary_of
from earmark.service.problems import RefusedError, refusal
from earmark.service.room import Room
from earmark.service.settings import Limits
from earmark.service.worker import IN_MEMORY_BYTES

__all__ = ["STILL_SECONDS", "Upload", "received"]

STILL_SECONDS = 10.0
"""How long a body may stand still."""


@dataclass(slots=True)
class Upload:
    """What a request brought.

    Attributes
    ----------
    sounds : list of (bytes or Path)
        The recordings, or files of the service's own with them.
    media_types : list of str
        Of the recordings, as the client has them; empty where it says nothing.
    fields : list of (str, str)
        Of the form.
    """

    sounds: list[bytes | Path] = field(default_factory=list)
    media_types: list[str] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)

    def only(self) -> bytes | Path:
        """Return the one recording; raise RefusedError if there is none, or another."""
        if not self.sounds:
            raise refusal("no_file", "The request brings no recording.")
        return self.sounds[0]


@asynccontextmanager
async def received(request: Request, limits: Limits, room: Room, *, most: int = 1) -> AsyncIterator[Upload]:
    """Receive the body of a request: a form with files and fields, or else one file, whatever its content type.

    Parameters
    ----------
    request : Request
        Whose body nobody has read.
    limits : Limits
        What may come, and how slowly.
    room : Room
        For what is too large for memory; what is written there goes at the end.
    most : int
        How many files.

    Raises
    ------
    RefusedError
        If too much comes, or too slowly, or what cannot be read, or there is no room for it.
    OSError
        If the disk is full.
    """
    upload = Upload()
    spools = _Spools(room, most)
    try:
        boundary = boundary_of(request.headers.get("content-type", ""))
        chunks = _chunks(request, limits)
        if boundary is None:
            await _read_file(chunks, spools)
        else:
            upload.fields = await _read_form(chunks, FormReader(boundary, spools.open))
        upload.sounds, upload.media_types = spools.sounds(), spools.media_types
        yield upload
    finally:
        spools.clear()


async def _read_file(chunks: AsyncIterator[bytes], spools: "_Spools") -> None:
    spool = None
    async for chunk in chunks:
        spool = spool or spools.open("")
        spool.write(chunk)
    if spool:
        spool.close()


async def _read_form(chunks: AsyncIterator[bytes], form: FormReader) -> list[tuple[str, str]]:
    async for chunk in chunks:
        form.feed(chunk)
    form.finish()
    return form.fields


async def _chunks(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    """Yield the body as it comes; refuse one that is too large, at once if it says so, or too slow."""
    most = limits.upload_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise _too_large(f"{declared} bytes", most)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limits.upload_seconds
    count, more = 0, True
    while more:
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + STILL_SECONDS)):
                message = await request.receive()
        except TimeoutError:
            raise _too_slow(count, limits) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        count += len(chunk)
        if count > most:
            raise _too_large(f"more than {most} bytes", most)
        if chunk:
            yield chunk


def _too_large(size: str, most: int) -> RefusedError:
    return refusal("too_large", f"The request brings {size}, and {most} are allowed.")


def _too_slow(count: int, limits: Limits) -> RefusedError:
    allowed = f"all of it within {limits.upload_seconds:g} s, and something every {STILL_SECONDS:g} s"
    return refusal("upload_too_slow", f"Only {count} bytes of the request came in time: {allowed} is allowed.")


class _Spools:
    """The files of one request: together in memory while they are small."""

    def __init__(self, room: Room, most: int) -> None:
        self._room, self._most = room, most
        self._spools: list[_Spool] = []
        self._memory_left = IN_MEMORY_BYTES
        self.media_types: list[str] = []

    def open(self, media_type: str) -> "_Spool":
        if len(self._spools) >= self._most:
            if self._most == 1:
                raise refusal("several_files", "The request brings several files.")
            raise refusal("too_many_files", f"The request brings more than {self._most} files.")
        spool = _Spool(self._room, self._take_memory)
        self._spools.append(spool)
        self.media_types.append(media_type)
        return spool

    def _take_memory(self, count: int) -> bool:
        if count > self._memory_left:
            return False
        self._memory_left -= count
        return True

    def sounds(self) -> list[bytes | Path]:
        return [spool.content() for spool in self._spools]

    def clear(self) -> None:
        for spool in self._spools:
            spool.clear()


class _Spool:
    """One file: in memory, or from where that is used up on in a file of our own."""

    def __init__(self, room: Room, take_memory: Callable[[int], bool]) -> None:
        self._room, self._take_memory = room, take_memory
        self._chunks: list[bytes] = []
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._bytes = 0  # in the file

    def write(self, data: bytes) -> None:
        if self._file is None and self._take_memory(len(data)):
            self._chunks.append(data)
            return
        if self._file is None:
            self._file = self._opened()
            for chunk in self._chunks:
                self._store(chunk, self._file)
            self._chunks = []
        self._store(data, self._file)

    def _opened(self) -> BinaryIO:
        file = tempfile.NamedTemporaryFile(dir=self._room.folder, prefix="upload-", delete=False)  # noqa: SIM115
        self._path = Path(file.name)
        return file  # type: ignore[return-value]

    def _store(self, data: bytes, file: BinaryIO) -> None:
        self._room.take(len(data))
        self._bytes += len(data)
        file.write(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def content(self) -> bytes | Path:
        if self._path is not None:
            return self._path
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

    def clear(self) -> None:
        with suppress(OSError):  # what a full disk has not taken is not missed
            self.close()
        self._chunks = []
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._room.give_back(self._bytes)
        self._bytes = 0
