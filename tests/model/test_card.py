"""The card: what it refuses, what it derives, and that it comes back from JSON as it went."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.errors import CardError
from earmark.model.card import ClassRule, DecisionRule, Label, ModelCard, TestVector
from tests.tinymodel import HOP, LABELS, LENGTH, tiny_card

unit = st.floats(0, 1)
seconds = st.floats(0, 1000)
words = st.text(min_size=1, max_size=20)


@st.composite
def class_rules(draw):
    off, on = sorted([draw(unit), draw(unit)])
    return ClassRule(on, off)


@st.composite
def cards(draw):
    ids = draw(st.lists(words, min_size=1, max_size=5, unique=True))
    rate = draw(st.integers(1, 192_000))
    hop, length, segment = (count / rate for count in sorted(draw(st.tuples(*[st.integers(1, 10**6)] * 3))))
    off, on = sorted([draw(unit), draw(unit)])
    rule = DecisionRule(
        on, off, draw(seconds), draw(seconds), draw(seconds), draw(st.dictionaries(st.sampled_from(ids), class_rules()))
    )
    vectors = draw(st.lists(st.builds(TestVector, words, st.integers(1, 9), st.dictionaries(words, st.lists(unit)))))
    return ModelCard(
        name=draw(words),
        version=draw(words),
        labels=tuple(Label(label_id, draw(words)) for label_id in ids),
        sample_rate=rate,
        frame_length_seconds=length,
        frame_hop_seconds=hop,
        segment_seconds=segment,
        task=draw(st.sampled_from(["multi-label", "single-label"])),
        calibrated=draw(st.booleans()),
        decision=rule,
        metrics=draw(st.dictionaries(words, unit)),
        test_vectors=tuple(vectors),
    )


@given(cards())
def test_round_trip(card):
    assert ModelCard.from_json(card.to_json()) == card


def test_derived_sizes():
    card = tiny_card()
    assert (card.frame_length, card.frame_hop, card.segment_frames) == (LENGTH, HOP, 6)
    counts = [card.frame_count(samples) for samples in (1, LENGTH, LENGTH + 1, LENGTH + HOP, LENGTH + HOP + 1)]
    assert counts == [1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ()}, "it has no labels"),
        ({"labels": (*LABELS, LABELS[0])}, "label id '/t/tone' is there twice"),
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"task": "guess"}, "task is 'guess'; allowed"),
        ({"frame_hop_seconds": 9.0}, "hop 9.0 s.*in that order"),
        ({"segment_seconds": 0.1}, "in that order"),
        ({"frame_hop_seconds": 0.1 + 1e-5}, "frame_hop_seconds is 1600.16 samples; it must be a whole number"),
        ({"decision": DecisionRule(classes={"/t/cat": ClassRule(0.5, 0.5)})}, "names '/t/cat', which is no label id"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(CardError, match=message):
        tiny_card(**changes)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"on": 0.2, "off": 0.3}, "on=0.2, off=0.3 are not allowed"),
        ({"on": 1.2}, "on=1.2"),
        ({"merge_gap_seconds": -1.0}, "merge_gap_seconds is -1.0"),
        ({"smoothing_seconds": float("nan")}, "smoothing_seconds is nan"),
        ({"smoothing_seconds": 3601.0}, "smoothing_seconds is 3601.0: it must be a number of seconds from 0 to 3600"),
        ({"min_duration_seconds": 1e308}, r"min_duration_seconds is 1e\+308: it must be .* from 0 to 86400"),
        ({"merge_gap_seconds": 10**400}, "merge_gap_seconds is 10+: it must be .* from 0 to 86400"),
    ],
)
def test_impossible_rules_are_refused(fields, message):
    with pytest.raises(CardError, match=message):
        DecisionRule(**fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(format=99), "format 99, this earmark reads 1"),
        (
            lambda data: data.update(colour="red"),
            "unknown key 'colour' in the model card; allowed: background, calibrated",
        ),
        (lambda data: data["decision"].update(mood=1), "unknown key 'mood' in the decision rule"),
        (lambda data: data.pop("labels"), "malformed: 'labels'"),
        (lambda data: data.pop("version"), "malformed: .*version"),
    ],
)
def test_malformed_cards_are_refused(change, message):
    data = json.loads(tiny_card().to_json())
    change(data)
    with pytest.raises(CardError, match=message):
        ModelCard.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_what_is_no_card_at_all(text):
    with pytest.raises(CardError, match=r"the model card is"):
        ModelCard.from_json(text)
