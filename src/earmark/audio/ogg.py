"""What the pages of an Ogg file say: the codec, whether streams are chained, and whether the last page is there."""

from dataclasses import dataclass

from earmark.audio.source import ByteSource

__all__ = ["OggPages", "examine_ogg"]

_FIRST_PAGE = b"OggS\x00\x02"
_LAST_PAGE_FLAG = 4
_PAGE_HEADER_BYTES = 27
_MOST_PAGE_BYTES = 65_307
_STEP_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class OggPages:
    """What the pages say.

    Parameters
    ----------
    vorbis : bool
        Whether the first stream is Vorbis.
    chained : bool
        Whether more streams follow or run beside the first: radio recordings, joined files, video.
    ended : bool
        Whether the file ends with a page that is whole and marked as the last.
    """

    vorbis: bool
    chained: bool
    ended: bool


def examine_ogg(source: ByteSource) -> OggPages:
    """Read the pages of a seekable Ogg file; it is left at its beginning."""
    size = source.size or 0
    pages = OggPages(
        vorbis=source.head[28:35] == b"\x01vorbis", chained=_chained(source), ended=_ended(source, size)
    )
    source.seek(0)
    return pages


def _chained(source: ByteSource) -> bool:
    # libsndfile ends with the first stream and says nothing. A search at memory speed costs less than 1 % of decoding.
    source.seek(len(_FIRST_PAGE))
    overlap = b""
    while step := source.read(_STEP_BYTES):
        if _FIRST_PAGE in overlap + step:
            return True
        overlap = step[-len(_FIRST_PAGE) + 1 :]
    return False


def _ended(source: ByteSource, size: int) -> bool:
    source.seek(max(size - _MOST_PAGE_BYTES, 0))
    tail = b""
    while step := source.read(_MOST_PAGE_BYTES):
        tail += step
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    if len(page) < _PAGE_HEADER_BYTES:
        return False
    lacing = page[_PAGE_HEADER_BYTES : _PAGE_HEADER_BYTES + page[26]]
    whole = len(page) >= _PAGE_HEADER_BYTES + page[26] + sum(lacing)
    return whole and bool(page[5] & _LAST_PAGE_FLAG)
