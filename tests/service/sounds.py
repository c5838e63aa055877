"""Recordings to send, small and large, honest and not."""

import io
import struct
from functools import cache

import numpy as np
import soundfile

RATE_HZ = 16_000


@cache
def noise(seconds: float, *, seed: int = 1, form: str = "WAV", subtype: str | None = None) -> bytes:
    """Return a recording of noise."""
    samples = np.random.default_rng(seed).uniform(-0.4, 0.4, round(seconds * RATE_HZ))
    return written(samples, RATE_HZ, form=form, subtype=subtype)


def written(samples: np.ndarray, rate_hz: int, *, form: str = "WAV", subtype: str | None = None) -> bytes:
    """Return samples as a file."""
    made = io.BytesIO()
    soundfile.write(made, samples, rate_hz, format=form, subtype=subtype)
    return made.getvalue()


@cache
def silence(seconds: float, rate_hz: int = 1000) -> bytes:
    """Return silence as FLAC, of which a day is half a megabyte."""
    made = io.BytesIO()
    block = np.zeros(rate_hz * 600, np.int16)
    with soundfile.SoundFile(made, "w", rate_hz, 1, "PCM_16", format="FLAC") as file:
        for begin in range(0, round(seconds * rate_hz), len(block)):
            file.write(block[: round(seconds * rate_hz) - begin])
    return made.getvalue()


def of_unknown_length(flac: bytes) -> bytes:
    """Return a FLAC whose header does not say how long it is, as one that was streamed."""
    made = bytearray(flac)
    made[21] &= 0xF0  # the low 36 bits of bytes 18 to 25 count the samples
    made[22:26] = bytes(4)
    return bytes(made)


def claiming(wav: bytes, seconds: float) -> bytes:
    """Return a WAV whose header claims so much sound, whatever it holds."""
    made = bytearray(wav)
    place = made.index(b"data") + 4
    made[place : place + 4] = struct.pack("<I", round(seconds * RATE_HZ) * 2)
    return bytes(made)


def form_of(*files: bytes, fields: dict[str, str] | None = None, media_type: str = "audio/wav") -> tuple[bytes, str]:
    """Return a multipart form with files and fields, and its content type."""
    parts = [
        b'--xyz\r\nContent-Disposition: form-data; name="audio"; filename="private name.wav"\r\n'
        b"Content-Type: " + media_type.encode() + b"\r\n\r\n" + data + b"\r\n"
        for data in files
    ]
    for name, value in (fields or {}).items():
        parts.append(f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    return b"".join(parts) + b"--xyz--\r\n", "multipart/form-data; boundary=xyz"
