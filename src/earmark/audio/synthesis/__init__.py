"""Sounds made from arithmetic, for where there is no recording at hand: a scene whose truth is known.

Each sound is built the way its source works: a bell is struck and its partials die away, a siren sweeps, a rotor chops
noise. They are named as the categories of ESC-50.
"""

from earmark.audio.synthesis.catalogue import AUDIOSET, SILENCE, SOUNDS, SPEECH
from earmark.audio.synthesis.soundscape import Passage, scene
from earmark.audio.synthesis.speech import voice
from earmark.audio.synthesis.waves import SAMPLE_RATE_HZ

__all__ = ["AUDIOSET", "SAMPLE_RATE_HZ", "SILENCE", "SOUNDS", "SPEECH", "Passage", "scene", "voice"]
