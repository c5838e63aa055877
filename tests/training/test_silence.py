"""Silence: what counts as it, that its scores are 0 in NumPy, in the graph and on top, and that it may be a class."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earmark.features.nodes import Nodes
from earmark.inference.classifier import Classifier
from earmark.model.backends import open_session
from earmark.model.card import Task
from earmark.training.calibrationgraph import add_calibration
from earmark.training.candidate import Candidate, HeldOut
from earmark.training.joining import TailBackend
from earmark.training.mixture import Mean, add_mixture, mixed
from earmark.training.scalings import Calibration, Isotonic, Platt, Temperature
from earmark.training.silence import FAINT_DBFS, Silence, fit_silence
from earmark.training.silencegraph import add_silence
from earmark.training.train import train
from tests.training.toyclips import RATE_HZ, TINY_CONV, TINY_WAVE, toy_waveform

SIZE, CLASSES = 3, 2
Array = NDArray[np.float32]


def tail(*, novelty: bool = False) -> onnx.ModelProto:
    """Return a tail whose frames' scores are the first two numbers of their embeddings, squashed."""
    nodes = Nodes()
    frames = nodes("Sigmoid", nodes.slice("embeddings", 0, CLASSES, axis=2), output="frames")
    nodes("ReduceMean", frames, nodes.integers(1), output="clip", keepdims=0)
    outputs: dict[str, list[int | str]] = {"clip": ["batch", CLASSES], "frames": ["batch", "frames", CLASSES]}
    if novelty:
        nodes("ReduceMax", frames, nodes.integers(2), output="novelty", keepdims=0)
        outputs["novelty"] = ["batch", "frames"]
    return nodes.model({"embeddings": ["batch", "frames", SIZE]}, outputs)


def trunk() -> onnx.ModelProto:
    """Return one of four samples a frame; what it gives is the loudest sample, over and over, and then some."""
    nodes = Nodes()
    samples = nodes("Reshape", nodes("Abs", "waveform"), nodes.integers(0, -1, 4))
    peaks = nodes("ReduceMax", samples, nodes.integers(2), keepdims=1)
    nodes(
        "Add", nodes("Expand", peaks, nodes.integers(1, 1, SIZE)), nodes.constant(0.5, np.float32), output="embeddings"
    )
    return nodes.model({"waveform": ["batch", "samples"]}, {"embeddings": ["batch", "frames", SIZE]})


def candidate(*clips: float) -> Candidate:
    """Return one with clips of three frames, the middle one of which has this peak."""
    peaks = np.zeros((len(clips), 3, SIZE), np.float32)
    peaks[:, 1] = np.array(clips, np.float32)[:, None]
    nothing = HeldOut(indices=np.empty(0, np.int64), clip=np.empty((0, CLASSES), np.float32))
    return Candidate(
        trunk=trunk(),
        tail=tail(),
        sample_rate_hz=8_000,
        frame_length=4,
        frame_hop=4,
        embedding_size=SIZE,
        embeddings=tuple(peaks + 0.5),
        held_out=nothing,
    )


def targets(*labels: int) -> Array:
    """Return rows of one label each; -1 has none."""
    return np.array([[label == column for column in range(CLASSES)] for label in labels], np.float32)


vectors = st.lists(st.floats(-4, 4, width=32), min_size=SIZE, max_size=SIZE)


@settings(deadline=None)
@given(st.lists(vectors, min_size=1, max_size=4), vectors, st.floats(0, 6), st.booleans())
def test_the_graph_gives_what_numpy_gives(
    frames: list[list[float]], middle: list[float], radius: float, at: bool
) -> None:
    embeddings = np.array([[*frames, middle] if at else frames], np.float32)
    silence = Silence(np.array(middle, np.float32), radius)
    apart = np.linalg.norm(embeddings - silence.embedding, axis=-1)
    if (np.abs(apart - radius) < 1e-4 * (1 + radius)).any() and radius > 0:
        return  # on the very edge rounding decides
    before = TailBackend(tail(novelty=True)).run(embeddings)
    model = add_silence(tail(novelty=True), silence)
    assert [output.name for output in model.graph.output] == ["clip", "frames", "novelty"]
    after = TailBackend(model).run(embeddings)
    clip, scores = silence.apply(embeddings, before.clip, before.frames)
    np.testing.assert_array_equal(after.clip, clip)
    np.testing.assert_array_equal(after.frames, scores)
    assert before.novelty is not None
    np.testing.assert_array_equal(after.novelty, np.where(silence.covers(embeddings), 0, before.novelty))


def test_a_radius_holds_faint_noise_and_keeps_off_the_clips() -> None:
    loudest = np.sqrt(SIZE) * 4 * 10 ** (max(FAINT_DBFS) / 20)
    far = fit_silence(candidate(0.5, 0.4, 0.3, 0.2), targets(0, 0, 1, 1))
    assert far is not None
    np.testing.assert_allclose(far.embedding, 0.5)
    assert far.radius == pytest.approx(0.01 * np.sqrt(SIZE) * 0.2), "runtimes round"
    near = fit_silence(candidate(0.5, 0.4, 0.3, 0.001), targets(0, 0, 1, 1))
    assert near is not None
    assert 0 < near.radius < loudest
    nearest = fit_silence(candidate(0.5, 0.4, 0.3, 0.0003), targets(0, 0, 1, 1))
    assert nearest is not None
    assert nearest.radius == pytest.approx(np.sqrt(SIZE) * 0.0003 / 2, rel=1e-3)
    assert nearest.covers(np.full((2, 3, SIZE), 0.5, np.float32)).all()


