"""Which decoder a recording gets, judged by its first bytes and never by its name.

The order is fixed:

1. A stream that cannot seek goes to FFmpeg, which alone decodes while bytes arrive.
2. A container that libsndfile reads whole goes to libsndfile: WAV, RF64, Wave64, AIFF, AU, CAF, FLAC, Ogg Vorbis, VOC,
   NIST.
3. Everything else goes to FFmpeg, and so does what libsndfile reads in part or not quietly: MP3 (without a Xing header
   it stops at an estimate, and it writes to stderr), MPEG in WAV, FLAC of unknown length, chained Ogg, Ogg Opus (3
   times slower), and WAV whose header claims less sound than the file holds.
4. A file of group 2 that libsndfile refuses to open, or cannot seek in (GSM), goes to FFmpeg too.
"""

from dataclasses import dataclass

from earmark.audio.chunks import data_chunk
from earmark.audio.ogg import examine_ogg
from earmark.audio.source import ByteSource

__all__ = ["Container", "examine"]

_SNDFILE_STARTS = (b".snd", b"dns.", b"caff", b"riff\x2e\x91\xcf\x11", b"Creative Voice File\x1a", b"NIST_1A")
_SNDFILE_FORMS = {b"RIFF": (b"WAVE",), b"RIFX": (b"WAVE",), b"RF64": (b"WAVE",), b"FORM": (b"AIFF", b"AIFC", b"8SVX")}
_MPEG_IN_WAV = (0x50, 0x55)
_EXACT_MP3_HEADERS = (b"Xing", b"Info", b"VBRI")


@dataclass(frozen=True, slots=True)
class Container:
    """What the bytes say before they are decoded.

    Parameters
    ----------
    libsndfile : bool
        Whether libsndfile decodes it; else FFmpeg does.
    claimed_share : float or None
        How much sound the header claims, as a multiple of what the file holds; above 1 the file is cut off. None: the
        header does not say.
    continues : bool
        Whether the sound goes on beyond the claim; `claimed_share` is then below 1, or None.
    ended : bool
        False when a stream lacks the mark that its writer sets at the end.
    intact_samples : int or None
        Where the first damage begins that libsndfile would pass over in silence.
    needs_seeking : bool
        Whether it must be written to disk before it can be decoded: a stream with its index at the end.
    exact_duration : bool
        False when FFmpeg's duration would be an estimate, or that of a part.
    """

    libsndfile: bool = False
    claimed_share: float | None = None
    continues: bool = False
    ended: bool = True
    intact_samples: int | None = None
    needs_seeking: bool = False
    exact_duration: bool = True


def examine(source: ByteSource) -> Container:
    """Look at the first bytes of `source` (and at the chunks or pages they announce) and return what they say."""
    head = source.head
    if not source.seekable():
        return Container(needs_seeking=_index_may_be_last(head), exact_duration=not _is_mpeg_audio(head))
    if head.startswith(b"OggS"):
        ogg = examine_ogg(source)
        readable = ogg.vorbis and not ogg.chained
        return Container(
            libsndfile=readable,
            ended=ogg.ended,
            intact_samples=ogg.intact_samples,
            exact_duration=not ogg.chained,
        )
    if _is_mpeg_audio(head):
        return _examine_mpeg(source)
    if head.startswith(_SNDFILE_STARTS) or head[8:12] in _SNDFILE_FORMS.get(head[:4], ()):
        return _examine_chunks(source)
    return Container(libsndfile=head.startswith(b"fLaC") and _flac_length_known(head))


def _index_may_be_last(head: bytes) -> bool:
    """Return whether this is an MP4 whose second box is not its index."""
    second = int.from_bytes(head[:4], "big") + 4
    return head[4:8] == b"ftyp" and head[second : second + 4] != b"moov"


def _flac_length_known(head: bytes) -> bool:
    # STREAMINFO: the low 36 bits of bytes 18 to 25 count the samples; 0 means that the writer could not know.
    return bool(int.from_bytes(head[18:26], "big") & (1 << 36) - 1)


def _is_mpeg_audio(head: bytes) -> bool:
    return head[:3] == b"ID3" or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE0 == 0xE0)


def _examine_mpeg(source: ByteSource) -> Container:
    """MP3 or ADTS: FFmpeg knows the exact length only from a header in the first frame, behind an ID3 tag if any."""
    tag_bytes = 0
    if source.head.startswith(b"ID3"):
        for byte in source.head[6:10]:  # four times seven bits
            tag_bytes = tag_bytes << 7 | byte & 0x7F
        tag_bytes += 10
    source.seek(tag_bytes)
    frame = source.read_exactly(4096)
    source.rewind()
    # FFmpeg reads FLAC behind a tag too, and there it knows.
    return Container(exact_duration=frame.startswith(b"fLaC") or any(mark in frame for mark in _EXACT_MP3_HEADERS))


def _examine_chunks(source: ByteSource) -> Container:
    chunk = data_chunk(source)
    if chunk is None:
        return Container(libsndfile=True)
    share = chunk.claimed_bytes / chunk.held_bytes if chunk.claimed_bytes and chunk.held_bytes else None
    readable = not chunk.continues and chunk.codec_tag not in _MPEG_IN_WAV
    return Container(
        libsndfile=readable, claimed_share=share, continues=chunk.continues, exact_duration=not chunk.continues
    )
