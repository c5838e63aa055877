"""Speech made by espeak-ng: many voices in many languages, fast and slow, high and low."""

from dataclasses import dataclass

import numpy as np

from earmark.audio.synthesis.speech import speak
from everyday.labels import SPEECH
from everyday.sentences import text
from everyday.sound import Waveform
from everyday.waves import cut, peak_at

SECONDS = 5.0
WORDS_PER_MINUTE = (110, 220)
PITCH = (20, 80)
"""As espeak-ng counts it, 0 to 99."""

# espeak-ng speaks with its plain voice, and says nothing, where it does not know a variant or where, as for "en-gb" and
# "fr-fr", it takes none. A test holds that each of these changes the voice.
LANGUAGES = (
    *("en", "en-us", "en-gb-scotland", "en-029", "de", "fr", "fr-be", "es", "es-419", "pt", "pt-br", "nl", "sv"),
    *("ru", "tr", "da", "nb", "fi", "cs", "hu", "ro", "el", "uk", "id", "hi", "vi", "ar", "ca"),
)
HELD_OUT_LANGUAGES = ("it", "pl", "sw", "ko")
VARIANTS = (
    *("", "m1", "m2", "m3", "m4", "m5", "m6", "f1", "f2", "f3", "f4", "croak", "whisperf", "klatt2", "klatt4"),
    *("Alex", "Andrea", "Annie", "Diogo", "Gene", "Hugo", "Jacky", "linda", "Lee", "Michael", "zac", "grandma"),
)
HELD_OUT_VARIANTS = ("m7", "f5", "whisper", "Alicia", "Denis", "steph")
_HELD_OUT_SHARE = 0.15
_PEAK = 0.7
_WORDS = 40  # more than five seconds of the fastest voice
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Utterance:
    """Something to be said, and the voice that says it.

    Parameters
    ----------
    language, variant : str
        The voice of espeak-ng.
    words_per_minute, pitch : int
        Within `WORDS_PER_MINUTE` and `PITCH`.
    text : str
        In the language.
    start : float
        Where the five seconds are cut out of what is said, 0 at its begin, 1 at its end.
    """

    language: str
    variant: str
    words_per_minute: int
    pitch: int
    text: str
    start: float

    label = SPEECH

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Utterance":
        """Draw a voice and what it says. A voice that is held out has a language or a variant that no other has."""
        held_out = int(rng.random() < _HELD_OUT_SHARE) * int(rng.integers(1, 4))
        language = str(rng.choice(HELD_OUT_LANGUAGES if held_out & 1 else LANGUAGES))
        return cls(
            language=language,
            variant=str(rng.choice(HELD_OUT_VARIANTS if held_out & 2 else VARIANTS)),
            words_per_minute=int(rng.integers(*WORDS_PER_MINUTE, endpoint=True)),
            pitch=int(rng.integers(*PITCH, endpoint=True)),
            text=text(language, _WORDS, rng),
            start=float(rng.random()),
        )

    @property
    def voice(self) -> str:
        """As espeak-ng names it."""
        return f"{self.language}+{self.variant}" if self.variant else self.language

    @property
    def group(self) -> str:
        """The voice."""
        return f"espeak-ng:{self.voice}"

    @property
    def held_out(self) -> bool:
        """Whether the language or the variant is kept for the test."""
        return self.language in HELD_OUT_LANGUAGES or self.variant in HELD_OUT_VARIANTS

    def render(self) -> Waveform:
        """Return five seconds of it.

        Raises
        ------
        OSError, subprocess.SubprocessError
            If espeak-ng is not installed, or does not know the voice.
        """
        spoken = speak(
            self.text,
            voice=self.voice,
            words_per_minute=self.words_per_minute,
            pitch=self.pitch,
            timeout_seconds=_TIMEOUT_SECONDS,
        )
        return peak_at(_PEAK, cut(spoken, SECONDS, self.start))
