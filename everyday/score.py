"""Written music: keys, chords, tunes, bass lines and beats, drawn at random by rules that make them sound like it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BEATS_A_BAR = 4
STEPS_A_BEAT = 4

MODES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "pentatonic": (0, 2, 4, 7, 9),
}
"""Semitones above the keynote."""

PROGRESSIONS = (
    (0, 3, 4, 0),
    (0, 4, 5, 3),
    (5, 3, 0, 4),
    (0, 5, 3, 4),
    (0, 0, 3, 4),
    (1, 4, 0, 0),
    (0, 6, 5, 4),
    (0, 2, 3, 3),
)
"""Degrees of the scale on which chords stand, one a bar; 0 is the keynote."""

KICK, SNARE, CLAP, HAT, OPEN_HAT, RIDE, TOM = 36, 38, 39, 42, 46, 51, 45
BEATS: tuple[dict[int, str], ...] = (
    {KICK: "x.......x.......", SNARE: "....x.......x...", HAT: "x.x.x.x.x.x.x.x."},
    {KICK: "x...x...x...x...", CLAP: "....x.......x...", OPEN_HAT: "..x...x...x...x."},
    {KICK: "x..x..x...x.....", SNARE: "....x..x.x..x...", HAT: "xxxxxxxxxxxxxxxx"},
    {KICK: "x.....x.x.....x.", SNARE: "...x..x...x..x..", RIDE: "x.x.x.x.x.x.x.x."},
    {KICK: "x.......x.x.....", SNARE: "....x.......x..x", RIDE: "x..xx..xx..xx..x"},
    {KICK: "x..x....x..x....", TOM: "......x.x.....xx", HAT: "x...x...x...x..."},
    {RIDE: "x...x..xx...x..x", HAT: "....x.......x..."},
)
"""Sixteen steps a bar, an x where the drum is struck."""

RHYTHMS = (
    (1, 1, 1, 1),
    (2, 1, 1),
    (0.5,) * 8,
    (1.5, 0.5, 2),
    (1, 0.5, 0.5, 1, 1),
    (0.5, 0.5, 1, 2),
    (3, 1),
    (4,),
    (0.25,) * 16,
    (0.75, 0.75, 0.5, 1, 1),
)
"""Lengths of notes in beats; each fills a bar."""

_CALM_RHYTHMS = RHYTHMS[:-2]  # for chords and bass


class Note(NamedTuple):
    """A note: MIDI pitch 0 to 127, onset and length in beats, velocity 1 to 127."""

    pitch: int
    onset: float
    beats: float
    velocity: int


@dataclass(frozen=True)
class Harmony:
    """What all parts of a piece have in common.

    Parameters
    ----------
    keynote : int
        MIDI pitch, 48 to 59.
    scale : tuple of int
        Semitones above the keynote.
    chords : tuple of int
        Degree on which the chord of each bar stands.
    """

    keynote: int
    scale: tuple[int, ...]
    chords: tuple[int, ...]

    @classmethod
    def draw(cls, bars: int, rng: np.random.Generator) -> "Harmony":
        """Draw a key, a mode and a progression that is repeated."""
        progression = PROGRESSIONS[rng.integers(len(PROGRESSIONS))]
        mode = str(rng.choice(list(MODES)))
        return cls(int(rng.integers(48, 60)), MODES[mode], tuple(np.resize(progression, bars).tolist()))

    def pitch(self, degree: int) -> int:
        """Return the MIDI pitch of a degree of the scale; degrees go on above and below the octave."""
        octave, step = divmod(degree, len(self.scale))
        return self.keynote + 12 * octave + self.scale[step]

    def chord(self, bar: int, notes: int = 3) -> list[int]:
        """Return the degrees of the chord of a bar: every other one from its root."""
        return [self.chords[bar] + 2 * note for note in range(notes)]


Notes = list[Note]
Writer = Callable[[Harmony, np.random.Generator], Notes]


def melody(harmony: Harmony, rng: np.random.Generator) -> Notes:
    """Walk up and down the scale, a note of the chord on each first beat, now and then a rest."""
    register, rests = int(rng.choice([0, 12, 12, 24])), rng.uniform(0, 0.25)
    rhythms = rng.integers(len(RHYTHMS), size=2)
    degree, notes = int(rng.integers(0, 7)), []
    for bar in range(len(harmony.chords)):
        onset = float(bar * BEATS_A_BAR)
        degree = _nearest(degree, harmony.chord(bar), len(harmony.scale))
        for beats in RHYTHMS[rhythms[bar % 2]]:
            if rng.random() >= rests:
                notes.append(Note(harmony.pitch(degree) + register, onset, beats * 0.95, _velocity(rng, onset)))
            degree = int(np.clip(degree + rng.choice([-2, -1, -1, 0, 1, 1, 2]), -3, 10))
            onset += beats
    return notes


def chords(harmony: Harmony, rng: np.random.Generator) -> Notes:
    """Strike the chord of each bar, held or in a rhythm."""
    rhythm, notes_a_chord = _CALM_RHYTHMS[rng.integers(len(_CALM_RHYTHMS))], int(rng.integers(3, 5))
    notes = []
    for bar in range(len(harmony.chords)):
        onset = float(bar * BEATS_A_BAR)
        for beats in rhythm:
            velocity = _velocity(rng, onset) - 15
            notes += [Note(harmony.pitch(d), onset, beats * 0.95, velocity) for d in harmony.chord(bar, notes_a_chord)]
            onset += beats
    return notes


def pad(harmony: Harmony, rng: np.random.Generator) -> Notes:
    """Hold each chord for its whole bar, wide apart."""
    velocity = int(rng.integers(60, 100))
    return [
        Note(harmony.pitch(degree) + 12 * (voice % 2), float(bar * BEATS_A_BAR), float(BEATS_A_BAR), velocity)
        for bar in range(len(harmony.chords))
        for voice, degree in enumerate(harmony.chord(bar, 4))
    ]


def arpeggio(harmony: Harmony, rng: np.random.Generator) -> Notes:
    """Break each chord into even notes, in a pattern that comes back."""
    pattern = rng.integers(0, 5, size=int(rng.choice([3, 4, 6, 8])))
    length, register = float(rng.choice([0.25, 0.5, 1 / 3])), int(rng.choice([0, 12]))
    notes = []
    for number in range(round(len(harmony.chords) * BEATS_A_BAR / length)):
        onset = number * length
        degree = harmony.chord(int(onset + 1e-6) // BEATS_A_BAR, 5)[pattern[number % len(pattern)]]
        notes.append(Note(harmony.pitch(degree) + register, onset, length, _velocity(rng, onset)))
    return notes


def bass(harmony: Harmony, rng: np.random.Generator) -> Notes:
    """Play the root of each chord, and its fifth now and then, low."""
    rhythm = _CALM_RHYTHMS[rng.integers(len(_CALM_RHYTHMS))]
    notes = []
    for bar, root in enumerate(harmony.chords):
        onset = float(bar * BEATS_A_BAR)
        for beats in rhythm:
            degree = root if onset % BEATS_A_BAR == 0 else root + int(rng.choice([0, 0, 4, 7]))
            pitch = (harmony.pitch(degree) - 12) % 24 + 28
            notes.append(Note(pitch, onset, beats * 0.9, _velocity(rng, onset)))
            onset += beats
    return notes


def drums(harmony: Harmony, rng: np.random.Generator) -> Notes:
    """Beat one of `BEATS`, some of its strokes left out."""
    beat, left_out = BEATS[rng.integers(len(BEATS))], rng.uniform(0, 0.15)
    return [
        Note(drum, bar * BEATS_A_BAR + step / STEPS_A_BEAT, 0.2, _velocity(rng, step / STEPS_A_BEAT))
        for bar in range(len(harmony.chords))
        for drum, steps in beat.items()
        for step, stroke in enumerate(steps)
        if stroke == "x" and rng.random() >= left_out
    ]


def _nearest(degree: int, chord: list[int], octave: int) -> int:
    """Return the note of a chord, in any octave, that is nearest to a degree."""
    candidates: NDArray[np.int_] = np.array([note + shift for note in chord for shift in (-octave, 0, octave)])
    return int(candidates[np.abs(candidates - degree).argmin()])


def _velocity(rng: np.random.Generator, onset: float) -> int:
    """Return how hard a note is struck: harder on the first beat of a bar, never twice the same."""
    return int(np.clip(rng.normal(95 if onset % BEATS_A_BAR == 0 else 82, 8), 30, 127))
