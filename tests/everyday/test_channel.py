"""What happens to sound on its way to a user."""

import numpy as np
import pytest

from everyday.channel import (
    CLIPPED_DB,
    CONDITIONS,
    QUIET_DB,
    STREET_SNR_DB,
    at_peak,
    clipped,
    distort,
    level,
    loudness,
    quiet,
    telephone,
)
from everyday.channel import street as in_street
from everyday.room import Room
from everyday.sound import RATE_HZ, Waveform
from everyday.street import street
from everyday.waves import rms


@pytest.fixture
def chirps() -> Waveform:
    """Return two seconds of short chirps with pauses, of an odd number of samples."""
    time = np.arange(2 * RATE_HZ + 37) / RATE_HZ
    sweep = np.sin(2 * np.pi * (400 * time + 600 * time**2))
    return (0.5 * sweep * (time % 0.5 < 0.2)).astype(np.float32)


def delay(waveform: Waveform, heard: Waveform) -> int:
    """Return by how many samples the second is late."""
    size = 1 << (2 * len(waveform)).bit_length()
    both = np.fft.irfft(np.fft.rfft(waveform, size).conj() * np.fft.rfft(heard, size), size)
    late = int(both.argmax())
    return late if late < size // 2 else late - size


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_keeps_length_and_time(name: str, chirps: Waveform) -> None:
    heard = CONDITIONS[name](chirps, np.random.default_rng(1))
    assert heard.shape == chirps.shape
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 1
    assert not np.array_equal(heard, chirps)
    assert abs(delay(chirps, heard)) <= 1
    assert np.array_equal(heard, CONDITIONS[name](chirps, np.random.default_rng(1)))


@pytest.mark.parametrize("name", CONDITIONS)
def test_digital_silence_stays_silent(name: str) -> None:
    heard = CONDITIONS[name](np.zeros(RATE_HZ, np.float32), np.random.default_rng(1))
    assert np.abs(heard).max() < 1e-3


def test_levels_are_those_asked_for(chirps: Waveform) -> None:
    rng = np.random.default_rng(1)
    assert 20 * np.log10(np.abs(quiet(chirps, rng)).max()) == pytest.approx(QUIET_DB, abs=0.01)
    assert np.mean(np.abs(clipped(chirps, rng)) == 1) > 0.1
    peaks_db = [20 * np.log10(np.abs(level(chirps, rng)).max()) for _ in range(50)]
    assert QUIET_DB <= min(peaks_db) < QUIET_DB + 10
    assert max(peaks_db) == pytest.approx(0, abs=1e-5)
    assert CLIPPED_DB > 0
    hush = chirps * np.float32(1e-3)
    assert np.array_equal(at_peak(hush, 0.0), hush), "silence is not turned up"


def test_a_telephone_has_a_narrow_band() -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, RATE_HZ).astype(np.float32)
    power = np.abs(np.fft.rfft(telephone(noise, np.random.default_rng(1)))) ** 2  # bins of 1 Hz
    assert power[5000:].mean() < 1e-3 * power[500:3000].mean()
    assert power[:150].mean() < 1e-2 * power[500:3000].mean()


def test_the_street_is_as_loud_as_it_says(chirps: Waveform) -> None:
    noise = in_street(chirps * 0.5, np.random.default_rng(1)) - chirps * 0.5
    assert 20 * np.log10(loudness(chirps * 0.5) / rms(noise)) == pytest.approx(STREET_SNR_DB, abs=0.1)


def test_loudness_ignores_the_padding_of_a_clip(chirps: Waveform) -> None:
    padded = np.pad(chirps, (0, 10 * RATE_HZ))
    assert loudness(padded) == pytest.approx(loudness(chirps), rel=0.01)


def test_no_two_streets_are_the_same() -> None:
    first, second = (street(1.5, np.random.default_rng(seed)) for seed in (1, 2))
    assert first.shape == (1.5 * RATE_HZ,)
    assert np.abs(np.corrcoef(first, second)[0, 1]) < 0.3
    assert rms(first) > 0.05


def test_a_room_answers_as_it_says() -> None:
    room = Room.draw(np.random.default_rng(5))
    response = room.impulse_response()
    energy = np.cumsum(response[:0:-1] ** 2)[::-1]  # what is still to come after the direct sound
    assert response[0] == 1
    assert 10 * np.log10(response[0] ** 2 / energy[0]) == pytest.approx(room.direct_to_reverberant_db, abs=0.01)
    fallen_db = 10 * np.log10(energy / energy[0])
    at_5, at_25 = (np.argmax(fallen_db < -fall) / RATE_HZ for fall in (5, 25))
    assert 3 * (at_25 - at_5) == pytest.approx(room.rt60_seconds, rel=0.3)


def test_a_room_changes_no_loudness(chirps: Waveform) -> None:
    rng = np.random.default_rng(2)
    heard = [Room.draw(rng).apply(chirps * 0.2) for _ in range(5)]
    assert [rms(waveform) for waveform in heard] == pytest.approx([rms(chirps * 0.2)] * 5, rel=1e-3)


def test_distortion_draws_among_channels(chirps: Waveform) -> None:
    rng = np.random.default_rng(1)
    heard = [distort(chirps, rng) for _ in range(12)]
    assert {waveform.shape for waveform in heard} == {chirps.shape}
    assert len({round(rms(waveform), 5) for waveform in heard}) > 4