def test_silence_may_be_a_class() -> None:
    assert fit_silence(candidate(0.5, 0.4, 0.0, 0.0), targets(0, 0, 1, 1)) is None
    assert fit_silence(candidate(0.5, 0.4, 0.0, 0.3), targets(0, 0, 1, 1)) is None, "half of a class"
    assert fit_silence(candidate(0.5, 0.4, 0.0, 0.3, 0.2), targets(0, 0, 1, 1, 1)), "a clip went wrong"
    assert fit_silence(candidate(0.5, 0.4, 0.3, 0.0, 0.0), targets(0, 0, 1, -1, -1)), "negatives are no class"


@pytest.mark.parametrize(
    "calibration",
    [
        Temperature(2.0),
        Temperature(2.0, background=True),
        Platt(np.full(CLASSES, 0.5, np.float32), np.ones(CLASSES, np.float32)),
        Isotonic(np.array([[0.2, 0.8]] * CLASSES, np.float32), np.array([[0.1, 0.9]] * CLASSES, np.float32)),
    ],
)
def test_calibrated_on_top_it_stays_silence(calibration: Calibration) -> None:
    silence = Silence(np.zeros(SIZE, np.float32), 0.5)
    embeddings = np.zeros((2, 3, SIZE), np.float32)
    embeddings[1, 1] = 1.0
    outputs = TailBackend(add_calibration(add_silence(tail(), silence), calibration)).run(embeddings)
    given = TailBackend(add_silence(tail(), silence)).run(embeddings)
    assert outputs.clip.any(axis=-1).tolist() == [False, True]
    assert outputs.frames.any(axis=-1).tolist() == [[False] * 3, [False, True, False]]
    np.testing.assert_allclose(outputs.clip, calibration.apply(given.clip), atol=1e-6)
    np.testing.assert_allclose(outputs.frames, calibration.apply(given.frames), atol=1e-6)


@pytest.mark.parametrize(
    ("task", "background"), [("multi-label", False), ("single-label", False), ("single-label", True)]
)
@pytest.mark.parametrize("mean", ["mean", "geometric"])
def test_what_all_members_call_silence_is_silence(mean: Mean, task: Task, background: bool) -> None:
    first = np.array([[0, 0], [0.5, 0.25], [0, 0]], np.float32)
    second = np.array([[0, 0], [0.25, 0.5], [0.75, 0.25]], np.float32)
    nodes = Nodes()
    made = add_mixture(nodes, ["embeddings", "frames"], [0.3, 0.7], mean, task=task, background=background)
    nodes("Identity", made, output="clip")
    model = nodes.model({"embeddings": ["rows", CLASSES], "frames": ["rows", CLASSES]}, {"clip": ["rows", CLASSES]})
    session = open_session(model.SerializeToString())
    (given_,) = session.run(None, {"embeddings": first, "frames": second})
    expected = mixed([first, second], [0.3, 0.7], mean, task=task, background=background)
    np.testing.assert_allclose(given_, expected, atol=1e-6)
    assert given_.any(axis=1).tolist() == [False, True, True]


def sounds(level_db: float | None) -> Array:
    """Return two seconds of zeros or of noise, as long as a clip that a model was taught."""
    noise = np.random.default_rng(5).standard_normal(2 * RATE_HZ)
    return np.zeros(2 * RATE_HZ, np.float32) if level_db is None else (noise * 10 ** (level_db / 20)).astype(np.float32)


@pytest.fixture(params=["head", "cnn", "wave"])
def trained(request: pytest.FixtureRequest, forty_clips: Path, tmp_path: Path) -> Path:
    """Return a model of a recipe, of three classes and the background."""
    short: dict[str, Any] = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-2, "accelerator": "cpu"}
    options: dict[str, Callable[[], dict[str, Any]]] = {
        "head": lambda: {"backbone": str(request.getfixturevalue("tiny_model"))},
        "cnn": lambda: short | {"options": TINY_CONV},
        "wave": lambda: short | {"options": TINY_WAVE},
    }
    result = train(forty_clips, tmp_path / "m.onnx", recipe=request.param, **options[request.param]())
    assert result.card.training["silence"]["radius"] > 0
    return result.path


def test_a_model_says_nothing_of_nothing(trained: Path) -> None:
    classifier = Classifier.load(trained, threads=1)
    for level_db in (None, -100.0):
        told = classifier.classify((sounds(level_db), RATE_HZ))
        assert (told.none_of_these, told.tags, told.closest, told.novelty) == (True, (), (), 0.0)
        assert not classifier.timeline((sounds(level_db), RATE_HZ)).scores.any()
        assert classifier.events((sounds(level_db), RATE_HZ)).events == ()
    tone = toy_waveform("low", 2.0, np.random.default_rng(3))
    alone, within = (
        classifier.classify((sound, RATE_HZ), top_k=0, novelty="ignore")
        for sound in (tone, np.concatenate([sounds(None)] * 3 + [tone]))
    )
    assert sum(tag.score for tag in alone.tags) > 0.2
    assert {tag.label: tag.score for tag in within.tags}.keys() == {"high", "hiss", "low"}
    assert sum(tag.score for tag in within.tags) > 0.2
