"""Soundscapes: events where they say, as loud as drawn."""

from itertools import pairwise

import numpy as np
import pytest

from everyday.scenes import (
    APART_SECONDS,
    LONGEST_SECONDS,
    NOISES,
    SCENE_SECONDS,
    SNR_DB,
    longest_sound,
    make_scene,
)
from everyday.sound import RATE_HZ

LENGTHS = {"a": 0.5, "b": 1.0, "c": 3.0, "d": 6.0, "e": 4.5}


def tone(seconds, hz=440.0):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ).astype(np.float32)


def test_a_sound_is_its_longest_stretch_without_a_pause():
    silence = np.zeros(RATE_HZ, np.float32)
    short, long, tail = tone(0.5), tone(1.0), 0.001 * tone(2.0)
    found = longest_sound(np.concatenate([silence, short, silence, 0.5 * long, tail]))
    assert found is not None
    assert len(found) / RATE_HZ == pytest.approx(1.0, abs=0.04)
    assert np.abs(found).max() == pytest.approx(0.5, abs=1e-3)
    assert longest_sound(silence) is None
    assert longest_sound(np.concatenate([silence, tone(0.1)])) is None


def test_scenes_hold_events_at_the_times_that_they_say(rng):
    sounds = [(name, tone(seconds, 200.0 * (1 + index))) for index, (name, seconds) in enumerate(LENGTHS.items())]
    scenes = [make_scene(sounds, rng) for _ in range(40)]
    assert {len(scene.events) for scene in scenes} == {1, 2, 3, 4}
    assert {scene.noise for scene in scenes} == set(NOISES)
    for scene in scenes:
        assert scene.waveform.shape == (round(SCENE_SECONDS * RATE_HZ),)
        assert np.abs(scene.waveform).max() <= 1.0
        spans = scene.spans()
        assert len({label for label, _, _ in spans}) == len(spans)
        assert all(later[1] - former[2] >= APART_SECONDS - 1e-9 for former, later in pairwise(spans))
        for label, onset, offset in spans:
            assert offset - onset == pytest.approx(min(LENGTHS[label], LONGEST_SECONDS))
            assert 0.0 <= onset < offset <= SCENE_SECONDS


def test_events_are_as_loud_as_was_drawn(rng):
    for _ in range(20):
        scene = make_scene([("a", tone(2.0))], rng)
        begin, end = (round(edge * RATE_HZ) for edge in scene.spans()[0][1:])
        power = np.square(scene.waveform, dtype=np.float64)
        outside = np.concatenate([power[:begin], power[end:]]).mean()
        snr_db = 10 * np.log10(max(power[begin:end].mean() - outside, outside / 10) / outside)
        assert SNR_DB[0] - 4 <= snr_db <= SNR_DB[1] + 4  # brown noise is not equally loud everywhere


def test_the_same_seed_makes_the_same_scene():
    first, second = (make_scene([("a", tone(2.0)), ("b", tone(1.0))], np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.waveform, second.waveform)
    assert first.events == second.events
