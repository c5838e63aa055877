"""Fetching one published file: pooch does temporary file, SHA-256 and move; retries, time limits and words are here."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.errors import ChecksumError, DownloadError
from earmark.model.registry import SourceFile

if TYPE_CHECKING:
    import requests

__all__ = ["PATIENCE", "Patience", "Progress", "download"]

Progress = Callable[[int, int | None], None]
"""Called with the bytes fetched so far and the bytes in all (None where the server does not say)."""

_CHUNK_BYTES = 1 << 16
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a server.

    Parameters
    ----------
    connect_seconds : float
        For a connection.
    stall_seconds : float
        For the next bytes of an answer.
    attempts : int
        Tries in all, at least 1. Only what may pass is tried again: no connection, a stall, an answer cut off, a server
        that is overloaded or broken.
    backoff_seconds : float
        Before the second try; twice as long before each further one.
    """

    connect_seconds: float = 10.0
    stall_seconds: float = 30.0
    attempts: int = 3
    backoff_seconds: float = 0.5


PATIENCE = Patience()


def download(
    file: SourceFile, folder: Path, *, patience: Patience = PATIENCE, progress: Progress | None = None
) -> Path:
    """Fetch a published file into a folder, whole and with the right hash, or not at all.

    An interrupted download starts again from the beginning: the files are small.

    Parameters
    ----------
    file : SourceFile
        What to fetch.
    folder : Path
        Where it is put, as ``folder / file.name``.
    patience : Patience
        Time limits and tries.
    progress : Progress, optional
        Called after every piece.

    Raises
    ------
    DownloadError
        If the server cannot be reached, refuses, stalls or cuts the answer off, every time.
    ChecksumError
        If what came is another file. It is deleted.
    OSError
        If the folder cannot be written.
    """
    import requests

    attempt = 1
    while True:
        try:
            return _try(file, folder, patience, progress)
        except requests.RequestException as error:
            if attempt >= patience.attempts or not _may_pass(error):
                raise DownloadError(f"could not download {file.url}: {_reason(error, patience)}") from error
        time.sleep(patience.backoff_seconds * 2 ** (attempt - 1))
        attempt += 1


def _try(file: SourceFile, folder: Path, patience: Patience, progress: Progress | None) -> Path:
    """Fetch the file once: pooch writes to a temporary file, checks its hash and moves it."""
    import pooch

    def fetch(_url: str, output_file: str, _pooch: Any) -> None:
        _fetch(file, Path(output_file), patience, progress)

    with _quiet(pooch.get_logger()):
        path = Path(pooch.retrieve(file.url, f"sha256:{file.sha256}", fname=file.name, path=folder, downloader=fetch))
    path.chmod(0o644)  # pooch's temporary file is private to its owner; a cache may be shared
    return path


def _fetch(file: SourceFile, output_path: Path, patience: Patience, progress: Progress | None) -> None:
    """Write what the server gives to `output_path`; raise ChecksumError if that is not the file."""
    import requests

    timeout = (patience.connect_seconds, patience.stall_seconds)
    headers = {"User-Agent": "earmark", "Accept-Encoding": "identity"}  # the bytes as published, not packed again
    digest = hashlib.sha256()
    with (
        requests.get(file.url, stream=True, timeout=timeout, headers=headers) as response,
        output_path.open("wb") as output,
    ):
        response.raise_for_status()
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        done = 0
        for chunk in response.iter_content(_CHUNK_BYTES):
            done += output.write(chunk)
            digest.update(chunk)
            if progress:
                progress(done, total)
            if done > file.size_bytes:
                break  # another file, and perhaps one without end
    # pooch would find a wrong hash too, but says it in a ValueError, which requests also raises for bad addresses
    if digest.hexdigest() != file.sha256:
        raise ChecksumError(_mismatch(file, done, digest.hexdigest()))


def _mismatch(file: SourceFile, size_bytes: int, sha256: str) -> str:
    """Say that another file came, which pooch deletes."""
    found = f"its sha256 is {sha256}" if size_bytes <= file.size_bytes else f"it is longer than {file.size_bytes} bytes"
    return f"{file.url} gave another file than expected, which was deleted: {found}, expected sha256 {file.sha256}"


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep pooch's announcements off stderr: it has a handler of its own, and they name a temporary folder."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _may_pass(error: "requests.RequestException") -> bool:
    """Tell whether the same request may succeed a moment later."""
    import requests

    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code in _WORTH_ANOTHER_TRY
    passing = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, passing) and not isinstance(error, requests.exceptions.SSLError)


def _reason(error: "requests.RequestException", patience: Patience) -> str:
    """Say in a few words what went wrong."""
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}".rstrip()
    # before the body it is a ReadTimeout, within the body a ConnectionError around urllib3's own
    if "Read timed out" in str(error):
        return f"the server sent nothing for {patience.stall_seconds:g} s"
    reasons = (
        (exceptions.ConnectTimeout, f"no connection within {patience.connect_seconds:g} s"),
        (exceptions.ChunkedEncodingError, "the answer was cut off before its end"),
        (exceptions.SSLError, "no secure connection (is the clock right, is there a proxy in between?)"),
        (exceptions.ConnectionError, "no connection (offline, or a proxy is needed?)"),
    )
    return next((reason for kind, reason in reasons if isinstance(error, kind)), str(error))
