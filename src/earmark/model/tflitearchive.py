"""What is appended to a `.tflite` file: a zip archive of the files that its metadata speaks of, and earmark's card."""

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace

from earmark.errors import ModelFormatError
from earmark.model.card import ModelCard

CARD_FILE = "earmark.json"
"""Name of the card in the archive; every other reader passes over it."""

_DAMAGE = (OSError, RuntimeError, NotImplementedError, ValueError, EOFError, struct.error, zlib.error)
"""What reading a damaged archive comes to."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip archive knows no earlier time; the same model gives the same bytes


def split(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Return the model proper, and the files of its archive by name; none where there is no archive.

    Raises
    ------
    ModelFormatError
        If the archive is damaged.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, *_DAMAGE):
        return data, {}
    try:
        with archive:
            entries = archive.infolist()
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, *_DAMAGE) as error:
        raise ModelFormatError(f"the files in the .tflite file are damaged ({error}); fetch it again") from error
    return data[: min((entry.header_offset for entry in entries), default=len(data))], files


def join(model: bytes, files: Mapping[str, bytes]) -> bytes:
    """Return a model with an archive appended, its files not compressed: readers map them into memory."""
    whole = io.BytesIO()
    whole.write(model)
    with zipfile.ZipFile(whole, "a") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, compress_type=zipfile.ZIP_STORED)
    return whole.getvalue()


def digest(data: bytes, card: ModelCard) -> str:
    """Return the SHA-256 of the model proper, its other files, and the card but for the digest itself.

    Of a file that `join` would write otherwise, such as one with something appended, it is that of all its bytes.
    """
    model, files = split(data)
    if files and join(model, files) != data:
        return hashlib.sha256(data).hexdigest()
    found = hashlib.sha256(replace(card, sha256="").to_json().encode())
    found.update(model)
    for name in sorted(files.keys() - {CARD_FILE}):
        found.update(f"{name} {len(files[name])}\n".encode())
        found.update(files[name])
    return found.hexdigest()
