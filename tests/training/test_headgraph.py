"""The tail of a head: its nodes give what NumPy and scikit-learn give, for clips and for frames."""

import numpy as np
import pytest

from earmark.errors import OptionError
from earmark.features.nodes import Nodes
from earmark.model.backends import open_session
from earmark.training import heads
from earmark.training.headgraph import build_tail, probabilities
from earmark.training.heads import HEADS, Lesson
from earmark.training.joining import TailBackend
from earmark.training.pooling import POOLINGS, Pooling
from earmark.training.projection import project
from earmark.training.scorers import Linear, Scorer

SIZE, CLASSES = 6, 4


@pytest.fixture
def embeddings(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(40, 5, SIZE)).astype(np.float32)


def learnt(name: str, pooling: Pooling, embeddings: np.ndarray, *, exclusive: bool, project_rows: bool) -> Scorer:
    rows = np.stack([pooling.clip(clip) for clip in embeddings])
    targets = (rows[:, :CLASSES] > rows[:, :CLASSES].mean()).astype(np.float32)
    targets = np.eye(CLASSES, dtype=np.float32)[rows[:, :CLASSES].argmax(axis=1)] if exclusive else targets
    head = HEADS[name]
    if not project_rows:
        return next(head.train(Lesson(rows, targets, exclusive), head.grid))
    projection = project(rows, "each")
    return projection.then(next(head.train(Lesson(projection(rows), targets, exclusive), head.grid)))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_is_the_same_in_numpy_and_as_nodes(pooling: str, embeddings: np.ndarray) -> None:
    pool, nodes = Pooling(pooling), Nodes()
    nodes("Identity", pool.add_clip(nodes, "embeddings"), output="clip")
    nodes("Identity", pool.add_frames(nodes, "embeddings"), output="frames")
    size = pool.size(SIZE)
    model = nodes.model(
        {"embeddings": ["batch", "frames", SIZE]}, {"clip": ["batch", size], "frames": ["batch", "frames", size]}
    )
    session = open_session(model.SerializeToString())
    for batch in (embeddings, embeddings[:1, :1]):
        clip, frames = session.run(["clip", "frames"], {"embeddings": batch})
        np.testing.assert_allclose(clip, [pool.clip(each) for each in batch], atol=1e-5)
        np.testing.assert_allclose(frames, [pool.frames(each) for each in batch], atol=1e-5)


def test_a_frame_is_a_clip_of_one_frame(embeddings: np.ndarray) -> None:
    for name in POOLINGS:
        pool = Pooling(name)
        wanted = [pool.clip(embeddings[0, [frame]]) for frame in range(5)]
        np.testing.assert_allclose(pool.frames(embeddings[0]), wanted, atol=1e-7)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("exclusive", [True, False], ids=["single-label", "multi-label"])
@pytest.mark.parametrize("name", HEADS)
def test_the_graph_gives_what_the_scorer_gives(
    name: str, exclusive: bool, embeddings: np.ndarray, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "_TREES", 12)
    monkeypatch.setattr(heads, "_HIDDEN", 8)
    monkeypatch.setattr(heads, "_STEPS", 100)
    pooling = Pooling("mean+std")
    scorer = learnt(name, pooling, embeddings, exclusive=exclusive, project_rows=bool(HEADS[name].scalings))
    scorer = scorer.scaled(1.5)
    tail = build_tail(scorer, pooling, embedding_size=SIZE, outputs=CLASSES, exclusive=exclusive)
    new = rng.normal(size=(3, 4, SIZE)).astype(np.float32)
    for batch in (new, new[:1, :1], embeddings):
        found = TailBackend(tail).run(batch)
        rows = np.stack([pooling.clip(clip) for clip in batch])
        frames = np.concatenate([pooling.frames(clip) for clip in batch])
        wanted = probabilities(scorer(rows), outputs=CLASSES, exclusive=exclusive)
        np.testing.assert_allclose(found.clip, wanted, atol=1e-4)
        wanted = probabilities(scorer(frames), outputs=CLASSES, exclusive=exclusive)
        np.testing.assert_allclose(found.frames.reshape(-1, CLASSES), wanted, atol=1e-4)
        assert (found.clip >= 0).all()
        assert not exclusive or np.allclose(found.clip.sum(axis=1), 1.0, atol=1e-5)


def test_a_class_beyond_the_outputs_takes_its_part_and_is_left_out(embeddings: np.ndarray) -> None:
    pooling = Pooling("mean")
    scorer = learnt("logistic", pooling, embeddings, exclusive=True, project_rows=False)
    whole = build_tail(scorer, pooling, embedding_size=SIZE, outputs=CLASSES, exclusive=True)
    cut = build_tail(scorer, pooling, embedding_size=SIZE, outputs=CLASSES - 1, exclusive=True)
    found, wanted = TailBackend(cut).run(embeddings), TailBackend(whole).run(embeddings)
    np.testing.assert_allclose(found.clip, wanted.clip[:, :-1], atol=1e-6)
    np.testing.assert_allclose(found.frames, wanted.frames[:, :, :-1], atol=1e-6)
    assert (found.clip.sum(axis=1) < 1.0).all()


def test_a_linear_head_is_two_nodes(rng: np.random.Generator) -> None:
    first = Linear(rng.normal(size=(6, 5)).astype(np.float32), rng.normal(size=5).astype(np.float32))
    second = Linear(rng.normal(size=(5, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32))
    both = first.then(second)
    rows = rng.normal(size=(7, 6)).astype(np.float32)
    np.testing.assert_allclose(both(rows), second(first(rows)), atol=1e-5)
    tail = build_tail(both, Pooling("mean"), embedding_size=SIZE, outputs=4, exclusive=False)
    operators = [node.op_type for node in tail.graph.node]
    assert operators.count("MatMul") == operators.count("Add") == 1


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(OptionError, match=r"pooling 'median' is not known; allowed: mean, max, mean\+max, mean\+std"):
        Pooling("median")
