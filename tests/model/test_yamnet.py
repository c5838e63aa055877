"""YAMNet from its published files: the answers of LiteRT, frame by frame, and clear refusals."""

import json

import numpy as np
import pytest
import soundfile

from earmark.errors import ModelFormatError, OptionError
from earmark.model.backends import load_backend
from earmark.model.modelfile import read_card
from earmark.model.verify import verify
from earmark.model.yamnet import import_yamnet
from tests.golden.generate_yamnet import CLIPS, GOLDEN, SIGNALS, sound

GOLDEN_ANSWERS = json.loads(GOLDEN.read_text(encoding="utf-8"))
# Float arithmetic on the same weights differs from 8-bit arithmetic by what 28 roundings of activations add up to.
SCORE_TOLERANCE = {"yamnet_int8": 0.01, "yamnet": 0.12}
TOP_K = {"yamnet_int8": 1, "yamnet": 3}


@pytest.fixture(params=["yamnet_int8", "yamnet"])
def model(request):
    return request.param, load_backend(request.getfixturevalue(request.param))


@pytest.mark.parametrize("name", [*SIGNALS, *CLIPS])
def test_golden_answers(model, name, shared):
    kind, backend = model
    golden = GOLDEN_ANSWERS[name]
    frames = backend.run(sound(name, shared)[None]).frames[0]
    assert len(frames) == golden["frames"]
    names = [label.name for label in backend.card.labels]
    scores = dict(zip(names, frames.mean(axis=0), strict=True))
    for label, score in golden["scores"].items():
        assert scores[label] == pytest.approx(score, abs=SCORE_TOLERANCE[kind]), label
    ours = np.argsort(-frames, axis=1, kind="stable")[:, : TOP_K[kind]]
    agreeing = [best in row for best, row in zip(golden["best_by_frame"], ours, strict=True)]
    assert np.mean(agreeing) >= 0.9


def test_frames_equal_litert(model, shared):
    kind, backend = model
    litert = load_backend(shared / "models/yamnet/yamnet_classification_int8.tflite")
    differences, agreeing = [], []
    for path in sorted((shared / "data/esc50/audio").glob("*.flac"))[::100]:
        waveform = soundfile.read(path, dtype="float32")[0][None]
        theirs, ours = litert.run(waveform).frames[0], backend.run(waveform).frames[0]
        differences.append(np.abs(ours - theirs).mean())
        best = theirs.argmax(axis=1)[:, None]
        agreeing += list((np.argsort(-ours, axis=1, kind="stable")[:, :3] == best).any(axis=1))
    assert np.mean(differences) < {"yamnet_int8": 1e-4, "yamnet": 1e-3}[kind]
    assert np.mean(agreeing) >= 0.98


def test_locality(yamnet, shared):
    """Any cut of a real clip between two frames gives the frames of the whole."""
    backend = load_backend(yamnet)
    waveform = sound(CLIPS[0], shared)[None]
    whole = backend.run(waveform)
    length, hop = backend.card.frame_length, backend.card.frame_hop
    for cut in range(1, 9):
        before = backend.run(waveform[:, : length + (cut - 1) * hop])
        after = backend.run(waveform[:, cut * hop :])
        joined = np.concatenate([before.frames, after.frames], axis=1)
        np.testing.assert_allclose(joined, whole.frames, atol=1e-5)


def test_card_and_proof(yamnet, yamnet_int8):
    for path, precision in ((yamnet, "float32"), (yamnet_int8, "int8")):
        card = read_card(path)
        assert (len(card.labels), card.embedding_size, card.version) == (521, 1024, f"1-{precision}")
        assert (card.frame_length, card.frame_hop, card.segment_frames) == (15_600, 7_680, 16)
        assert not card.calibrated
        assert verify(path).passed
    assert yamnet.stat().st_size > 3 * yamnet_int8.stat().st_size


def test_dynamic_range_file(shared, tmp_path):
    """The other published file: float as it is, int8 with equalised channels and ranges measured on clips."""
    source = (shared / "models/yamnet/yamnet_dynamic_range.tflite").read_bytes()
    paths = {precision: tmp_path / f"{precision}.onnx" for precision in ("float32", "int8")}
    clips = [sound(name, shared) for name in (*SIGNALS[1:], *CLIPS)]
    for precision, path in paths.items():
        path.write_bytes(import_yamnet(source, precision=precision, calibration=clips))
        assert verify(path).passed
    one, other = (load_backend(path) for path in paths.values())
    differences, agreeing = [], []
    for path in sorted((shared / "data/esc50/audio").glob("*.flac"))[::100]:
        waveform = soundfile.read(path, dtype="float32")[0][None]
        ours, theirs = one.run(waveform).frames[0], other.run(waveform).frames[0]
        differences.append(np.abs(ours - theirs).mean())
        best = ours.argmax(axis=1)[:, None]
        agreeing += list((np.argsort(-theirs, axis=1, kind="stable")[:, :3] == best).any(axis=1))
    assert np.mean(differences) < 2e-3
    assert np.mean(agreeing) > 0.9


def test_int8_without_ranges_or_clips(shared):
    source = (shared / "models/yamnet/yamnet_dynamic_range.tflite").read_bytes()
    with pytest.raises(OptionError, match=r"without activation scales needs sound.*--calibrate-with"):
        import_yamnet(source, precision="int8")


def test_files_that_are_not_yamnet(shared):
    with pytest.raises(ModelFormatError, match=r"not a TensorFlow Lite file"):
        import_yamnet(b"RIFF0000WAVE")
    source = bytearray((shared / "models/yamnet/yamnet_classification_int8.tflite").read_bytes())
    with pytest.raises(ModelFormatError, match=r"damaged|not YAMNet"):
        import_yamnet(bytes(source[:500_000]))
