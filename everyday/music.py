"""Music made by FluidSynth from written scores and the General MIDI sound font: from a flute alone to a band."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.audio.decode import read_audio
from earmark.errors import AudioError, needs_extra
from everyday import score
from everyday.labels import MUSIC
from everyday.score import BEATS_A_BAR, Harmony, Notes, Writer
from everyday.sound import RATE_HZ, Waveform
from everyday.waves import cut, peak_at

SECONDS = 5.0
BEATS_A_MINUTE = (60, 180)
SOUND_FONTS = ("/usr/share/sounds/sf2/FluidR3_GM.sf2", "/usr/share/sounds/sf2/default-GM.sf2")

FAMILIES = {
    "piano": range(8),
    "bells": range(8, 16),
    "organ": range(16, 24),
    "guitar": range(24, 32),
    "bass": range(32, 40),
    "strings": range(40, 47),
    "ensemble": range(48, 55),
    "brass": range(56, 64),
    "reed": range(64, 72),
    "pipe": range(72, 80),
    "lead": range(80, 88),
    "pad": range(88, 96),
    "effects": range(96, 104),
    "ethnic": range(104, 112),
}
"""Instruments of General MIDI, counted from 0. Timpani, orchestra hits, percussion and sound effects are left out."""

HELD_OUT_FAMILIES = ("reed", "ethnic")
KITS, HELD_OUT_KITS = (0, 8, 16, 24, 25), (32, 40)
_DRUM_CHANNEL = 9
_HIGHEST, _HIGHEST_OF = 84, {13: 79, 28: 61, 43: 55, 58: 70, 67: 70}
"""MIDI pitch above which the font has no samples of an instrument, measured every third note."""

ROLES: dict[str, tuple[Writer, tuple[str, ...]]] = {
    "melody": (
        score.melody,
        ("piano", "bells", "organ", "guitar", "strings", "ensemble", "brass", "pipe", "pipe", "lead"),
    ),
    "chords": (score.chords, ("piano", "piano", "bells", "organ", "guitar", "guitar", "ensemble", "brass", "lead")),
    "pad": (score.pad, ("organ", "strings", "ensemble", "ensemble", "brass", "pad", "effects")),
    "arpeggio": (score.arpeggio, ("piano", "bells", "guitar", "strings", "lead", "pad", "effects")),
    "bass": (score.bass, ("bass",)),
    "drums": (score.drums, ()),
}
"""Parts of a piece: who writes them, and which families play them."""

STYLES = (
    *(("melody",), ("melody",), ("chords",), ("pad",), ("arpeggio",), ("melody", "chords"), ("melody", "pad")),
    *(("melody", "arpeggio"), ("melody", "bass"), ("drums", "bass"), ("drums", "bass", "chords"), ("pad", "arpeggio")),
    *(("drums", "bass", "chords", "melody"), ("drums", "bass", "pad", "melody"), ("drums", "bass", "arpeggio")),
    ("drums", "bass", "chords", "arpeggio", "melody"),
)

_HELD_OUT_SHARE = 0.15
_PEAK = 0.7
_MOST_START_SECONDS = 2.0
_TICKS_A_BEAT = 480
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Part:
    """One instrument and its notes.

    Parameters
    ----------
    program : int
        Instrument of General MIDI, counted from 0; the kit, for drums.
    drums : bool
        Whether the notes are drums.
    notes : list of Note
        What it plays.
    """

    program: int
    drums: bool
    notes: Notes


@dataclass(frozen=True)
class Piece:
    """A piece of music.

    Parameters
    ----------
    beats_a_minute : int
        Within `BEATS_A_MINUTE`.
    parts : tuple of Part
        One to five.
    reverb : bool
        Whether FluidSynth adds its room.
    start : float
        Where the five seconds begin, in seconds.
    held_out : bool
        Whether its instruments are kept for the test; no other piece has one of them.
    """

    beats_a_minute: int
    parts: tuple[Part, ...]
    reverb: bool
    start: float
    held_out: bool

    label = MUSIC

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Piece":
        """Draw a style, the instruments, and what they play."""
        held_out = bool(rng.random() < _HELD_OUT_SHARE)
        tempo = int(rng.integers(*BEATS_A_MINUTE, endpoint=True))
        bars = int(np.ceil((SECONDS + _MOST_START_SECONDS) * tempo / 60 / BEATS_A_BAR)) + 1
        harmony = Harmony.draw(bars, rng)
        style = STYLES[rng.integers(len(STYLES))]
        parts = tuple(_part(role, harmony, held_out=held_out, rng=rng) for role in style)
        return cls(tempo, parts, bool(rng.random() < 0.5), float(rng.uniform(0, _MOST_START_SECONDS)), held_out)

    @property
    def group(self) -> str:
        """The set of instruments."""
        return "music:" + "+".join(sorted({f"kit{p.program}" if p.drums else str(p.program) for p in self.parts}))

    def write(self, path: Path) -> None:
        """Write it as MIDI.

        Raises
        ------
        MissingExtraError
            If mido is not installed.
        """
        with needs_extra("dev", "made music"):
            import mido
        file = mido.MidiFile(ticks_per_beat=_TICKS_A_BEAT)
        file.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(self.beats_a_minute))]))
        for number, part in enumerate(self.parts):
            channel = _DRUM_CHANNEL if part.drums else number
            track = mido.MidiTrack([mido.Message("program_change", channel=channel, program=part.program)])
            last = 0
            for tick, kind, pitch, velocity in _ticks(part.notes):
                track.append(mido.Message(kind, channel=channel, note=pitch, velocity=velocity, time=tick - last))
                last = tick
            file.tracks.append(track)
        file.save(path)

    def render(self) -> Waveform:
        """Return five seconds of it.

        Raises
        ------
        AudioError
            If there is no sound font.
        OSError, subprocess.SubprocessError
            If FluidSynth is not installed, or fails.
        """
        with tempfile.TemporaryDirectory() as folder:
            midi, wav = Path(folder, "piece.mid"), Path(folder, "piece.wav")
            self.write(midi)
            # All instruments of the font would be read but for dynamic loading. 48 kHz: FluidSynth folds back what it
            # plays above half its rate.
            options = ["-ni", "-q", "-o", "synth.dynamic-sample-loading=1", "-R", str(int(self.reverb)), "-C", "0"]
            command = ["fluidsynth", *options, "-r", "48000", "-T", "wav", "-F", str(wav), sound_font(), str(midi)]
            subprocess.run(command, capture_output=True, check=True, timeout=_TIMEOUT_SECONDS)
            played, _ = read_audio(wav, RATE_HZ, start=self.start, end=self.start + SECONDS)
        return peak_at(_PEAK, cut(played, SECONDS, 0.0))


def sound_font() -> str:
    """Return the path of the sound font.

    Raises
    ------
    AudioError
        If none of `SOUND_FONTS` is there.
    """
    found = next((font for font in SOUND_FONTS if Path(font).is_file()), None)
    if found is None:
        raise AudioError(f"there is no sound font {SOUND_FONTS[0]}: install Debian's package fluid-soundfont-gm")
    return found


def _part(role: str, harmony: Harmony, *, held_out: bool, rng: np.random.Generator) -> Part:
    writer, families = ROLES[role]
    if role == "drums":
        program = rng.choice(HELD_OUT_KITS if held_out else KITS)
    else:
        program = rng.choice(FAMILIES[str(rng.choice(HELD_OUT_FAMILIES if held_out else families))])
    return Part(int(program), role == "drums", _playable(writer(harmony, rng), int(program)))


def _playable(notes: Notes, program: int) -> Notes:
    """Return notes, those that the instrument does not reach so many octaves lower that it does."""
    highest = _HIGHEST_OF.get(program, _HIGHEST)
    return [note._replace(pitch=note.pitch - 12 * max(0, -((highest - note.pitch) // 12))) for note in notes]


def _ticks(notes: Notes) -> list[tuple[int, str, int, int]]:
    """Return tick, kind, pitch and velocity of all messages in order of time; a note ends before the next begins."""
    messages = []
    for note in notes:
        onset, end = round(note.onset * _TICKS_A_BEAT), round((note.onset + note.beats) * _TICKS_A_BEAT)
        messages += [(onset, "note_on", note.pitch, note.velocity), (end, "note_off", note.pitch, 0)]
    return sorted(messages)  # at one tick "note_off" sorts before "note_on"
