"""Files that a stranger may send: real recordings that were damaged, cut off, or made to lie about themselves.

Everything is made at the time of the test, from a sound that is made too, by the encoders of FFmpeg; the same seed
gives the same damage.
"""

import random
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import soundfile

from earmark.audio.synthesis import SAMPLE_RATE_HZ, scene

SECONDS = 4.0
BOMB_SECONDS = 7200  # of silence, in less than a megabyte
CODECS = {
    "wav": ["-c:a", "pcm_s16le"],
    "flac": ["-c:a", "flac"],
    "ogg": ["-c:a", "libvorbis"],
    "mp3": ["-c:a", "libmp3lame"],
    "m4a": ["-c:a", "aac"],
}
HEADER_BYTES = 256
LIES = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

Damage = Callable[[bytes, bytes, random.Random], bytes]


@dataclass(frozen=True, slots=True)
class HostileFile:
    """Bytes to send.

    Parameters
    ----------
    name : str
        What was done to what, for a message.
    data : bytes
    """

    name: str
    data: bytes


def make_originals(folder: Path) -> dict[str, bytes]:
    """Return a recording in each format, by its suffix; made by FFmpeg in a folder."""
    waveform, _ = scene(np.random.default_rng(5))
    sound = folder / "sound.wav"
    soundfile.write(sound, waveform[: round(SECONDS * SAMPLE_RATE_HZ)], SAMPLE_RATE_HZ)
    return {
        suffix: encode(["-i", str(sound), "-ac", "2", "-ar", "44100", *options], folder / f"original.{suffix}")
        for suffix, options in CODECS.items()
    }


def make_bombs(folder: Path) -> list[HostileFile]:
    """Return small files of very long sound."""
    silence = ["-f", "lavfi", "-i", f"anullsrc=r=1000:cl=mono:d={BOMB_SECONDS}"]
    return [
        HostileFile(f"bomb of {suffix}", encode([*silence, *CODECS[suffix], *more], folder / f"bomb.{suffix}"))
        for suffix, more in {"flac": [], "ogg": ["-q:a", "0"]}.items()
    ]


def encode(options: list[str], path: Path) -> bytes:
    """Return what FFmpeg makes."""
    command = ["ffmpeg", "-v", "error", "-y", *options, str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=120)
    return path.read_bytes()


def hostile_files(originals: dict[str, bytes], count: int, seed: int) -> Iterator[HostileFile]:
    """Yield so many damaged files, of all formats and kinds of damage in turn."""
    rng = random.Random(seed)
    kinds = [(suffix, damage) for damage in DAMAGES for suffix in originals]
    for number, (suffix, damage) in enumerate(islice(cycle(kinds), count)):
        others = [data for key, data in originals.items() if key != suffix]
        yield HostileFile(
            f"{number}: {damage.__name__} of {suffix}", damage(originals[suffix], rng.choice(others), rng)
        )


def truncated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Cut it off anywhere."""
    return data[: rng.randrange(1, len(data))]


def truncated_head(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Cut it off within its header."""
    return data[: rng.randrange(1, HEADER_BYTES)]


def headless(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Leave out the beginning."""
    return data[rng.randrange(1, 4 * HEADER_BYTES) :]


def flipped(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Change bytes anywhere."""
    return _with_bytes(data, rng, len(data), max(1, len(data) // 500))


def flipped_head(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Change bytes in the header."""
    return _with_bytes(data, rng, HEADER_BYTES, rng.randrange(1, 12))


def flipped_bit(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Change one bit of the header."""
    damaged = bytearray(data)
    damaged[rng.randrange(HEADER_BYTES)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def lying_head(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Put impossible sizes, counts and rates into the header, in either byte order."""
    damaged = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        struct.pack_into(rng.choice("<>") + "I", damaged, rng.randrange(HEADER_BYTES), rng.choice(LIES))
    return bytes(damaged)


def lying_fields(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Lie where it counts: the fields that say how much there is, and of what kind."""
    damaged = bytearray(data)
    for mark, offset, size in _FIELDS:
        at = damaged.find(mark)
        if at >= 0 and at + offset + size <= len(damaged) and rng.random() < 0.6:
            damaged[at + offset : at + offset + size] = rng.choice((b"\xff", b"\x7f", b"\x00", b"\x80")) * size
    return bytes(damaged)


_FIELDS = (
    (b"RIFF", 4, 4),
    (b"fmt ", 10, 2),  # channels
    (b"fmt ", 12, 4),  # rate
    (b"fmt ", 20, 2),  # bytes of a sample of all channels
    (b"fmt ", 22, 2),  # bits
    (b"data", 4, 4),
    (b"fLaC", 8, 4),  # block sizes
    (b"fLaC", 18, 4),  # rate, channels, bits
    (b"fLaC", 22, 4),  # number of samples
    (b"OggS", 6, 8),  # position
    (b"OggS", 26, 1),  # segments of the page
    (b"\x01vorbis", 11, 5),  # channels and rate
    (b"\x01vorbis", 28, 1),  # block sizes
    (b"ID3", 6, 4),  # size of the tag
    (b"Info", 8, 8),  # frames and bytes
    (b"Xing", 8, 8),
    (b"moov", -4, 4),  # sizes of boxes
    (b"trak", -4, 4),
    (b"stbl", -4, 4),
    (b"mdhd", 16, 8),  # time scale and duration
    (b"stts", 8, 8),  # how many samples, and of what length
    (b"stsz", 8, 8),
    (b"stsc", 8, 8),
    (b"stco", 8, 8),
    (b"mp4a", 20, 12),  # channels, bits, rate
    (b"esds", -4, 4),
)
"""Marks in files, and where from there and how long a field is that may lie."""


def zeroed(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Overwrite a stretch with zeros."""
    start = rng.randrange(len(data))
    length = rng.randrange(1, len(data) - start + 1)
    return data[:start] + bytes(length) + data[start + length :]


def stuffed(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Insert noise."""
    start = rng.randrange(len(data))
    return data[:start] + rng.randbytes(rng.randrange(1, 5000)) + data[start:]


def doubled(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Repeat stretches, the header perhaps among them."""
    start = rng.choice((0, rng.randrange(len(data))))
    piece = data[start : start + rng.randrange(1, 3000)]
    return data[:start] + piece * rng.randrange(2, 40) + data[start:]


def another_head(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Begin as a file of another format."""
    return other[: rng.randrange(16, 2000)] + data


def noise_behind_head(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Keep the header alone, and noise for the rest."""
    kept = rng.randrange(4, 2 * HEADER_BYTES)
    return data[:kept] + rng.randbytes(rng.randrange(1, 50_000))


DAMAGES: tuple[Damage, ...] = (
    truncated,
    truncated_head,
    headless,
    flipped,
    flipped_head,
    flipped_bit,
    lying_head,
    lying_fields,
    zeroed,
    stuffed,
    doubled,
    another_head,
    noise_behind_head,
)
"""All kinds of damage."""


def _with_bytes(data: bytes, rng: random.Random, before: int, count: int) -> bytes:
    damaged = bytearray(data)
    for _ in range(count):
        damaged[rng.randrange(min(before, len(data)))] = rng.randrange(256)
    return bytes(damaged)
