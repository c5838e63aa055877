"""Sounds made from arithmetic, for where there is no recording at hand: a scene whose truth is known.

Each sound is built the way its source works: a bell is struck and its partials die away, a siren sweeps, a rotor chops
noise. Labels are AudioSet's.
"""

import shutil
import subprocess
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earmark.audio.decode import read_audio
from earmark.errors import AudioError

__all__ = ["SAMPLE_RATE_HZ", "SOUNDS", "Passage", "scene", "voice"]

SAMPLE_RATE_HZ = 16_000
"""Of everything made here."""

SENTENCE = "This is earmark. It says what is heard, when, and how sure it is."

_GAP_SECONDS = 0.5
_PEAK = 0.5
_ROOM_TONE = 1e-4  # RMS: a pause in a recording is never digital silence
_VOICE_TIMEOUT_SECONDS = 10.0

Wave = NDArray[np.float64]


class Passage(NamedTuple):
    """One sound of a scene: what it is, and from when to when, in seconds."""

    label: str
    onset: float
    offset: float


def scene(rng: np.random.Generator) -> tuple[NDArray[np.float32], list[Passage]]:
    """Make a recording of about 40 s: a voice where espeak-ng is installed, then one sound after the other.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where its noise, its bird and its drops come from.

    Returns
    -------
    waveform : ndarray of float32, shape (samples,)
        In [-1, 1], at `SAMPLE_RATE_HZ`.
    truth : list of Passage
        What sounds when, by onset; passages do not overlap.
    """
    spoken = voice()
    sounds = [] if spoken is None else [("Speech", spoken)]
    sounds += [(label, make(rng, seconds)) for label, (make, seconds) in SOUNDS.items()]
    pause = np.zeros(round(_GAP_SECONDS * SAMPLE_RATE_HZ))
    parts, truth, samples = [pause], [], len(pause)
    for label, wave in sounds:
        truth.append(Passage(label, samples / SAMPLE_RATE_HZ, (samples + len(wave)) / SAMPLE_RATE_HZ))
        parts += [_faded(wave * (_PEAK / np.abs(wave).max())), pause]
        samples += len(wave) + len(pause)
    waveform = np.concatenate(parts)
    return (waveform + _ROOM_TONE * rng.standard_normal(len(waveform))).astype(np.float32), truth


def voice(text: str = SENTENCE) -> Wave | None:
    """Return a sentence spoken by espeak-ng, shape (samples,), or None where it is not installed or does not work."""
    program = shutil.which("espeak-ng")
    if program is None:
        return None
    command = [program, "-v", "en", "-s", "160", "--stdout", text]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=_VOICE_TIMEOUT_SECONDS)  # noqa: S603 - fixed words
        waveform, _ = read_audio(done.stdout, SAMPLE_RATE_HZ)
    except (OSError, subprocess.SubprocessError, AudioError):
        return None
    return waveform.astype(np.float64)


def _bird(rng: np.random.Generator, seconds: float) -> Wave:
    """Sing like a bird: phrases of short whistles around 4 kHz, each of which glides and warbles."""
    time = _time(seconds)
    wave = np.zeros_like(time)
    at = 0.1
    while at < seconds - 0.6:
        pitch_hz = rng.uniform(3000, 5000)
        for _ in range(rng.integers(3, 6)):
            length = rng.uniform(0.05, 0.12)
            glide, warbles = rng.uniform(-0.3, 0.3), rng.integers(1, 4)
            inside = (time >= at) & (time < at + length)
            part = (time[inside] - at) / length
            note_hz = pitch_hz * (1 + glide * part + 0.08 * np.sin(2 * np.pi * warbles * part))
            wave[inside] = _tone(note_hz) * np.sin(np.pi * part) ** 1.5
            at += length + rng.uniform(0.02, 0.06)
        at += rng.uniform(0.1, 0.3)
    return _in_room(rng, wave, 0.5, 0.2)


