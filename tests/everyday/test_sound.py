"""Lists of sounds, and the recordings of others that are taken."""

from collections import Counter
from pathlib import Path

import pytest

from earmark.errors import ManifestError
from everyday.labels import LABELS, MUSIC, SILENCE, SPEECH
from everyday.sound import Sound, read_sounds, write_sounds
from everyday.sources import FREE, HELD_OUT_INSTRUMENTS, STROKES, esc50, instruments, shared_sounds, speech


def test_a_list_comes_back_as_it_was_written(tmp_path: Path) -> None:
    sounds = [
        Sound(tmp_path / "made" / "a.flac", "", "noise:1", "arithmetic", "us", "Apache-2.0", held_out=True),
        Sound(tmp_path.parent / "b.flac", "dog", "esc50:7", "ESC-50", "Anna, of the hills", "CC0", fold="3"),
    ]
    table = tmp_path / "made" / "sounds.csv"
    table.parent.mkdir()
    write_sounds(table, sounds)
    assert read_sounds(table) == sounds
    assert str(tmp_path) not in table.read_text(encoding="utf-8"), "the folder may move"


def test_another_list_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text("path,label\na.flac,dog\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"other\.csv has the columns .* run python -m everyday\.make"):
        read_sounds(table)


@pytest.mark.shared
def test_only_free_clips_of_esc50_are_taken(shared: Path) -> None:
    free, every = esc50(shared), esc50(shared, clean=False)
    assert {sound.licence for sound in free} == set(FREE)
    assert len(every) == 2000
    assert set(free) < set(every)
    assert {sound.label for sound in free} == set(LABELS) - {SPEECH, MUSIC, SILENCE}
    assert all(sound.author and sound.fold and not sound.held_out for sound in free)


@pytest.mark.shared
def test_the_digits_are_left_out_and_whole_sources_held_out(shared: Path) -> None:
    sounds = speech(shared)
    kept = Counter((sound.source, sound.label, sound.held_out) for sound in sounds)
    assert kept == {
        ("speech-commands", SPEECH, False): 220,
        ("wake-words", SPEECH, True): 140,
        ("speech-music-silence", SPEECH, False): 40,
        **{("speech-music-silence", label, False): 30 for label in (MUSIC, SILENCE)},
        **{("speech-music-silence", label, True): 10 for label in (MUSIC, SILENCE)},
    }
    assert "speech-commands:037c445a" in {sound.group for sound in sounds}


@pytest.mark.shared
def test_instruments_are_music_but_for_single_strokes(shared: Path) -> None:
    sounds = instruments(shared)
    named = {sound.group.removeprefix("instruments:") for sound in sounds}
    assert len(named) == 7
    assert not named & STROKES
    held_out = {sound.group.removeprefix("instruments:") for sound in sounds if sound.held_out}
    assert held_out == HELD_OUT_INSTRUMENTS


@pytest.mark.shared
def test_what_is_held_out_shares_nothing_with_the_rest(shared: Path) -> None:
    sounds = shared_sounds(shared)
    assert all(sound.path.is_file() for sound in sounds)
    assert len({sound.path for sound in sounds}) == len(sounds)
    held_out = {sound.group for sound in sounds if sound.held_out}
    assert not held_out & {sound.group for sound in sounds if not sound.held_out}
