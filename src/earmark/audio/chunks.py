"""How much sound the header of a chunked file claims, and how much the file holds.

libsndfile and FFmpeg both trim the claim to what they find, so that a recording that was cut off looks whole, and both
stop at a claim that is too small, as a WAV over 4 GB has it, whose 32 bits have wrapped. This module reads what the
header says: WAV and RF64, AIFF, Wave64, CAF and AU.
"""

import struct
from dataclasses import dataclass

from earmark.audio.source import ByteSource

__all__ = ["DataChunk", "data_chunk"]

# Writers to a pipe cannot know the length. In 32 bits they leave 0, 0xFFFFFFFF, or (SoX, arecord) just under 2 GiB.
_UNKNOWN_FROM_BYTES = 0x7FFF0000
_LONG_SIZES = (b"RF64", b"riff", b"caff")
_MOST_CHUNKS = 1000
# What follows the claimed samples and is no chunk is sound, unless it is short, or zeros that a recorder reserved. Of a
# length that has wrapped, 4 GiB are missing.
_MOST_JUNK_BYTES, _MOST_ZERO_BYTES = 1 << 12, 1 << 30


@dataclass(frozen=True, slots=True)
class DataChunk:
    """The chunk that holds the samples.

    Parameters
    ----------
    claimed_bytes : int or None
        From the header; None when the writer did not know.
    held_bytes : int
        How many of them the file holds; where the sound `continues`, all to the end of the file.
    continues : bool
        Whether the samples go on beyond the claim.
    codec_tag : int
        Of the WAV format chunk; 0 elsewhere.
    """

    claimed_bytes: int | None
    held_bytes: int
    continues: bool = False
    codec_tag: int = 0


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the chunks of a format begin and how their headers are written."""

    first: int
    data_id: bytes
    size: str
    id_bytes: int = 4
    align: int = 2
    size_counts_header: bool = False


_LAYOUTS = {
    b"RIFF": _Layout(12, b"data", "<I"),
    b"RIFX": _Layout(12, b"data", ">I"),
    b"RF64": _Layout(12, b"data", "<I"),
    b"FORM": _Layout(12, b"SSND", ">I"),
    b"caff": _Layout(8, b"data", ">q", align=1),
    b"riff": _Layout(40, b"data", "<Q", id_bytes=16, align=8, size_counts_header=True),
}


def data_chunk(source: ByteSource) -> DataChunk | None:
    """Find the samples.

    Parameters
    ----------
    source : ByteSource
        A seekable file; left anywhere.

    Returns
    -------
    DataChunk or None
        None for another format, or a file without such a chunk.
    """
    magic, file_bytes = source.head[:4], source.size or 0
    found = _au_header(source.head) if magic in (b".snd", b"dns.") else _walk(source, _LAYOUTS.get(magic), file_bytes)
    if found is None:
        return None
    offset, claimed, codec_tag = found
    held = max(file_bytes - offset, 0)
    if claimed is None or claimed > held:
        if claimed is not None and claimed >= _UNKNOWN_FROM_BYTES and magic not in _LONG_SIZES:
            claimed = None
        return DataChunk(claimed, held, codec_tag=codec_tag)
    if magic == b"RIFF" and _sound_follows(source, offset + claimed, file_bytes):
        return DataChunk(claimed or None, held, continues=True, codec_tag=codec_tag)
    return DataChunk(claimed, claimed, codec_tag=codec_tag)


def _au_header(head: bytes) -> tuple[int, int, int] | None:
    if len(head) < 12:
        return None
    offset, claimed = struct.unpack(">II" if head[:1] == b"." else "<II", head[4:12])
    return offset, claimed, 0


def _walk(source: ByteSource, layout: _Layout | None, file_bytes: int) -> tuple[int, int | None, int] | None:
    """Return where the samples begin, the claimed bytes and the codec tag."""
    if layout is None:
        return None
    header_bytes = layout.id_bytes + struct.calcsize(layout.size)
    position, codec_tag, long_size = layout.first, 0, None
    for _ in range(_MOST_CHUNKS):
        source.seek(position)
        header = source.read_exactly(header_bytes)
        if len(header) < header_bytes:
            break
        (size,) = struct.unpack(layout.size, header[layout.id_bytes :])
        position += header_bytes
        if layout.size_counts_header:
            size = max(size - header_bytes, 0)
        if header.startswith(layout.data_id):
            claimed = size if long_size is None else long_size
            return position, claimed if claimed >= 0 else None, codec_tag
        if header.startswith(b"fmt "):
            codec_tag = int.from_bytes(source.read_exactly(2), "big" if layout.size == ">I" else "little")
        elif header.startswith(b"ds64"):
            long_size = int.from_bytes(source.read_exactly(16)[8:], "little")
        position += size + -size % layout.align
        if size < 0 or position >= file_bytes:
            break
    return None


def _sound_follows(source: ByteSource, position: int, file_bytes: int) -> bool:
    """Return whether what lies behind the claimed samples is neither junk, nor reserved space, nor chunks."""
    more_bytes = file_bytes - position
    source.seek(position)
    if more_bytes <= _MOST_JUNK_BYTES or (more_bytes < _MOST_ZERO_BYTES and not any(source.read_exactly(1 << 16))):
        return False
    # Some writers forget the pad byte behind an odd number of bytes.
    return not any(_chunk_begins(source, start, file_bytes) for start in {position, position + position % 2})


def _chunk_begins(source: ByteSource, position: int, file_bytes: int) -> bool:
    source.seek(position)
    header = source.read_exactly(8)
    size = int.from_bytes(header[4:], "little")
    return all(0x20 <= byte < 0x7F for byte in header[:4]) and position + 8 + size <= file_bytes + 1
