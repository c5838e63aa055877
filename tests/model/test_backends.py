"""The runtimes behind one protocol: any batch, any length, several threads, clear refusals."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from earmark.errors import DeviceError, ModelFormatError, OptionError
from earmark.model.backends import load_backend
from tests.tinymodel import HOP, LENGTH


def noise(rng, *shape):
    return (0.1 * rng.standard_normal(shape)).astype(np.float32)


def test_any_batch_and_any_length(tiny_model, rng):
    backend = load_backend(tiny_model)
    for samples, frames in ((1, 1), (LENGTH, 1), (LENGTH + 1, 2), (LENGTH + 7 * HOP, 8)):
        outputs = backend.run(noise(rng, 3, samples))
        assert outputs.clip.shape == (3, 5)
        assert outputs.frames.shape == (3, frames, 5)
        assert outputs.embeddings.shape == (3, frames, 64)
        assert outputs.novelty is None


def test_locality(tiny_model, rng):
    """A frame depends on its own stretch of samples alone: any cut gives the same frames."""
    backend = load_backend(tiny_model)
    sound = noise(rng, 1, LENGTH + 20 * HOP)
    whole = backend.run(sound).frames[0]
    for first in range(21):
        stretch = sound[:, first * HOP : first * HOP + LENGTH]
        np.testing.assert_allclose(backend.run(stretch).frames[0, 0], whole[first], atol=1e-6)


def test_two_threads_one_model(tiny_model, rng):
    backend = load_backend(tiny_model)
    sounds = [noise(rng, 1, LENGTH + n * HOP) for n in range(24)]
    alone = [backend.run(sound).frames for sound in sounds]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda sound: backend.run(sound).frames, sounds))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_litert_threads_and_lengths(shared, rng):
    backend = load_backend(shared / "models/yamnet/yamnet_classification_int8.tflite")
    assert backend.card.labels[0].id == "/m/09x0r"
    assert (backend.card.frame_length, backend.card.frame_hop) == (15_600, 7_680)
    sounds = [noise(rng, 1, samples) for samples in (100, 15_600, 15_601, 40_000)]
    alone = [backend.run(sound) for sound in sounds]
    assert [outputs.frames.shape for outputs in alone] == [(1, frames, 521) for frames in (1, 1, 2, 5)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(backend.run, sounds))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)


def test_litert_needs_metadata(shared):
    with pytest.raises(ModelFormatError, match=r"no TensorFlow Lite metadata.*earmark models import"):
        load_backend(shared / "models/yamnet/yamnet_dynamic_range.tflite")


def test_clear_refusals(tiny_model, tmp_path):
    with pytest.raises(OptionError, match=r"threads=0 is not allowed"):
        load_backend(tiny_model, threads=0)
    with pytest.raises(OptionError, match=r"device 'gpu' is not known; allowed: cpu, cuda"):
        load_backend(tiny_model, device="gpu")
    with pytest.raises(DeviceError, match=r"'cuda' is not available.*onnxruntime-gpu"):
        load_backend(tiny_model, device="cuda")
    with pytest.raises(ModelFormatError, match=r"no model file at"):
        load_backend(tmp_path / "none.onnx")
    (tmp_path / "model.h5").write_bytes(b"x")
    with pytest.raises(ModelFormatError, match=r"suffix '.h5'; a model file ends in .onnx or .tflite"):
        load_backend(tmp_path / "model.h5")
    (tmp_path / "model.tflite").write_bytes(b"12345678")
    with pytest.raises(ModelFormatError, match=r"not a TensorFlow Lite file"):
        load_backend(tmp_path / "model.tflite")
