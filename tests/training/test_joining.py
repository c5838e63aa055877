"""Trunk and tail: one graph of two, and the tail on its own."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from earmark.features.nodes import Nodes
from earmark.model.backends import open_session
from earmark.training.joining import TailBackend, join
from tests.training.toymodel import toy_model

SIZE, CLASSES = 6, 3


@pytest.fixture
def trunk(tmp_path: Path) -> onnx.ModelProto:
    from earmark.training.backbone import Backbone

    return Backbone.load(toy_model(tmp_path / "toy.onnx")).trunk()


def tail(*, novelty: bool = False) -> onnx.ModelProto:
    """Return a tail whose inner names are those of any graph made the same way."""
    nodes = Nodes()
    weights = np.random.default_rng(3).normal(size=(SIZE, CLASSES))
    nodes("Softmax", nodes("MatMul", "embeddings", nodes.constant(weights, np.float32)), output="frames", axis=-1)
    nodes("ReduceMean", "frames", nodes.integers(1), output="clip", keepdims=0)
    outputs: dict[str, list[int | str]] = {"frames": ["batch", "frames", CLASSES], "clip": ["batch", CLASSES]}
    if novelty:
        nodes("ReduceMax", "frames", nodes.integers(2), output="novelty", keepdims=0)
        outputs["novelty"] = ["batch", "frames"]
    return nodes.model({"embeddings": ["batch", "frames", SIZE]}, outputs)


@pytest.mark.parametrize("novelty", [False, True])
def test_the_whole_says_what_its_parts_say(trunk: onnx.ModelProto, novelty: bool) -> None:
    whole = join(trunk, tail(novelty=novelty))
    names = [output.name for output in whole.graph.output]
    assert names == ["clip", "frames", "embeddings", *(["novelty"] if novelty else [])]
    waveform = np.random.default_rng(1).normal(size=(2, 5_000)).astype(np.float32)
    said = dict(zip(names, open_session(whole.SerializeToString()).run(names, {"waveform": waveform}), strict=True))
    (embeddings,) = open_session(trunk.SerializeToString()).run(["embeddings"], {"waveform": waveform})
    alone = TailBackend(tail(novelty=novelty)).run(embeddings)
    np.testing.assert_array_equal(said["embeddings"], embeddings)
    for name in names:
        np.testing.assert_allclose(said[name], getattr(alone, name), atol=1e-6)
    assert (alone.novelty is None) is not novelty


def test_names_do_not_meet_and_the_parts_stay_as_they_were(trunk: onnx.ModelProto) -> None:
    part = tail()
    before = trunk.SerializeToString(), part.SerializeToString()
    whole = join(trunk, part)
    assert (trunk.SerializeToString(), part.SerializeToString()) == before
    names = [constant.name for constant in whole.graph.initializer]
    assert len(set(names)) == len(names)
    assert {name.partition("/")[0] for name in names} == {"trunk", "tail"}
    assert [item.name for item in whole.graph.input] == ["waveform"]


def test_clips_of_any_length_one_by_one() -> None:
    clips = [np.random.default_rng(n).normal(size=(n, SIZE)).astype(np.float32) for n in (1, 4)]
    outputs = TailBackend(tail()).run_each(clips)
    assert [output.frames.shape for output in outputs] == [(1, 1, CLASSES), (1, 4, CLASSES)]
    assert [output.embeddings.shape for output in outputs if output.embeddings is not None] == [(1, 1, 6), (1, 4, 6)]
