"""None of these: unknown sound is told as such, by clip, by event and live, and never as the nearest class."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.errors import LabelError, OptionError
from earmark.inference.classifier import Classifier
from earmark.inference.events import find_events
from earmark.inference.listening import Listening
from earmark.inference.novelty import OFF_SHARE
from earmark.inference.overview import overview
from earmark.inference.picture import Layout, draw
from earmark.inference.unknownsound import SHORTEST_SECONDS
from earmark.model.card import NONE_OF_THESE, ClassRule, DecisionRule
from tests.inference.test_stream import RULE, restless
from tests.tinymodel import HOP, LENGTH, save_novel_model

RATE = 16_000
LASTING = 2 * RATE  # samples: long enough for an event of unknown sound


@pytest.fixture(scope="module")
def classifier(novel_model):
    return Classifier.load(novel_model, threads=2)


@pytest.fixture
def loud(rng):
    return (rng.uniform(-0.9, 0.9, 3 * RATE).astype(np.float32), RATE)


@pytest.fixture
def quiet(rng):
    return (rng.uniform(-0.001, 0.001, 3 * RATE).astype(np.float32), RATE)


def two_halves(quiet, loud):
    """Return quiet sound, then loud sound, each of several whole segments."""
    return np.concatenate([np.tile(quiet[0], 3), np.tile(loud[0], 3)]), RATE


def test_known_sound_has_tags_and_its_novelty(classifier, quiet):
    result = classifier.classify(quiet)
    assert result.tags
    assert (result.none_of_these, result.closest) == (False, ())
    assert result.novelty == pytest.approx(classifier.timeline(quiet).novelty.mean(), abs=1e-6)
    assert 0.0 <= result.novelty < 0.5
    assert result.parameters["novelty"] == "reject"
    assert result.parameters["novelty_threshold"] == 0.5


def test_unknown_sound_has_no_tags(classifier, loud):
    result = classifier.classify(loud, top_k=2)
    assert result.tags == ()
    assert result.none_of_these
    assert result.novelty > 0.9
    assert result.closest == classifier.classify(loud, top_k=2, novelty="ignore").tags
    assert len(result.closest) == 2
    data = result.to_dict()
    assert list(data)[5:-2] == ["tags", "novelty", "none_of_these", "closest"]
    assert (data["tags"], data["none_of_these"]) == ([], True)
    assert data["closest"] == [tag.to_dict() for tag in result.closest]


def test_refusal_can_be_switched_off_or_moved(classifier, loud):
    ignored = classifier.classify(loud, novelty="ignore")
    assert ignored.tags
    assert (ignored.none_of_these, ignored.closest) == (False, ())
    assert ignored.novelty > 0.9
    assert ignored.parameters["novelty_threshold"] is None
    assert classifier.classify(loud, novelty_threshold=1.0).tags == ignored.tags
    assert classifier.classify(loud, novelty_threshold=0.0).none_of_these


def test_a_novelty_of_exactly_the_threshold_reaches_it(classifier, quiet):
    one_frame = (quiet[0][:LENGTH], RATE)
    novelty = classifier.classify(one_frame).novelty
    threshold = float(str(np.float32(novelty)))  # as a person reads it and writes it down
    assert classifier.classify(one_frame, novelty_threshold=threshold).none_of_these
    assert not classifier.classify(one_frame, novelty_threshold=threshold + 1e-6).none_of_these


def test_maximum_answers_with_what_is_known(classifier, quiet, loud):
    both = two_halves(quiet, loud)
    result = classifier.classify(both, aggregate="max", top_k=0)
    assert not result.none_of_these
    assert result.novelty > 0.9, "the highest of all segments"
    assert result.tags
    refused = classifier.classify(loud, aggregate="max", top_k=0)
    assert refused.none_of_these
    assert refused.closest == classifier.classify(loud, aggregate="max", top_k=0, novelty="ignore").tags


def test_the_mean_is_over_all_frames(classifier, quiet, loud):
    both = two_halves(quiet, loud)
    result = classifier.classify(both)
    assert result.novelty == pytest.approx(classifier.timeline(both).novelty.mean(), abs=1e-6)
    assert result.none_of_these == (result.novelty >= 0.5)


def test_timelines_and_embeddings_have_novelty(classifier, quiet, loud):
    sound = two_halves(quiet, loud)
    expected = classifier.backend.run(sound[0][None]).novelty[0]
    timeline, embedding = classifier.timeline(sound, allow=["Tone"]), classifier.embed(sound)
    np.testing.assert_allclose(timeline.novelty, expected, atol=1e-5)
    np.testing.assert_allclose(embedding.novelty, expected, atol=1e-5)
    assert timeline.scores.min() > 0, "scores are as the model gave them"
    for frames in (timeline.to_dict()["frames"], embedding.to_dict()["frames"]):
        assert [frame["novelty"] for frame in frames] == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_model_without_novelty_says_nothing_of_it(tiny_model, loud):
    classifier = Classifier.load(tiny_model)
    result = classifier.classify(loud)
    assert (result.novelty, result.none_of_these, result.closest) == (None, False, ())
    expected = ["file", "model", "model_version", "calibrated", "seconds", "tags", "notes", "parameters"]
    assert list(result.to_dict()) == expected
    assert list(result.parameters) == ["top_k", "threshold", "allow", "deny", "aggregate", "start", "end"]
    timeline = classifier.timeline(loud)
    assert timeline.novelty is None
    assert set(timeline.to_dict()["frames"][0]) == {"onset", "offset", "scores"}
    assert list(classifier.events(loud).parameters) == ["rule", "allow", "deny", "start", "end"]
    assert classifier.stream(RATE).feed(loud[0]).novelty is None


def test_novelty_without_a_threshold_is_told_and_nothing_follows(tmp_path, loud):
    classifier = Classifier.load(save_novel_model(tmp_path / "told.onnx", novelty_threshold=None))
    result = classifier.classify(loud)
    assert result.novelty > 0.9
    assert result.tags
    assert NONE_OF_THESE.id not in {event.id for event in classifier.events(loud).events}
    with pytest.raises(LabelError, match="no label matches 'none of these'"):
        classifier.events(loud, deny=["none of these"])
    assert classifier.classify(loud, novelty_threshold=0.5).none_of_these


# Events


def reference(timeline, rule, threshold, hop):
    """Return the events of a timeline: those of classes, and between them those of novelty, each stretch by itself."""
    known = np.where(timeline.novelty[:, None] >= np.float32(threshold), np.float32(0), timeline.scores)
    events = list(find_events(known, timeline.edges, rule, timeline.labels, hop))
    spans = list(pairwise(timeline.edges.tolist()))
    free = [not any(event.onset <= left and right <= event.offset for event in events) for left, right in spans]
    own = ClassRule(threshold, OFF_SHARE * threshold)
    shortest = max(rule.min_duration_seconds, SHORTEST_SECONDS, 2 * hop)
    rule = replace(rule, min_duration_seconds=shortest, classes={NONE_OF_THESE.id: own})
    cuts = [0, *(np.flatnonzero(np.diff(free)) + 1).tolist(), len(free)]
    for start, stop in pairwise(cuts):
        if free[start]:
            scores, edges = timeline.novelty[start:stop, None], timeline.edges[start : stop + 1]
            events += find_events(scores, edges, rule, (NONE_OF_THESE,), hop)
    return tuple(sorted(events, key=lambda event: (event.onset, event.offset, event.id)))


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_events_are_of_known_classes_or_of_none(classifier, threshold):
    sound = (restless(20 * RATE, RATE, LASTING), RATE)
    result = classifier.events(sound, rule=RULE, novelty_threshold=threshold)
    assert result.events == reference(classifier.timeline(sound), RULE, threshold, classifier.card.frame_hop_seconds)
    unknown = [event for event in result.events if event.id == NONE_OF_THESE.id]
    assert unknown
    assert len(unknown) < len(result.events)
    assert {event.label for event in unknown} == {"none of these"}
    assert min(event.score for event in unknown) >= np.float32(threshold)
    assert set(result.parameters["rule"]["classes"]) == set(), "the rule is about classes; the threshold stands beside"


def overlap(one, other):
    return min(one.offset, other.offset) - max(one.onset, other.onset) > 1e-6


@settings(max_examples=30, deadline=None)
@given(
    threshold=st.floats(0.05, 0.95),
    gap=st.sampled_from([0.0, 0.5, 2.0]),
    on=st.sampled_from([0.1, 0.3, 0.52]),
    shortest=st.sampled_from([0.0, 0.8]),
    steady=st.sampled_from([4000, LASTING]),
)
def test_unknown_sound_is_never_beside_a_class_nor_short(classifier, threshold, gap, on, shortest, steady):
    rule = DecisionRule(on=on, off=on, min_duration_seconds=shortest, merge_gap_seconds=gap)
    sound = restless(20 * RATE, RATE, steady)
    events = classifier.events((sound, RATE), rule=rule, novelty_threshold=threshold).events
    unknown = [event for event in events if event.id == NONE_OF_THESE.id]
    known = [event for event in events if event.id != NONE_OF_THESE.id]
    assert not [(one, other) for one in unknown for other in known if overlap(one, other)]
    assert all(event.offset - event.onset > SHORTEST_SECONDS - 1e-5 for event in unknown)


def test_no_class_sounds_in_unknown_sound(classifier, loud):
    always = DecisionRule(on=0.01, off=0.01)
    (event,) = classifier.events(loud, rule=always).events
    assert (event.id, event.onset, event.offset) == (NONE_OF_THESE.id, 0.0, 3.0)
    ignored = classifier.events(loud, rule=always, novelty="ignore").events
    assert {event.id for event in ignored} == {label.id for label in classifier.card.labels}


def test_none_of_these_is_a_label_of_events(classifier, loud, quiet):
    always = DecisionRule(on=0.01, off=0.01)
    both = two_halves(quiet, loud)
    everything = classifier.events(both, rule=always).events
    denied = classifier.events(both, rule=always, deny=["None of these"]).events
    assert denied == tuple(event for event in everything if event.id != NONE_OF_THESE.id)
    alone = classifier.events(both, rule=always, allow=["none_of_these"]).events
    assert alone == tuple(event for event in everything if event.id == NONE_OF_THESE.id)
    assert len(alone) == 1
    chosen = classifier.events(both, rule=always, allow=["Tone"]).events
    assert chosen == tuple(event for event in everything if event.label == "Tone")
    with pytest.raises(OptionError, match="leave no label"):
        classifier.events(both, allow=["none of these"], deny=["none of these"])
    with pytest.raises(LabelError, match="rule: no label matches 'none of these'"):
        classifier.events(both, rule=DecisionRule(classes={"none of these": ClassRule(0.5, 0.5)}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"novelty": "maybe"}, "novelty='maybe' is not allowed: give 'reject' or 'ignore'"),
        ({"novelty_threshold": 1.5}, "novelty_threshold=1.5 is not allowed"),
        ({"novelty_threshold": float("nan")}, "novelty_threshold=nan is not allowed"),
        ({"novelty": "ignore", "novelty_threshold": 0.5}, "contradict each other"),
    ],
)
def test_impossible_options(classifier, loud, options, message):
    for call in (classifier.classify, classifier.events):
        with pytest.raises(OptionError, match=message):
            call(loud, **options)
    for call in (classifier.classify_many, classifier.events_many):
        with pytest.raises(OptionError, match=message):
            call([loud], **options)
    with pytest.raises(OptionError, match=message):
        classifier.stream(RATE, **options)


def test_a_threshold_needs_novelty(tiny_model, loud):
    with pytest.raises(
        OptionError, match=r"novelty_threshold=0.5 is for models that give novelty, and 'tiny' gives none"
    ):
        Classifier.load(tiny_model).classify(loud, novelty_threshold=0.5)
    assert Classifier.load(tiny_model).classify(loud, novelty="ignore").tags


# Streams


@settings(max_examples=30, deadline=None)
@given(
    samples=st.integers(3, LENGTH + 24 * HOP),  # at 44.1 kHz less is no sample of the model
    sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) > 400 * len(sizes)),
    rate=st.sampled_from([16_000, 44_100, 8_000]),
    threshold=st.sampled_from([None, 0.3, 0.8]),
    steady=st.sampled_from([4000, LASTING]),
)
def test_stream_equals_file(classifier, samples, sizes, rate, threshold, steady):
    sound = restless(samples, rate, steady)
    stream, position, updates, turn = classifier.stream(rate, rule=RULE, novelty_threshold=threshold), 0, [], 0
    while position < len(sound):
        size = sizes[turn % len(sizes)]
        updates.append(stream.feed(sound[position : position + size]))
        position, turn = position + size, turn + 1
    updates.append(stream.finish())
    timeline = classifier.timeline((sound, rate))
    np.testing.assert_allclose(np.concatenate([update.scores for update in updates]), timeline.scores, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([update.novelty for update in updates]), timeline.novelty, atol=1e-5)
    closed = [change.event for update in updates for change in update.changes if change.kind == "close"]
    expected = classifier.events((sound, rate), rule=RULE, novelty_threshold=threshold).events
    assert sorted((event.id, event.onset, event.offset) for event in closed) == [
        (label_id, pytest.approx(onset), pytest.approx(offset))
        for label_id, onset, offset in sorted((event.id, event.onset, event.offset) for event in expected)
    ]


def test_a_stream_of_unknown_sound_alone(classifier):
    stream = classifier.stream(RATE, rule=RULE, allow=["none of these"])
    assert stream.labels == ()
    sound = restless(12 * RATE, RATE, LASTING)
    updates = [stream.feed(sound[start : start + 1600]) for start in range(0, len(sound), 1600)]
    updates.append(stream.finish())
    assert all(update.scores.shape == (len(update.novelty), 0) for update in updates)
    assert updates[-1].edges[-1] == 12.0
    closed = [change.event for update in updates for change in update.changes if change.kind == "close"]
    assert closed
    assert {event.id for event in closed} == {NONE_OF_THESE.id}


def test_listening_passes_novelty_on(classifier):
    class Source:
        sample_rate_hz = RATE

        def __iter__(self):
            sound = restless(6 * RATE, RATE)
            yield from np.split(sound, 12)

    heard = list(Listening(Source(), lambda rate: classifier.stream(rate, allow=["none of these"]), live=False))
    novelty = np.concatenate([update.novelty for update in heard])
    np.testing.assert_allclose(novelty, classifier.timeline((restless(6 * RATE, RATE), RATE)).novelty, atol=1e-5)


# Pictures


def test_a_picture_has_a_lane_of_unknown_sound(classifier):
    sound = (restless(8 * RATE, RATE, LASTING), RATE)
    view = overview(classifier, sound, rule=RULE)
    assert view.labels == (*classifier.card.labels, NONE_OF_THESE)
    np.testing.assert_array_equal(view.scores[:, -1], classifier.timeline(sound).novelty)
    expected = classifier.events(sound, rule=RULE)
    assert (view.result.events, view.result.parameters) == (expected.events, expected.parameters)
    figure = draw(view, Layout())
    names = {axes.get_label(): [text.get_text() for text in axes.get_yticklabels()] for axes in figure.axes}
    assert "none of these" in names["classes"]
    assert "none of these" in names["events"]
    assert NONE_OF_THESE not in overview(classifier, sound, rule=RULE, novelty="ignore").labels
    assert overview(classifier, sound, allow=["none of these"]).scores.shape[1] == 1
