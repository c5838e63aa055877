"""Sounds and pictures as text inside a page, so that the page needs no other file."""

import base64
import io

import numpy as np
from numpy.typing import NDArray


def inline(media_type: str, content: bytes) -> str:
    """Return the address of what is written out in it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def playable(waveform: NDArray[np.float32], sample_rate_hz: int) -> tuple[bytes, str]:
    """Return sound as a file that browsers play, and its type: MP3, which all of them play, else Ogg Vorbis.

    Parameters
    ----------
    waveform : ndarray of float32, shape (samples,)
        What is beyond full scale is clipped.
    sample_rate_hz : int
        One that MP3 knows, such as 16,000.
    """
    import soundfile

    form, media = ("MP3", "audio/mpeg") if "MP3" in soundfile.available_formats() else ("OGG", "audio/ogg")
    file = io.BytesIO()
    soundfile.write(file, np.clip(waveform, -1, 1), sample_rate_hz, format=form)
    return file.getvalue(), media