def _whistling(rng: np.random.Generator, seconds: float) -> Wave:
    """Whistle a tune: almost a sine, with vibrato, and breath around it."""
    tune_hz = np.array([1400, 1570, 1760, 1400, 1320, 1570, 1200, 1400])
    time = _time(seconds)
    notes = time / seconds * len(tune_hz)
    glide = np.hanning(round(0.1 * SAMPLE_RATE_HZ))
    steady = np.pad(tune_hz[notes.astype(int)], len(glide) // 2, mode="edge")
    pitch_hz = np.convolve(steady, glide / glide.sum(), "same")[len(glide) // 2 :][: len(time)]
    tone = _tone(pitch_hz * (1 + 0.008 * np.sin(2 * np.pi * 5.5 * time)), 1, 0.04, 0.02)
    swell = np.minimum(1, 0.1 + 2.2 * np.abs(np.sin(np.pi * notes)))
    breath = rng.standard_normal(len(time))
    return _in_room(rng, swell * tone + breath * (0.05 * tone + 0.01), 0.3, 0.25)


def _bell(rng: np.random.Generator, seconds: float) -> Wave:
    """Strike a bell: inharmonic partials (hum, prime, tierce, quint, nominal), high ones gone first."""
    ratios = np.array([0.5, 0.503, 1, 1.2, 1.5, 2, 2.02, 2.67, 3, 4.1, 5.4, 6.8, 8.2])
    levels = np.array([0.4, 0.3, 0.9, 0.8, 0.3, 1, 0.5, 0.6, 0.5, 0.6, 0.4, 0.3, 0.25])
    decays = np.array([0.4, 0.4, 0.9, 1, 1.5, 1.2, 1.2, 2.5, 2.5, 3.5, 5, 7, 9])
    time = _time(seconds)
    wave = np.zeros_like(time)
    for at in np.arange(0.05, seconds - 0.5, 1.4):
        wave += _struck(time - at, 523 * ratios, levels, decays)
        wave += 0.8 * _dying(time - at, 120) * rng.standard_normal(len(time))  # the clapper
    return _in_room(rng, wave, 1.5, 0.3)


def _telephone(rng: np.random.Generator, seconds: float) -> Wave:
    """Ring like an old telephone: a hammer between two gongs, 20 strokes a second."""
    gongs_hz = np.array([[1450, 2210, 3990, 5230], [1700, 2570, 4620, 6030]])
    levels, decays = np.array([1, 0.7, 0.6, 0.4]), 9 * np.sqrt(np.arange(1, 5))
    time = _time(seconds)
    wave = np.zeros_like(time)
    for stroke, at in enumerate(np.arange(0, seconds - 0.6, 1 / 20)):
        wave += rng.uniform(0.8, 1.2) * _struck(time - at, gongs_hz[stroke % 2], levels, decays)
    return _in_room(rng, wave, 0.3, 0.25)


def _siren(rng: np.random.Generator, seconds: float) -> Wave:
    """Yelp like a police car: three upward sweeps a second through an overdriven horn."""
    sweep_hz = 600 + 900 * (3 * _time(seconds) % 1)
    return _in_room(rng, np.tanh(2 * _tone(sweep_hz, 1, 0.4, 0.3, 0.15)), 0.4, 0.25)


def _horn(rng: np.random.Generator, seconds: float) -> Wave:
    """Blow a car's two horns, about a third apart, twice."""
    time = _time(seconds)
    horns = sum(_tone(np.full_like(time, hz), 1, 0.9, 0.8, 0.7, 0.5, 0.4, 0.3, 0.2) for hz in (420.0, 500.0))
    blown = (time % (seconds / 2)) < 0.85 * seconds / 2
    return _in_room(rng, np.tanh(1.5 * horns) * blown, 0.4, 0.25)


def _helicopter(rng: np.random.Generator, seconds: float) -> Wave:
    """Chop low noise with the blades of a rotor, 13 a second."""
    blades = np.exp(-5 * (13 * _time(seconds) % 1))
    chopped = np.tanh(6 * blades * _noise(rng, seconds, low_hz=60, high_hz=900, slope=0.6))
    return _in_room(rng, chopped + 0.1 * _noise(rng, seconds, low_hz=300, high_hz=3000), 0.1, 0.1)


def _drum_machine(rng: np.random.Generator, seconds: float) -> Wave:
    """Beat bass drum, snare and hi-hat in four-four time, 100 beats a minute."""
    time = _time(seconds)
    wave = np.zeros_like(time)
    for step, at in enumerate(np.arange(0.05, seconds - 0.1, 0.15)):
        after, hiss = time - at, rng.standard_normal(len(time) + 1)
        wave += 0.15 * _dying(after, 60) * np.diff(hiss)
        if step % 4 == 0:
            thump_turns = 50 * after + 8 * (1 - np.exp(-30 * np.maximum(after, 0)))
            wave += 1.2 * _dying(after, 9) * np.sin(2 * np.pi * thump_turns)
        if step % 8 == 4:
            wave += 0.7 * _dying(after, 18) * hiss[1:] + 0.5 * _dying(after, 20) * np.sin(2 * np.pi * 190 * after)
    return wave


def _waterfall(rng: np.random.Generator, seconds: float) -> Wave:
    """Rush like falling water: steady noise, most of it from 500 Hz to 7 kHz."""
    return _noise(rng, seconds, low_hz=500, high_hz=7000, slope=0.5)


def _drops(rng: np.random.Generator, seconds: float) -> Wave:
    """Drip into water: each drop traps a bubble, whose tone rises as it dies."""
    time = _time(seconds)
    wave = np.zeros_like(time)
    for at in np.arange(0.1, seconds - 0.2, 0.45):
        after, bubble_hz = time - at, rng.uniform(700, 1100)
        wave += _dying(after, 35) * np.sin(2 * np.pi * bubble_hz * (after + 4 * after**2))
    return _in_room(rng, wave, 0.5, 0.3)


def _sine(_: np.random.Generator, seconds: float) -> Wave:
    """Hold concert pitch."""
    return np.asarray(np.sin(2 * np.pi * 440 * _time(seconds)))


SOUNDS: dict[str, tuple[Callable[[np.random.Generator, float], Wave], float]] = {
    "Bird": (_bird, 2.6),
    "Whistling": (_whistling, 2.6),
    "Bell": (_bell, 3.0),
    "Telephone bell ringing": (_telephone, 2.4),
    "Siren": (_siren, 2.4),
    "Vehicle horn, car horn, honking": (_horn, 2.4),
    "Helicopter": (_helicopter, 2.6),
    "Drum machine": (_drum_machine, 2.4),
    "Waterfall": (_waterfall, 2.4),
    "Plop": (_drops, 2.4),
    "Sine wave": (_sine, 2.0),
}
"""Every sound but the voice, by its label: what makes it, and for how many seconds in the scene."""


def _time(seconds: float) -> Wave:
    return np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def _tone(pitch_hz: Wave, *levels: float) -> Wave:
    """Return harmonics of a pitch that may change, the first of level 1 unless told."""
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    return np.asarray(sum(level * np.sin(k * phase) for k, level in enumerate(levels or (1.0,), start=1)))


def _dying(after: Wave, decay: float) -> Wave:
    """Return 0 before a stroke, then 1 falling by `decay` nepers a second; `after` is seconds since the stroke."""
    return np.where(after >= 0, np.exp(-decay * np.maximum(after, 0)), 0.0)


def _struck(after: Wave, partials_hz: Wave, levels: Wave, decays: Wave) -> Wave:
    """Return the partials of a struck body, each with a level and a decay."""
    partials = zip(partials_hz, levels, decays, strict=True)
    return np.asarray(
        sum(level * _dying(after, decay) * np.sin(2 * np.pi * hz * after) for hz, level, decay in partials)
    )


def _noise(rng: np.random.Generator, seconds: float, *, low_hz: float, high_hz: float, slope: float = 0.0) -> Wave:
    """Return noise of a band, peak 1, whose amplitude falls with the frequency to the power of `slope`."""
    samples = round(seconds * SAMPLE_RATE_HZ)
    hz = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ), 1.0)
    gain = 1 / (1 + (low_hz / hz) ** 2) / (1 + (hz / high_hz) ** 2) / np.maximum(hz, low_hz) ** slope
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * gain, samples)
    return np.asarray(noise / np.abs(noise).max())


def _in_room(rng: np.random.Generator, wave: Wave, decay_seconds: float, wet: float) -> Wave:
    """Add the reverberation of a room, decaying by 60 dB in so many seconds, cut where the sound ends."""
    tail = round(decay_seconds * SAMPLE_RATE_HZ)
    echoes = rng.standard_normal(tail) * 10 ** (-3 * np.arange(tail) / tail)
    samples = len(wave) + tail
    reverberation = np.fft.irfft(np.fft.rfft(wave, samples) * np.fft.rfft(echoes, samples), samples)[: len(wave)]
    return np.asarray(wave + wet * reverberation / np.linalg.norm(echoes))


def _faded(wave: Wave, seconds: float = 0.005) -> Wave:
    """Return the wave without a click at its ends."""
    ramp = np.sin(np.linspace(0, np.pi / 2, round(seconds * SAMPLE_RATE_HZ))) ** 2
    faded = wave.copy()
    faded[: len(ramp)] *= ramp
    faded[-len(ramp) :] *= ramp[::-1]
    return faded
