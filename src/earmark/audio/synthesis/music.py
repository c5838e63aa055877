"""What is played: a drum and a tune."""

import numpy as np

from earmark.audio.synthesis.waves import Wave, dying, in_room, struck, time_of

_BEAT_SECONDS = 0.3
_TUNE = (0, 4, 7, 12, 9, 7, 5, 4, 2, 7)  # semitones above C
_CHORDS = ((0, 4, 7), (-3, 0, 4), (-7, -3, 0), (-5, -1, 2))


def music(rng: np.random.Generator, seconds: float) -> Wave:
    """Play a tune over chords on plucked strings, with a bass drum and a hi-hat in time."""
    time = time_of(seconds)
    wave = np.zeros_like(time)
    for beat, at in enumerate(np.arange(0.05, seconds - 0.1, _BEAT_SECONDS)):
        after = time - at
        wave += 0.9 * _plucked(after, 523.25, _TUNE[beat % len(_TUNE)])
        if beat % 2 == 0:
            wave += sum(0.45 * _plucked(after, 261.63, semitones) for semitones in _CHORDS[beat // 2 % 4])
            wave += 0.8 * _plucked(after, 130.81, _CHORDS[beat // 2 % 4][0])
            wave += 1.2 * dying(after, 14) * np.sin(2 * np.pi * (50 * after + 4 * (1 - np.exp(-30 * after.clip(0)))))
        wave += 0.2 * dying(after, 60) * np.diff(rng.standard_normal(len(time) + 1))
    return in_room(rng, wave, 0.6, 0.2)


def _plucked(after: Wave, base_hz: float, semitones: float) -> Wave:
    """Return a plucked string: harmonics, the high ones weaker and gone first."""
    harmonics = np.arange(1.0, 7.0)
    pitch_hz = base_hz * 2 ** (semitones / 12)
    return struck(after, pitch_hz * harmonics, 1 / harmonics, 2.5 + 1.5 * harmonics)
