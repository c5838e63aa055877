"""The front end's matrices, held to librosa and to the matrix inside YAMNet's own file."""

import librosa
import numpy as np
import pytest

from earmark.errors import OptionError
from earmark.features.logmel import PRESETS, LogMel
from earmark.model.tflitefile import TFLiteFile

GENERAL = PRESETS["general"]


def settings(**changes: object) -> LogMel:
    fields = {name: getattr(GENERAL, name) for name in GENERAL.__dataclass_fields__}
    return LogMel(**(fields | changes))


@pytest.mark.parametrize("formula", ["htk", "slaney"])
@pytest.mark.parametrize("area_normalised", [True, False])
@pytest.mark.parametrize(("bands", "low_hz", "high_hz"), [(64, 50.0, 8000.0), (40, 0.0, 7600.0), (128, 125.0, 7500.0)])
def test_mel_bands_are_librosas(formula, area_normalised, bands, low_hz, high_hz):
    ours = settings(
        mel_formula=formula, area_normalised=area_normalised, bands=bands, low_hz=low_hz, high_hz=high_hz, fft_size=1024
    )
    theirs = librosa.filters.mel(
        sr=ours.sample_rate,
        n_fft=ours.fft_size,
        n_mels=bands,
        fmin=low_hz,
        fmax=high_hz,
        htk=formula == "htk",
        norm="slaney" if area_normalised else None,
        dtype=np.float64,
    )
    # librosa writes HTK's scale as 2595 log10, which is 1127.01 ln: a relative difference of 1e-5.
    np.testing.assert_allclose(ours.mel.T, theirs, atol=1e-4)


def test_windowed_dft_is_librosas_stft(rng):
    sound = rng.standard_normal(16_000)
    cosines, sines = GENERAL.dft
    starts = range(0, len(sound) - GENERAL.window_length + 1, GENERAL.hop_length)
    frames = np.stack([sound[start : start + GENERAL.window_length] for start in starts])
    theirs = librosa.stft(sound, n_fft=GENERAL.fft_size, hop_length=GENERAL.hop_length, center=False)
    np.testing.assert_allclose(frames @ cosines - 1j * (frames @ sines), theirs.T, atol=1e-9)


def test_yamnet_matrix_is_the_one_in_its_file(shared):
    file = TFLiteFile((shared / "models/yamnet/yamnet_classification_int8.tflite").read_bytes())
    stored = file.layers[0].weights
    assert stored.shape == (64, 257)
    np.testing.assert_allclose(PRESETS["yamnet"].mel.T, stored.values, atol=2e-5)


def test_published_numbers_of_the_audioset_front_ends():
    yamnet, vggish = PRESETS["yamnet"], PRESETS["vggish"]
    assert (yamnet.window_length, yamnet.hop_length, yamnet.fft_size, yamnet.bins) == (400, 160, 512, 257)
    assert (yamnet.log_offset, vggish.log_offset) == (0.001, 0.01)
    assert np.array_equal(yamnet.mel, vggish.mel)
    assert not yamnet.mel[0].any()
    assert yamnet.samples_for(96) == 15_600
    assert yamnet.frame_count(15_600) == 96
    assert yamnet.frame_count(15_599) == 95
    assert yamnet.frame_count(10) == 0


@pytest.mark.parametrize("formula", ["htk", "slaney"])
def test_mel_and_hertz_are_inverse(formula):
    hertz = np.linspace(0, 8000, 101)
    scale = settings(mel_formula=formula)
    np.testing.assert_allclose(scale.mel_to_hertz(scale.hertz_to_mel(hertz)), hertz, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hop_seconds": 0.0101}, r"hop_seconds=0.0101 is 161.6 samples at 16000 Hz"),
        ({"fft_size": 256}, r"hop 256, window 512, FFT 256 samples"),
        ({"fft_size": 513}, r"FFT 513 samples.*even"),
        ({"low_hz": 5000.0, "high_hz": 400.0}, r"bands from 5000 to 400 Hz"),
        ({"high_hz": 9000.0}, r"<= 8000"),
        ({"log_offset": 0.0}, r"log_offset=0: both must be positive"),
        ({"bands": 0}, r"bands=0"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(OptionError, match=message):
        settings(**changes)
