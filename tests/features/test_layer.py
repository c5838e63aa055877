"""The torch layer, the graph and NumPy's FFT in double precision: one log-mel."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from earmark.features.layer import LogMelLayer
from tests.features.test_graph import CASES, assert_same_logmel, run

LAYERS = {name: LogMelLayer(settings) for name, settings in CASES.items()}


def of_layer(name, waveform):
    return LAYERS[name](torch.tensor(np.asarray(waveform, np.float32)[None]))[0].numpy()


def sound(seed, samples):
    """Return noise under a tone, with a quiet stretch: loud and soft bands side by side."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(samples) * np.where(np.arange(samples) < samples // 2, 0.1, 1e-3)
    return (noise + 0.3 * np.sin(np.arange(samples) * rng.uniform(0.01, 3))).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
@given(seed=st.integers(0, 2**32 - 1), more=st.integers(0, 20_000))
@hypothesis_settings(max_examples=15, deadline=None)
def test_three_ways_to_one_logmel(name, seed, more):
    waveform = sound(seed, CASES[name].window_length + more)
    ours = of_layer(name, waveform)
    assert ours.shape == (CASES[name].frame_count(len(waveform)), CASES[name].bands)
    assert_same_logmel(ours, CASES[name], waveform)
    assert_same_logmel(run(name, waveform), CASES[name], waveform)


@pytest.mark.parametrize("name", CASES)
def test_layer_equals_graph(name, rng):
    waveform = 0.1 * rng.standard_normal(50_000)
    np.testing.assert_allclose(of_layer(name, waveform), run(name, waveform), atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_silence(name):
    silence = np.zeros(20_000)
    np.testing.assert_allclose(of_layer(name, silence), np.log(CASES[name].log_offset), rtol=1e-6)
    np.testing.assert_allclose(of_layer(name, silence), run(name, silence), rtol=1e-6)


def test_float32_in_mixed_precision(rng):
    waveform = torch.tensor(rng.standard_normal((2, 8_000)), dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = LAYERS["general"](waveform)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, LAYERS["general"](waveform), rtol=0, atol=0)


def test_checkpoints_do_not_hold_the_matrices():
    assert LAYERS["yamnet"].state_dict() == {}
    assert list(LAYERS["yamnet"].parameters()) == []
