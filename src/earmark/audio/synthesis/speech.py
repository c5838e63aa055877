"""A voice, where there is a program that speaks."""

import subprocess

import numpy as np
from numpy.typing import NDArray

from earmark.audio.decode import read_audio
from earmark.audio.synthesis.waves import SAMPLE_RATE_HZ, Wave
from earmark.errors import AudioError

SENTENCE = "This is earmark. It says what is heard, when, and how sure it is."

_TIMEOUT_SECONDS = 10.0


def voice(text: str = SENTENCE) -> Wave | None:
    """Return a sentence spoken by espeak-ng, shape (samples,), or None where it is not installed or does not work."""
    try:
        return speak(text, voice="en", words_per_minute=160, timeout_seconds=_TIMEOUT_SECONDS).astype(np.float64)
    except (OSError, subprocess.SubprocessError, AudioError):
        return None


def speak(
    text: str, *, voice: str, words_per_minute: int, pitch: int | None = None, timeout_seconds: float
) -> NDArray[np.float32]:
    """Return what espeak-ng says, shape (samples,), at `SAMPLE_RATE_HZ`.

    Parameters
    ----------
    text : str
        What.
    voice : str
        Language and variant, such as ``en+f2``.
    words_per_minute : int
        How fast.
    pitch : int, optional
        0 to 99; the voice's own by default.
    timeout_seconds : float
        How long it may take.

    Raises
    ------
    OSError, subprocess.SubprocessError, AudioError
        If espeak-ng is not installed, does not know the voice, or fails.
    """
    pitched = [] if pitch is None else ["-p", str(pitch)]
    command = ["espeak-ng", "-v", voice, "-s", str(words_per_minute), *pitched, "--stdout", "--", text]
    done = subprocess.run(command, capture_output=True, check=True, timeout=timeout_seconds)  # noqa: S603 - no shell
    return read_audio(done.stdout, SAMPLE_RATE_HZ)[0]
