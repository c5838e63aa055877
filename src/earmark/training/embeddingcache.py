"""Embeddings kept on disk, by what they were made from: nothing is computed twice, and no kill loses what was done.

One file a clip, ``<folder>/<backbone>/<two digits>/<key>``: a CRC-32 in four bytes, then rows of float32, all of it
little-endian. A file is written under another name and moved into place, so it is there whole or not at all, and
several processes may fill one cache. What a failing disk or a careless hand damages does not match its checksum, and is
computed again.
"""

import hashlib
import time
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OutputError
from earmark.model.modelfile import write_whole

Embeddings = NDArray[np.float32]

_FORMAT = 1  # enters every key: a change of what is stored, or how, makes old entries strangers
_ABANDONED_SECONDS = 24 * 3600.0
_CHECKSUM_BYTES = 4


class EmbeddingCache:
    """The embeddings that one backbone gave.

    Parameters
    ----------
    folder : Path
        The cache folder; nothing is created before something is stored.
    backbone_sha256 : str
        Digest of the backbone's file.
    embedding_size : int
        Length of an embedding.
    """

    def __init__(self, folder: Path, backbone_sha256: str, embedding_size: int) -> None:
        self.folder = folder / "embeddings" / backbone_sha256
        self._size = embedding_size
        _sweep(self.folder)

    def path(self, key: str) -> Path:
        """Return where the entry of that key is or would be."""
        return self.folder / key[:2] / key

    def read(self, key: str) -> Embeddings | None:
        """Return embeddings, shape (frames, size), or None where there are none or they are damaged."""
        try:
            data = self.path(key).read_bytes()
        except OSError:
            return None
        body = data[_CHECKSUM_BYTES:]
        if not body or len(body) % (4 * self._size) or data[:_CHECKSUM_BYTES] != _checksum(body):
            return None
        return np.frombuffer(body, "<f4").reshape(-1, self._size).astype(np.float32, copy=False)

    def write(self, key: str, embeddings: Embeddings) -> None:
        """Keep embeddings of shape (frames, size).

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        path = self.path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot write to the cache folder {self.folder}: {error.strerror}; "
                "free some space, or set EARMARK_CACHE to a folder that you may write to"
            ) from error
        body = np.ascontiguousarray(embeddings, "<f4").tobytes()
        write_whole(path, _checksum(body) + body)


def entry_key(content_sha256: str, start_seconds: float | None, end_seconds: float | None) -> str:
    """Return the key of a part of a file, given the digest of its bytes."""
    text = f"{_FORMAT} {content_sha256} {float(start_seconds or 0.0)!r} {end_seconds!r}"
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "little")


def _sweep(folder: Path) -> None:
    """Delete what killed processes left half-written a day ago or earlier."""
    for path in folder.glob("*/.*"):
        with suppress(OSError):  # another process may sweep at the same time
            if path.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                path.unlink()
