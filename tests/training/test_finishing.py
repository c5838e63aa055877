"""What training adds to a candidate: calibration, thresholds, novelty, a card that says all of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from earmark.data.manifest import Clip, Manifest
from earmark.features.graph import add_padding
from earmark.features.nodes import Nodes
from earmark.model.card import DecisionRule
from earmark.training.candidate import Candidate, HeldOut
from earmark.training.finishing import LONGEST_SEGMENT_SECONDS, Naming, finish
from earmark.training.joining import TailBackend
from earmark.training.run import Run

RATE_HZ, LENGTH, HOP, SIZE = 8_000, 1_600, 800, 4
LABELS = ("cat", "dog", "rain")


def trunk() -> onnx.ModelProto:
    """Return one whose embedding is the same number over and over: how loud a frame is."""
    nodes = Nodes()
    channels = nodes("Unsqueeze", add_padding(nodes, "waveform", LENGTH, HOP), nodes.integers(1))
    power = nodes("AveragePool", nodes("Mul", channels, channels), kernel_shape=[LENGTH], strides=[HOP])
    level = nodes("Transpose", nodes("Sqrt", power), perm=[0, 2, 1])
    nodes("Expand", level, nodes.integers(1, 1, SIZE), output="embeddings")
    return nodes.model({"waveform": ["batch", "samples"]}, {"embeddings": ["batch", "frames", SIZE]})


def candidate(manifest: Manifest, *, frames: int = 5, exclusive: bool = True) -> Candidate:
    """Return one whose tail is a random layer that tells the classes of its clips, more or less."""
    rng = np.random.default_rng(4)
    weights = rng.normal(size=(SIZE, len(LABELS)))
    targets = manifest.targets()
    embeddings = tuple(
        (row @ weights.T + rng.normal(scale=0.7, size=(frames, SIZE))).astype(np.float32) for row in targets
    )
    nodes = Nodes()
    logits = nodes("MatMul", "embeddings", nodes.constant(weights, np.float32))
    nodes("Softmax", logits, output="frames", axis=-1) if exclusive else nodes("Sigmoid", logits, output="frames")
    nodes("ReduceMean", "frames", nodes.integers(1), output="clip", keepdims=0)
    tail = nodes.model(
        {"embeddings": ["batch", "frames", SIZE]},
        {"clip": ["batch", len(LABELS)], "frames": ["batch", "frames", len(LABELS)]},
    )
    indices = np.arange(0, len(manifest), 2)
    outputs = TailBackend(tail).run_each(embeddings[index] for index in indices)
    return Candidate(
        trunk=trunk(),
        tail=tail,
        sample_rate_hz=RATE_HZ,
        frame_length=LENGTH,
        frame_hop=HOP,
        embedding_size=SIZE,
        embeddings=embeddings,
        held_out=HeldOut(
            indices=indices,
            clip=np.concatenate([output.clip for output in outputs]),
            frames=tuple(output.frames[0] for output in outputs),
        ),
        facts={"recipe": "toy", "width": 3},
        frozen=True,
    )


def manifest(*, negatives: int = 0, several: bool = False) -> Manifest:
    labels = [(LABELS[n % 3],) if not (several and n % 4 == 0) else ("cat", "rain") for n in range(36)]
    clips = [Clip(Path(f"{n}.wav"), labels) for n, labels in enumerate([*labels, *[()] * negatives])]
    return Manifest.of(clips, source="toys", layout="folder")


def test_the_tail_is_what_the_held_out_scores_say() -> None:
    clips = manifest()
    made = candidate(clips)
    finished = finish(made, clips, Run(), Naming(name="toy", version="2", licence="CC0-1.0", description="Toys."))
    outputs = TailBackend(finished.tail).run_each(made.embeddings[index] for index in made.held_out.indices)
    np.testing.assert_allclose(finished.held_out.scores, np.concatenate([out.clip for out in outputs]), atol=1e-5)
    assert all(out.novelty is not None and ((out.novelty >= 0) & (out.novelty <= 1)).all() for out in outputs)
    assert finished.held_out.clips == tuple(f"{index}.wav" for index in made.held_out.indices)
    assert "the calibration was fitted on the same clips" in finished.held_out.notes[0]
    card = finished.card
    assert (card.name, card.version, card.licence, card.description) == ("toy", "2", "CC0-1.0", "Toys.")
    assert (card.calibrated, card.background, card.task, card.embedding_size) == (True, False, "single-label", SIZE)


def test_the_card_says_how_it_came_about() -> None:
    clips = manifest()
    card = finish(candidate(clips), clips, Run(seed=7)).card
    assert card.description == "3 classes from 36 clips, recipe toy."
    assert card.training_data == f"toys: 36 clips, SHA-256 of the list {clips.digest()}"
    assert card.source.endswith("recipe toy")
    facts = card.training
    assert (facts["recipe"], facts["width"], facts["seed"]) == ("toy", 3, 7)
    assert facts["calibration"]["method"] == "temperature"
    assert facts["novelty"]["threshold"] == card.novelty_threshold
    assert card.metrics["held_out"]["metrics"]["clips"] == 18


def test_negatives_are_a_background_and_several_labels_are_not() -> None:
    clips = manifest(negatives=6)
    card = finish(candidate(clips), clips, Run()).card
    assert (card.background, card.task) == (True, "single-label")
    clips = manifest(negatives=6, several=True)
    card = finish(candidate(clips, exclusive=False), clips, Run()).card
    assert (card.background, card.task) == (False, "multi-label")
    assert card.training["calibration"]["method"] == "platt"


@pytest.mark.parametrize(("frames", "seconds"), [(1, 0.2), (5, 0.6), (400, LONGEST_SEGMENT_SECONDS)])
def test_a_segment_is_as_long_as_the_clips(frames: int, seconds: float) -> None:
    clips = manifest()
    assert finish(candidate(clips, frames=frames), clips, Run()).card.segment_seconds == pytest.approx(seconds)


def test_without_a_clip_held_out_nothing_is_called_calibrated() -> None:
    whole = manifest()
    nothing = HeldOut(indices=np.empty(0, np.int64), clip=np.empty((0, len(LABELS)), np.float32))
    finished = finish(replace(candidate(whole), held_out=nothing), whole, Run())
    assert not finished.card.calibrated
    assert finished.card.decision == DecisionRule()
    assert finished.card.training["calibration"]["temperature"] == pytest.approx(1.0, abs=1e-6)
    assert finished.held_out.metrics.clips == 0
    assert "too few clips to hold any out" in finished.held_out.notes[0]


def test_silence_has_no_score_held_out_or_shipped() -> None:
    clips = manifest(negatives=2)
    made = candidate(clips)
    quiet = (*made.embeddings[:-2], *np.zeros((2, 5, SIZE), np.float32))
    finished = finish(replace(made, embeddings=quiet), clips, Run())
    silent = made.held_out.indices == 36
    assert not finished.held_out.scores[silent].any()
    assert (finished.held_out.scores[~silent] > 0).all()
    assert finished.card.training["silence"]["radius"] > 0
    outputs = TailBackend(finished.tail).run(quiet[36][None])
    for given in (outputs.clip, outputs.frames, outputs.novelty):
        assert given is not None
        assert not given.any()
