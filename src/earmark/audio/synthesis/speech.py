"""A voice, where there is a program that speaks."""

import shutil
import subprocess

import numpy as np

from earmark.audio.decode import read_audio
from earmark.audio.synthesis.waves import SAMPLE_RATE_HZ, Wave
from earmark.errors import AudioError

SENTENCE = "This is earmark. It says what is heard, when, and how sure it is."

_TIMEOUT_SECONDS = 10.0


def voice(text: str = SENTENCE) -> Wave | None:
    """Return a sentence spoken by espeak-ng, shape (samples,), or None where it is not installed or does not work."""
    program = shutil.which("espeak-ng")
    if program is None:
        return None
    command = [program, "-v", "en", "-s", "160", "--stdout", text]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=_TIMEOUT_SECONDS)  # noqa: S603 - fixed words
        waveform, _ = read_audio(done.stdout, SAMPLE_RATE_HZ)
    except (OSError, subprocess.SubprocessError, AudioError):
        return None
    return waveform.astype(np.float64)
