"""The front end as a graph: the numbers of librosa and NumPy, folded or not, from any piece of sound."""

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from earmark.features import graph
from earmark.features.graph import add_logmel, is_foldable
from earmark.features.logmel import PRESETS, LogMel
from earmark.features.nodes import Nodes
from earmark.model.backends import open_session

ODD = LogMel(16_000, 0.0250625, 0.0100625, 512, 40, 100.0, 7000.0, spectrum="magnitude")  # 401 and 161 samples
POWER = LogMel(22_050, 0.04, 0.02, 1024, 80, 20.0, 11_025.0, mel_formula="slaney", area_normalised=True)  # 882 and 441
CASES = {**PRESETS, "odd": ODD, "power": POWER}


def session_of(settings: LogMel):
    nodes = Nodes()
    nodes("Identity", add_logmel(nodes, "waveform", settings), output="logmel")
    model = nodes.model({"waveform": ["batch", "samples"]}, {"logmel": ["batch", "frames", settings.bands]})
    return open_session(model.SerializeToString())


SESSIONS = {name: session_of(settings) for name, settings in CASES.items()}


def run(name: str, waveform):
    return SESSIONS[name].run(None, {"waveform": np.asarray(waveform, np.float32)[None]})[0][0]


def assert_same_logmel(ours, settings: LogMel, waveform):
    """Hold a log-mel to librosa's framing and window and NumPy's FFT, in double precision, within 1e-4.

    Where a band is far below the loudest bin of its frame, single precision has fewer digits left: 2e-7 of that bin.
    """
    frames = librosa.util.frame(
        np.asarray(waveform, np.float64), frame_length=settings.window_length, hop_length=settings.hop_length, axis=0
    )
    window = librosa.filters.get_window("hann", settings.window_length, fftbins=True)
    spectrum = np.abs(np.fft.rfft(frames * window, settings.fft_size))
    spectrum = spectrum if settings.spectrum == "magnitude" else spectrum**2
    bands = spectrum @ settings.mel + settings.log_offset
    assert ours.shape == bands.shape
    single_precision = 2e-7 * spectrum.max(axis=1, keepdims=True) / bands
    assert (np.abs(ours - np.log(bands)) <= 1e-4 + single_precision).all()


def test_which_settings_fold():
    assert [name for name, settings in CASES.items() if is_foldable(settings)] == [
        "yamnet",
        "vggish",
        "general",
        "power",
    ]


@pytest.mark.parametrize("name", CASES)
def test_real_clips(name, shared):
    for file in sorted((shared / "data/esc50/audio").glob("*.flac"))[::20]:
        waveform = soundfile.read(file, dtype="float32")[0]
        assert_same_logmel(run(name, waveform), CASES[name], waveform)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@hypothesis_settings(max_examples=25, deadline=None)
def test_any_signal(name, data):
    settings = CASES[name]
    size = data.draw(st.integers(settings.window_length, 5 * settings.window_length))
    sample = st.floats(-1, 1, width=32, allow_subnormal=False)
    waveform = data.draw(arrays.arrays(np.float32, size, elements=sample, fill=st.just(np.float32(0.0))))
    assert_same_logmel(run(name, waveform), settings, waveform)


def test_folded_equals_convolved(monkeypatch, rng):
    waveform = rng.standard_normal(16_000)
    monkeypatch.setattr(graph, "is_foldable", lambda _: False)
    convolved = session_of(PRESETS["yamnet"]).run(None, {"waveform": waveform.astype(np.float32)[None]})[0][0]
    np.testing.assert_allclose(run("yamnet", waveform), convolved, atol=2e-5)


def test_batches_are_rows(rng):
    waveforms = rng.standard_normal((3, 16_000)).astype(np.float32)
    together = SESSIONS["yamnet"].run(None, {"waveform": waveforms})[0]
    for row, waveform in zip(together, waveforms, strict=True):
        np.testing.assert_allclose(row, run("yamnet", waveform), atol=1e-5)
