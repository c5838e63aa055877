"""Augmentation: same length, finite, from the passed generator alone; settings that are checked and told."""

import json
import random
import sys
from typing import Any

import numpy as np
import pytest

from earmark.data.augment import PRESETS, Augmentation, WaveformAugmenter
from earmark.errors import MissingExtraError, OptionError

RATE_HZ = 16_000
ONE = {
    "time_shift": {},
    "gain": {},
    "noise": {},
    "background": {},
    "speed": {"speed_rate": (0.8, 0.9)},
    "stretch": {"stretch_rate": (0.8, 0.9)},
    "pitch": {},
    "filter": {},
}


@pytest.fixture
def waveform(rng: np.random.Generator) -> np.ndarray:
    return (0.1 * rng.standard_normal(RATE_HZ)).astype(np.float32)


def only(effect: str, **options: Any) -> Augmentation:
    return Augmentation(**{f"{effect}_probability": 1.0, **ONE[effect], **options})


def power(waveform: np.ndarray) -> float:
    return float(np.mean(np.square(waveform, dtype=np.float64)))


@pytest.mark.parametrize("effect", ONE)
def test_every_effect(effect: str, waveform: np.ndarray, rng: np.random.Generator) -> None:
    backgrounds = [rng.standard_normal(3_000).astype(np.float32), rng.standard_normal(40_000).astype(np.float32)]
    augmenter = WaveformAugmenter(only(effect), RATE_HZ, backgrounds)
    before = waveform.copy()
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - what must not be touched
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    first, again, other = (augmenter(waveform, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # noqa: NPY002
    np.testing.assert_array_equal(waveform, before)
    assert first.shape == waveform.shape
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, waveform)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("samples", [1, 100, 5_000])
def test_presets_on_silence_and_on_short_clips(preset: str, samples: int, rng: np.random.Generator) -> None:
    settings = PRESETS[preset]
    backgrounds = [np.zeros(100, np.float32), np.ones(1, np.float32)]
    augmenter = WaveformAugmenter(settings, RATE_HZ, backgrounds)
    for signal in (np.zeros(samples, np.float32), rng.standard_normal(samples).astype(np.float32)):
        for _ in range(20):
            changed = augmenter(signal, rng)
            assert changed.shape == signal.shape
            assert changed.dtype == np.float32
            assert np.isfinite(changed).all()
            assert changed.any() == signal.any()


def test_shift_wraps_around(waveform: np.ndarray, rng: np.random.Generator) -> None:
    shifted = WaveformAugmenter(only("time_shift"), RATE_HZ)(waveform, rng)
    start = int(np.flatnonzero(shifted == waveform[0])[0])
    np.testing.assert_array_equal(np.roll(shifted, -start), waveform)


def test_gain_stays_in_its_range(waveform: np.ndarray, rng: np.random.Generator) -> None:
    augmenter = WaveformAugmenter(only("gain", gain_db=3.0), RATE_HZ)
    gains_db = [10 * np.log10(power(augmenter(waveform, rng)) / power(waveform)) for _ in range(100)]
    assert -3.01 <= min(gains_db) < -2
    assert 2 < max(gains_db) <= 3.01


@pytest.mark.parametrize("effect", ["noise", "background"])
def test_what_is_mixed_in_has_its_level(effect: str, waveform: np.ndarray, rng: np.random.Generator) -> None:
    backgrounds = [3.0 * rng.standard_normal(7_000).astype(np.float32)]
    augmenter = WaveformAugmenter(only(effect, **{f"{effect}_snr_db": (12.0, 12.0)}), RATE_HZ, backgrounds)
    added = augmenter(waveform, rng) - waveform
    assert 10 * np.log10(power(waveform) / power(added)) == pytest.approx(12.0, abs=0.01)


def test_speed_stretch_and_pitch_do_what_they_say(rng: np.random.Generator) -> None:
    tone = np.sin(2 * np.pi * 1_000 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)

    def loudest_hz(settings: Augmentation) -> float:
        changed = WaveformAugmenter(settings, RATE_HZ)(tone, rng)
        return float(np.abs(np.fft.rfft(changed)).argmax())  # one second: one hertz a bin

    assert loudest_hz(only("speed", speed_rate=(1.5, 1.5))) == pytest.approx(1_500, abs=1)
    assert loudest_hz(only("stretch")) == pytest.approx(1_000, abs=20)
    shifted_hz = [loudest_hz(only("pitch", pitch_semitones=4.0)) for _ in range(4)]
    assert all(1_000 * 2 ** (-4 / 12) - 20 <= hz <= 1_000 * 2 ** (4 / 12) + 20 for hz in shifted_hz)
    assert max(abs(hz - 1_000) for hz in shifted_hz) > 20


def test_a_filter_above_what_the_rate_holds_does_nothing(waveform: np.ndarray, rng: np.random.Generator) -> None:
    settings = only("filter", low_pass_hz=(9_000.0, 10_000.0), high_pass_hz=(9_000.0, 10_000.0))
    assert WaveformAugmenter(settings, RATE_HZ)(waveform, rng) is waveform


def test_no_backgrounds_no_background(waveform: np.ndarray, rng: np.random.Generator) -> None:
    assert WaveformAugmenter(only("background"), RATE_HZ)(waveform, rng) is waveform
    assert WaveformAugmenter(PRESETS["none"], RATE_HZ)(waveform, rng) is waveform


def test_presets() -> None:
    assert list(PRESETS) == ["none", "light", "strong"]
    assert Augmentation.preset("light") is PRESETS["light"]
    assert not PRESETS["none"].changes_waveforms
    assert PRESETS["none"].mixup_alpha == PRESETS["none"].time_masks == 0
    light = PRESETS["light"]
    assert light.changes_waveforms
    assert light.stretch_probability == light.pitch_probability == light.filter_probability == 0  # near-free
    with pytest.raises(OptionError, match="augmentation 'heavy' is not known; allowed: none, light, strong"):
        Augmentation.preset("heavy")


def test_events_keep_their_times() -> None:
    events = PRESETS["strong"].for_events()
    assert events.time_shift_probability == events.speed_probability == events.stretch_probability == 0
    assert events.pitch_probability == PRESETS["strong"].pitch_probability


def test_settings_for_the_card() -> None:
    told = json.loads(json.dumps(PRESETS["strong"].to_dict()))
    assert told["noise_snr_db"] == [10.0, 40.0]
    assert told["random_crop"] is True
    assert told["mixup_alpha"] == 0.5


def test_settings_from_the_command_line() -> None:
    parsed = Augmentation.parse("strong, pitch_probability=0, noise_snr_db=5:20,time_masks=3,random_crop=false")
    expected = PRESETS["strong"].with_options(
        pitch_probability=0.0, noise_snr_db=(5.0, 20.0), time_masks=3, random_crop=False
    )
    assert parsed == expected
    assert Augmentation.parse("light") == PRESETS["light"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("loud", "augmentation 'loud' is not known"),
        ("light,volume=3", "augmentation has no 'volume'; allowed: time_shift_probability, gain_probability"),
        ("light,gain_db=much", "gain_db='much' is not allowed: give a number"),
        ("light,gain_db", "gain_db='' is not allowed: give a number"),
        ("light,gain_probability=2", "gain_probability=2.0 is not allowed: give a number from 0 to 1"),
        ("light,gain_db=-1", "gain_db=-1.0 is not allowed: give a number from 0 to 60"),
        ("light,mixup_alpha=nan", "mixup_alpha=nan is not allowed: give a number from 0 to 100"),
        ("light,pitch_semitones=13", "pitch_semitones=13.0 is not allowed: give a number from 0 to 12"),
        ("light,time_masks=0.5", "time_masks='0.5' is not allowed: give a number"),
        ("light,time_masks=-1", "time_masks=-1 is not allowed: give a whole number, 0 or more"),
        (
            "light,noise_snr_db=20:5",
            r"noise_snr_db=\(20.0, 5.0\) is not allowed: give two numbers, the lower one first",
        ),
        ("light,noise_snr_db=5", r"noise_snr_db=\(5.0,\) is not allowed: give two numbers"),
        ("light,stretch_rate=0.1:1", r"stretch_rate=\(0.1, 1.0\) is not allowed: .* from 0.5 to 2"),
        ("light,noise_snr_db=a:b", "noise_snr_db='a:b' is not allowed: give LOW:HIGH"),
        ("light,random_crop=maybe", "random_crop='maybe' is not allowed: give true or false"),
    ],
)
def test_settings_that_are_refused(text: str, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        Augmentation.parse(text)


def test_a_missing_library_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "audiomentations", None)
    WaveformAugmenter(PRESETS["light"], RATE_HZ)
    with pytest.raises(MissingExtraError, match=r"pip install 'earmark\[train\]'"):
        WaveformAugmenter(PRESETS["strong"], RATE_HZ)
