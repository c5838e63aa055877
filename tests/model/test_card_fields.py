"""Fields that cards got later: what they may hold, and that files from before are as they were."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from earmark.errors import CardError, VerificationError
from earmark.model.card import CARD_KEY, ClassRule, DecisionRule, Label, ModelCard
from earmark.model.modelfile import read_card, save
from earmark.model.verify import verify
from tests.tinymodel import LABELS, save_novel_model, tiny_card, tiny_graph

FIRST = Path(__file__).parents[1] / "golden" / "first.onnx"
"""Saved by the last earmark whose cards knew nothing of novelty, background and training; never to be made anew."""

TRAINING = {"recipe": "head", "seed": 0, "settings": {"c": [0.1, 1.0]}, "versions": {"earmark": "0.1"}}


def test_a_file_from_before_loads_and_verifies():
    card = read_card(FIRST)
    assert (card.novelty_threshold, card.background, card.training) == (None, False, {})
    assert card.decision.of("b") == ClassRule(0.7, 0.6)
    assert card.decision.of("a") == ClassRule(0.5, 0.25)
    outcome = verify(FIRST)
    assert outcome.passed
    assert outcome.unchanged is True


def test_its_card_is_written_as_it_was():
    (entry,) = (entry for entry in onnx.load(FIRST).metadata_props if entry.key == CARD_KEY)
    assert ModelCard.from_json(entry.value).to_json() == entry.value


def test_fields_that_say_something_come_back():
    card = tiny_card(novelty_threshold=0.0, background=True, task="single-label", training=TRAINING)
    assert ModelCard.from_json(card.to_json()) == card
    data = card.to_dict()
    assert (data["novelty_threshold"], data["background"], data["training"]) == (0.0, True, TRAINING)


def test_a_saved_model_is_verified_with_them(tmp_path):
    path = save_novel_model(tmp_path / "x.onnx", background=True, task="single-label", training=TRAINING)
    assert verify(path).unchanged
    assert set(read_card(path).test_vectors[0].outputs) == {"clip", "frames", "embeddings", "novelty"}
    model = onnx.load(path)
    data = json.loads(model.metadata_props[0].value)
    data["novelty_threshold"] = 0.9
    model.metadata_props[0].value = json.dumps(data)
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(VerificationError, match="it was changed since it was made"):
        verify(tmp_path / "changed.onnx")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"novelty_threshold": 1.5}, "novelty_threshold is 1.5; it must be in 0 to 1"),
        ({"novelty_threshold": float("nan")}, "novelty_threshold is nan"),
        ({"novelty_threshold": True}, "novelty_threshold is True"),
        ({"novelty_threshold": "0.5"}, "novelty_threshold is '0.5'"),
        ({"novelty_threshold": 0.5, "labels": (*LABELS, Label("none_of_these", "Nothing"))}, "'none_of_these' is what"),
        ({"background": 1}, "background is 1; allowed: True, False"),
        ({"background": True}, "background is for single-label models"),
        ({"training": ["head"]}, r"training is \['head'\]; it must be an object"),
        ({"training": {"rate": np.float32(0.1)}}, r"training is not JSON \(Object of type float32"),
        ({"training": {"rate": float("nan")}}, "training is not JSON"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(CardError, match=message):
        tiny_card(**changes)


def test_a_class_of_that_name_is_no_harm_without_a_threshold():
    assert tiny_card(labels=(*LABELS, Label("none_of_these", "Nothing")), decision=DecisionRule()).labels[-1].name


def test_a_threshold_needs_a_graph_with_novelty(tmp_path, rng):
    with pytest.raises(CardError, match="its card has a novelty threshold, its graph gives no novelty; save it again"):
        save(tiny_graph(rng), tiny_card(novelty_threshold=0.5), tmp_path / "x.onnx")
    assert save(tiny_graph(rng, novelty=True), tiny_card(), tmp_path / "y.onnx").is_file()


def test_novelty_is_one_number_a_frame(tmp_path, rng):
    graph = tiny_graph(rng, novelty=True)
    mean = next(node for node in graph.graph.node if "novelty" in node.output)
    mean.input[0] = "frames"
    (output,) = (output for output in graph.graph.output if output.name == "novelty")
    output.type.tensor_type.shape.dim.add().dim_value = len(LABELS)
    with pytest.raises(CardError, match=r"novelty has shape .*, not \[batch, frames\]"):
        save(graph, tiny_card(novelty_threshold=0.5), tmp_path / "x.onnx")
