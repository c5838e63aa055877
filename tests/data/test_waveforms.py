"""Waveforms: exact where they can be, never clipped, the same whether kept or decoded again."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from earmark.audio.decode import read_audio
from earmark.data.manifest import Clip, Manifest
from earmark.data.waveforms import Waveforms, _Packed
from earmark.errors import AudioNotFoundError, EmptyAudioError, OptionError

RATE_HZ = 8_000


@pytest.fixture
def manifest(tmp_path: Path, rng: np.random.Generator) -> Manifest:
    clips = []
    for index in range(6):
        path = tmp_path / f"{index}.wav"
        soundfile.write(path, rng.uniform(-1, 1, 800 + index), RATE_HZ, subtype="PCM_16")
        clips.append(Clip(path, ("ab"[index % 2],)))
    clips.append(Clip(tmp_path / "0.wav", ("a",), start_seconds=0.025, end_seconds=0.05))
    return Manifest.of(clips, source=str(tmp_path), layout="test")


def test_16_bit_recordings_come_back_exact(manifest: Manifest) -> None:
    waveforms = Waveforms(manifest, RATE_HZ)
    assert len(waveforms) == 7
    for index, clip in enumerate(manifest.clips[:6]):
        expected = soundfile.read(clip.path, dtype="float32")[0]
        assert waveforms[index].dtype == np.float32
        np.testing.assert_array_equal(waveforms[index], expected)
        np.testing.assert_array_equal(waveforms[np.int64(index)], expected)
    np.testing.assert_array_equal(waveforms[-1], waveforms[0][200:400])
    assert [len(waveform) for waveform in waveforms[:2]] == [800, 801]


def test_other_rates_are_resampled(manifest: Manifest) -> None:
    waveform = Waveforms(manifest, 16_000)[0]
    expected, _ = read_audio(manifest.clips[0].path, 16_000)
    assert len(waveform) == 1_600
    np.testing.assert_allclose(waveform, expected, atol=np.abs(expected).max() / 32_768)


@given(arrays(np.float32, st.integers(1, 50), elements=st.floats(-(2.0**20), 2.0**20, width=32)))
def test_packing_is_off_by_a_small_part_of_the_peak(waveform: np.ndarray) -> None:
    unpacked = _Packed.of(waveform).unpack()
    assert unpacked.dtype == np.float32
    assert np.abs(unpacked - waveform).max() <= np.abs(waveform).max() / 32_768 + 1e-37


@given(arrays(np.int16, st.integers(1, 50)))
def test_packing_16_bit_is_exact(steps: np.ndarray) -> None:
    waveform = (steps / 32_768).astype(np.float32)
    np.testing.assert_array_equal(_Packed.of(waveform).unpack(), waveform)


def test_loud_clips_are_not_clipped(tmp_path: Path, rng: np.random.Generator) -> None:
    loud = (5.0 * rng.standard_normal(4_000)).astype(np.float32)
    soundfile.write(tmp_path / "loud.wav", loud, RATE_HZ, subtype="FLOAT")
    manifest = Manifest.of([Clip(tmp_path / "loud.wav", ("a",))], source="loud", layout="test")
    np.testing.assert_allclose(Waveforms(manifest, RATE_HZ)[0], loud, atol=np.abs(loud).max() / 32_768)


def test_what_does_not_fit_is_decoded_again_to_the_same_samples(manifest: Manifest) -> None:
    everything, little, nothing = (Waveforms(manifest, RATE_HZ, memory_bytes=size) for size in (1 << 20, 3_500, 0))
    for waveforms in (everything, little, nothing):
        waveforms.load_all()
    # Clips are decoded side by side, and which of them fit beside each other is theirs to find out.
    assert (everything.kept, nothing.kept) == (7, 0)
    assert 2 <= little.kept <= 3
    for index in range(len(manifest)):
        np.testing.assert_array_equal(everything[index], little[index])
        np.testing.assert_array_equal(everything[index], nothing[index])


def test_what_is_kept_is_not_decoded_again(manifest: Manifest) -> None:
    waveforms = Waveforms(manifest, RATE_HZ, threads=2)
    told: list[tuple[int, int]] = []
    waveforms.load_all(lambda done, count: told.append((done, count)))
    assert told == [(done, 7) for done in range(1, 8)]
    first = waveforms[0]
    for clip in manifest.clips[:6]:
        clip.path.unlink()
    first[:] = 0  # the caller's own
    assert waveforms[0].any()
    waveforms.load_all()


def test_a_clip_without_samples_is_named(manifest: Manifest, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "3.wav", np.zeros(0), RATE_HZ)
    waveforms = Waveforms(manifest, RATE_HZ)
    with pytest.raises(EmptyAudioError, match=r"3\.wav holds no samples"):
        waveforms.load_all()
    (tmp_path / "1.wav").unlink()
    with pytest.raises(AudioNotFoundError, match=r"1\.wav"):
        Waveforms(manifest, RATE_HZ).load_all()
    late = Manifest.of([Clip(tmp_path / "2.wav", ("a",), start_seconds=9.0)], source="late", layout="test")
    with pytest.raises(OptionError, match=r"start=9 s is not before the end of .*2\.wav"):
        Waveforms(late, RATE_HZ)[0]


def test_options_are_checked(manifest: Manifest) -> None:
    with pytest.raises(OptionError, match="memory_bytes=-1"):
        Waveforms(manifest, RATE_HZ, memory_bytes=-1)
    with pytest.raises(OptionError, match="threads=0"):
        Waveforms(manifest, RATE_HZ, threads=0)
    with pytest.raises(IndexError):
        Waveforms(manifest, RATE_HZ)[7]
