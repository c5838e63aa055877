"""Made sound: speech, music, noise and silence."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from everyday import score
from everyday.labels import SILENCE
from everyday.music import FAMILIES, HELD_OUT_FAMILIES, ROLES, SOUND_FONTS, Piece
from everyday.noise import NOISES, SILENCE_DB, Noise, Silence
from everyday.score import BEATS_A_BAR, Harmony
from everyday.sentences import GRAMMAR, text
from everyday.sound import NO_LABEL, RATE_HZ, Waveform
from everyday.speech import HELD_OUT_LANGUAGES, HELD_OUT_VARIANTS, LANGUAGES, VARIANTS, Utterance
from everyday.waves import coloured, cut, rms

needs_voice = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
needs_player = pytest.mark.skipif(
    not shutil.which("fluidsynth") or not any(Path(font).is_file() for font in SOUND_FONTS),
    reason="FluidSynth or its sound font is not installed",
)


def check_sound(waveform: Waveform) -> None:
    assert waveform.shape == (5 * RATE_HZ,)
    assert waveform.dtype == np.float32
    assert 0.65 < np.abs(waveform).max() < 0.75
    frames = np.abs(waveform).reshape(-1, RATE_HZ // 10).max(axis=1)
    assert np.mean(frames > 0.01) > 0.3, "it sounds, and not only for a moment"


def spoken(voice: str) -> bytes:
    return subprocess.run(["espeak-ng", "-v", voice, "--stdout", "12, 98"], capture_output=True, check=True).stdout


@pytest.mark.parametrize("draw", [Utterance.draw, Piece.draw, Noise.draw, Silence.draw])
def test_the_same_generator_draws_the_same_sound(draw: type) -> None:
    assert draw(np.random.default_rng(3)) == draw(np.random.default_rng(3))
    assert draw(np.random.default_rng(3)) != draw(np.random.default_rng(4))


@pytest.mark.parametrize("language", [*GRAMMAR, "cs"])
def test_there_is_something_to_say(language: str) -> None:
    said = text(language, 40, np.random.default_rng(1))
    assert len(said.split()) >= 40
    assert "{" not in said
    assert "|" not in said


@needs_voice
def test_every_voice_is_one_of_its_own() -> None:
    voices = [*LANGUAGES, *HELD_OUT_LANGUAGES, *(f"{name}+f2" for name in (*LANGUAGES, *HELD_OUT_LANGUAGES))]
    voices += [f"en+{variant}" for variant in (*VARIANTS, *HELD_OUT_VARIANTS) if variant and variant != "f2"]
    assert len({spoken(voice) for voice in voices}) == len(voices)


@needs_voice
def test_an_utterance_is_heard() -> None:
    utterance = Utterance.draw(np.random.default_rng(5))
    check_sound(utterance.render())
    assert np.array_equal(utterance.render(), utterance.render())


def test_voices_that_are_held_out_are_no_others() -> None:
    utterances = [Utterance.draw(np.random.default_rng(seed)) for seed in range(200)]
    held_out = {utterance.group for utterance in utterances if utterance.held_out}
    assert 10 < sum(utterance.held_out for utterance in utterances) < 60
    assert not held_out & {utterance.group for utterance in utterances if not utterance.held_out}


@pytest.mark.parametrize("role", ROLES)
def test_parts_are_written_within_reach(role: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        harmony = Harmony.draw(4, rng)
        notes = ROLES[role][0](harmony, rng)
        assert len(notes) >= 2
        assert all(20 <= note.pitch <= 110 and 1 <= note.velocity <= 127 for note in notes)
        assert all(0 <= note.onset < 4 * BEATS_A_BAR and note.beats > 0 for note in notes)


def test_rhythms_and_beats_fill_a_bar() -> None:
    assert all(sum(rhythm) == BEATS_A_BAR for rhythm in score.RHYTHMS)
    assert {len(steps) for beat in score.BEATS for steps in beat.values()} == {BEATS_A_BAR * score.STEPS_A_BEAT}


def test_instruments_that_are_held_out_play_in_no_other_piece() -> None:
    pieces = [Piece.draw(np.random.default_rng(seed)) for seed in range(100)]
    unheard = {program for family in HELD_OUT_FAMILIES for program in FAMILIES[family]}
    assert 3 < sum(piece.held_out for piece in pieces) < 35
    for piece in pieces:
        assert all((part.program in unheard) == piece.held_out for part in piece.parts if not part.drums)


@needs_player
def test_a_piece_is_heard() -> None:
    piece = Piece.draw(np.random.default_rng(6))
    check_sound(piece.render())
    assert np.array_equal(piece.render(), piece.render())


@pytest.mark.parametrize("kind", NOISES)
def test_noises_are_heard_and_have_no_label(kind: str) -> None:
    noise = Noise(kind, seed=1, held_out=False)
    waveform = noise.render()
    assert noise.label == NO_LABEL
    assert waveform.shape == (5 * RATE_HZ,)
    assert 10 ** (-30.1 / 20) < np.abs(waveform).max() < 10 ** (-2.9 / 20)
    assert np.array_equal(waveform, noise.render())


def test_silence_is_silent() -> None:
    rng = np.random.default_rng(1)
    drawn = [Silence.draw(rng) for _ in range(40)]
    peaks = np.array([np.abs(silence.render()).max() for silence in drawn])
    assert {silence.label for silence in drawn} == {SILENCE}
    assert np.any(peaks == 0)
    assert np.all((peaks == 0) | (peaks > 0.99 * 10 ** (SILENCE_DB[0] / 20)))
    assert peaks.max() < 1.01 * 10 ** (SILENCE_DB[1] / 20)


def test_coloured_noise_falls_with_the_frequency() -> None:
    wave = coloured(1 << 16, 2.0, np.random.default_rng(1))
    power = np.abs(np.fft.rfft(wave)) ** 2
    octave = len(power) // 8
    assert rms(wave) == pytest.approx(1)
    assert power[octave : 2 * octave].mean() / power[2 * octave : 4 * octave].mean() == pytest.approx(4, rel=0.15)


def test_what_is_too_short_is_repeated() -> None:
    waveform = np.arange(RATE_HZ, dtype=np.float32)
    assert np.array_equal(cut(waveform, 2.0, 0.7), np.tile(waveform, 2))
    assert cut(waveform, 0.5, 1.0)[0] == RATE_HZ / 2
