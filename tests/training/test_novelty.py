"""Novelty: unknown classes are told, the graph gives what NumPy gives, few clips still give an answer."""

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from earmark.errors import OptionError, TooFewClipsError
from earmark.features.nodes import Nodes
from earmark.training.familiarity import FEATURES, Axes, Familiar
from earmark.training.joining import TailBackend
from earmark.training.novelty import Novelty, fit_novelty
from earmark.training.noveltygraph import add_novelty
from earmark.training.noveltyweights import Method
from earmark.training.unknowns import Study, ask_in_rounds

SIZE, FRAMES = 24, 4


def tail(size: int = SIZE) -> onnx.ModelProto:
    """Return a tail of two classes that says nothing of interest."""
    nodes = Nodes()
    nodes("Softmax", nodes.slice("embeddings", 0, 2, axis=2), output="frames", axis=-1)
    nodes("ReduceMean", "frames", nodes.integers(1), output="clip", keepdims=0)
    outputs = {"clip": ["batch", 2], "frames": ["batch", "frames", 2]}
    return nodes.model({"embeddings": ["batch", "frames", size]}, outputs)


class World:
    """Classes as clouds around seeded centres; a clip is a point of its cloud, its frames lie around it."""

    def __init__(self, seed: int = 0, *, never_negative: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.centres = self.rng.normal(size=(12, SIZE)) * 2
        self.never_negative = never_negative

    def clips(self, classes: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        middles = self.centres[classes] + self.rng.normal(size=(len(classes), SIZE)) * 0.7
        frames = middles[:, None] + self.rng.normal(size=(len(classes), FRAMES, SIZE)) * 0.7
        return list((np.maximum(frames, 0) if self.never_negative else frames).astype(np.float32))


def targets_of(classes: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    return np.eye(count, dtype=np.float32)[classes]


def sources(count: int) -> list[str]:
    return [f"source {number // 2}" for number in range(count)]


def clip_novelty(novelty: Novelty, clips: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    return np.array([novelty.apply(clip).mean() for clip in clips])


@pytest.mark.parametrize("never_negative", [False, True])
@pytest.mark.parametrize("method", ["auto", "mahalanobis", "neighbours", "both"])
def test_unknown_classes_are_told(method: Method, never_negative: bool) -> None:
    world = World(never_negative=never_negative)
    classes = np.arange(160) % 8
    novelty = fit_novelty(world.clips(classes), targets_of(classes, 8), sources(160), method=method, seed=3)
    known, unknown = world.clips(np.arange(80) % 8), world.clips(8 + np.arange(80) % 4)
    scores = np.concatenate([clip_novelty(novelty, known), clip_novelty(novelty, unknown)])
    assert roc_auc_score(np.repeat([0, 1], 80), scores) > 0.95
    assert novelty.roc_auc is not None
    assert novelty.roc_auc > 0.9
    assert (scores[:80] >= novelty.threshold).mean() < 0.15, "one known clip in twenty is beyond the threshold"
    assert (scores[80:] >= novelty.threshold).mean() > 0.5
    assert (novelty.axes.root is not None) == never_negative
    if method != "auto":
        assert novelty.method == method


@pytest.mark.parametrize("method", ["mahalanobis", "neighbours", "both"])
def test_the_graph_gives_what_numpy_gives(method: Method) -> None:
    world = World(1, never_negative=True)
    classes = np.arange(120) % 6
    novelty = fit_novelty(world.clips(classes), targets_of(classes, 6), sources(120), method=method)
    clips = np.stack(world.clips(np.arange(12)))
    model = add_novelty(tail(), novelty)
    assert [output.name for output in model.graph.output] == ["clip", "frames", "novelty"]
    given = TailBackend(model).run(clips)
    assert given.novelty is not None
    assert given.novelty.shape == (12, FRAMES)
    np.testing.assert_allclose(given.novelty, novelty.apply(clips), atol=1e-5)
    alone = TailBackend(model).run(clips[3:4, 2:3]).novelty
    assert alone is not None
    np.testing.assert_allclose(alone[0, 0], given.novelty[3, 2], atol=1e-5)  # a frame depends on nothing else
    again = TailBackend(add_novelty(model, novelty)).run(clips)
    assert again.novelty is not None
    np.testing.assert_allclose(again.novelty, given.novelty, atol=1e-6)


def test_features_are_distances_and_similarities() -> None:
    world = World(2)
    classes = np.arange(60) % 5
    frames = np.concatenate(world.clips(classes))
    axes = Axes.fit(frames, np.random.default_rng(0))
    rows = axes.project(frames)
    familiar = Familiar.fit(rows, np.repeat(np.arange(60), FRAMES), classes, np.random.default_rng(0))
    features = familiar.features(rows)
    white = (rows - familiar.centre) @ familiar.whitening
    naive = ((white[:, None] - familiar.classes) ** 2).sum(axis=2).min(axis=1) / white.shape[1]
    np.testing.assert_allclose(features[:, 0], naive, rtol=1e-3, atol=1e-4)
    direction = white / np.linalg.norm(white, axis=1, keepdims=True)
    np.testing.assert_allclose(features[:, 3], np.sort(direction @ familiar.clips.T)[:, -familiar.neighbour], atol=1e-4)
    assert features.shape == (len(frames), len(FEATURES))


def test_the_same_seed_gives_the_same() -> None:
    world, classes = World(5), np.arange(80) % 8
    clips, targets = world.clips(classes), targets_of(classes, 8)
    first, second = (fit_novelty(clips, targets, sources(80), seed=4) for _ in range(2))
    assert first.threshold == second.threshold
    np.testing.assert_array_equal(first.weights, second.weights)


@pytest.mark.parametrize(("count", "kinds"), [(1, 1), (3, 2), (12, 2), (19, 5)])
def test_few_clips_still_give_an_answer(count: int, kinds: int) -> None:
    world = World(3)
    classes = np.arange(count) % kinds
    novelty = fit_novelty(world.clips(classes), targets_of(classes, kinds), [str(number) for number in range(count)])
    assert novelty.roc_auc is None, "no class can be spared"
    assert 0 <= novelty.threshold <= 1
    far = np.full((1, FRAMES, SIZE), 50, np.float32)
    assert novelty.apply(far).min() > novelty.threshold
    assert novelty.apply(far).shape == (1, FRAMES)


def test_what_never_changes_is_familiar() -> None:
    clips = [np.ones((FRAMES, SIZE), np.float32)] * 10
    novelty = fit_novelty(clips, np.ones((10, 1), np.float32), [str(number) for number in range(10)])
    assert np.isfinite(novelty.apply(clips[0])).all()
    assert novelty.apply(np.full((1, SIZE), 9, np.float32)) > novelty.apply(clips[0][:1])


def test_clips_of_several_labels_are_unknown_only_when_all_are() -> None:
    world = World(4)
    classes = np.arange(120) % 6
    targets = targets_of(classes, 6)
    targets[::10, 0] = 1  # some have the first label too
    targets[5] = 0  # and one has none
    study = Study.of(world.clips(classes), targets, sources(120), np.ones(120, bool), rng=np.random.default_rng(0))
    rounds = ask_in_rounds(study, np.random.default_rng(1))
    assert len(rounds) == 5
    for number, asked in enumerate(rounds):
        clips = np.unique(asked.clips[asked.unknown]) - number * 120
        left_out = study.present[clips].any(axis=0)
        known = np.unique(asked.clips[~asked.unknown]) - number * 120
        assert not study.present[known][:, left_out].any()


def test_a_trunk_that_knows_its_clips_is_asked_about_others() -> None:
    world = World(6)
    classes = np.arange(160) % 8
    clips = world.clips(classes)
    held_out = np.arange(0, 160, 3)
    tight = [clip if number % 3 == 0 else clip * 0.2 + world.centres[classes[number]].astype(np.float32) * 0.8
             for number, clip in enumerate(clips)]  # fmt: skip
    naive = fit_novelty(tight, targets_of(classes, 8), sources(160))
    honest = fit_novelty(tight, targets_of(classes, 8), sources(160), indices_held_out=held_out, frozen=False)
    new = clip_novelty(honest, world.clips(classes))
    assert (new >= honest.threshold).mean() < 0.2
    assert (clip_novelty(naive, world.clips(classes)) >= naive.threshold).mean() > (new >= honest.threshold).mean()


def test_wrong_options_are_refused() -> None:
    with pytest.raises(OptionError, match="method='nearest'"):
        fit_novelty([np.ones((1, 2), np.float32)], np.ones((1, 1), np.float32), ["a"], method="nearest")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="quantile=1"):
        fit_novelty([np.ones((1, 2), np.float32)], np.ones((1, 1), np.float32), ["a"], quantile=1.0)
    with pytest.raises(TooFewClipsError, match="no clip"):
        fit_novelty([], np.ones((0, 1), np.float32), [])
