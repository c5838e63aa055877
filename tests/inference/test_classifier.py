"""The classifier on real sound: tags, events, timelines, embeddings; any length, many files, honest parameters."""

import numpy as np
import pytest
import soundfile

from earmark.errors import AudioNotFoundError, LabelError, ModelError, OptionError
from earmark.inference.classifier import Classifier, default_threads
from earmark.inference.results import ClipResult, Failure
from earmark.model.backends import load_backend
from earmark.model.card import ClassRule, DecisionRule
from tests.tinymodel import HOP, LENGTH

RATE = 16_000


@pytest.fixture(scope="module")
def classifier(tiny_model):
    return Classifier.load(tiny_model, threads=2)


@pytest.fixture
def sound(rng):
    """Return nine seconds that change: noise, silence, a tone."""
    tone = 0.3 * np.sin(2 * np.pi * 880 * np.arange(3 * RATE) / RATE)
    parts = [0.2 * rng.standard_normal(3 * RATE), np.zeros(3 * RATE), tone]
    return np.concatenate(parts).astype(np.float32)


def test_tags_are_the_mean_over_all_frames(classifier, sound):
    whole = classifier.backend.run(sound[None])
    result = classifier.classify((sound, RATE), top_k=0)
    names = [label.name for label in classifier.card.labels]
    for tag in result.tags:
        assert tag.score == pytest.approx(whole.frames[0].mean(axis=0)[names.index(tag.label)], abs=1e-5)
    assert [tag.score for tag in result.tags] == sorted((tag.score for tag in result.tags), reverse=True)
    assert (result.file, result.model, result.seconds) == ("<array>", "tiny", 9.0)
    assert result.calibrated is False
    assert result.parameters["aggregate"] == "mean"


def test_maximum_over_segments(classifier, sound):
    mean = {tag.id: tag.score for tag in classifier.classify((sound, RATE), top_k=0).tags}
    highest = {tag.id: tag.score for tag in classifier.classify((sound, RATE), top_k=0, aggregate="max").tags}
    assert all(highest[label] >= mean[label] for label in mean)
    assert any(highest[label] > mean[label] + 0.01 for label in mean)


def test_top_k_threshold_allow_and_deny(classifier, sound):
    everything = classifier.classify((sound, RATE), top_k=0).tags
    assert len(everything) == 5
    assert classifier.classify((sound, RATE), top_k=2).tags == everything[:2]
    limit = everything[2].score
    assert classifier.classify((sound, RATE), threshold=limit).tags == everything[:3]
    allowed = classifier.classify((sound, RATE), top_k=1, allow=[everything[3].label]).tags
    assert allowed == (everything[3],)  # the filter comes before the ranking
    denied = classifier.classify((sound, RATE), top_k=0, deny=[everything[0].id]).tags
    assert denied == everything[1:]


def test_start_and_end(classifier, sound):
    part = classifier.classify((sound[2 * RATE : 5 * RATE], RATE), top_k=0)
    same = classifier.classify((sound, RATE), top_k=0, start=2.0, end=5.0)
    assert same.seconds == 3.0
    assert {tag.id: tag.score for tag in same.tags} == pytest.approx({tag.id: tag.score for tag in part.tags})
    assert (same.parameters["start"], same.parameters["end"]) == (2.0, 5.0)


def test_timeline_is_the_whole_files(classifier, sound):
    timeline = classifier.timeline((sound, RATE))
    whole = classifier.backend.run(sound[None]).frames[0]
    np.testing.assert_allclose(timeline.scores, whole, atol=1e-5)
    assert len(timeline.edges) == len(whole) + 1
    assert (timeline.edges[0], timeline.edges[-1]) == (0.0, 9.0)
    assert (np.diff(timeline.edges) > 0).all()
    shifted = classifier.timeline((sound, RATE), start=2.0, end=5.0)
    assert (shifted.edges[0], shifted.edges[-1]) == (2.0, 5.0)


def test_timeline_of_chosen_labels(classifier, sound):
    timeline = classifier.timeline((sound, RATE), allow=["*hiss", "/t/tone"])
    assert [label.name for label in timeline.labels] == ["Tone", "Noise, hiss"]
    np.testing.assert_array_equal(timeline.scores, classifier.timeline((sound, RATE)).scores[:, :2])


def test_events_follow_the_rule(classifier, sound):
    timeline = classifier.timeline((sound, RATE))
    scores = timeline.scores[:, 0]
    middle = float((scores.min() + scores.max()) / 2)
    result = classifier.events((sound, RATE), rule=DecisionRule(on=middle, off=middle), allow=["Tone"])
    loud = np.flatnonzero(scores >= middle)
    assert result.events
    assert result.events[0].onset == pytest.approx(timeline.edges[loud[0]])
    assert result.events[-1].offset == pytest.approx(timeline.edges[loud[-1] + 1])
    assert max(event.score for event in result.events) == pytest.approx(scores.max())
    assert result.parameters["rule"]["on"] == middle


def test_the_cards_rule_is_the_default(classifier, sound):
    given = classifier.events((sound, RATE), rule=classifier.card.decision)
    assert classifier.events((sound, RATE)) == given


def test_a_rule_may_name_labels(classifier, sound):
    by_name = DecisionRule(on=1.0, off=1.0, classes={"tone": ClassRule(0.0, 0.0), "*hiss": ClassRule(0.0, 0.0)})
    heard = classifier.events((sound, RATE), rule=by_name)
    assert {event.label for event in heard.events} == {"Tone", "Noise, hiss"}
    assert set(heard.parameters["rule"]["classes"]) == {"/t/tone", "/t/noise"}
    with pytest.raises(LabelError, match="rule: no label matches 'Tonne'"):
        classifier.events((sound, RATE), rule=DecisionRule(classes={"Tonne": ClassRule(0.5, 0.5)}))
    with pytest.raises(OptionError, match="rule is a dict; give a DecisionRule"):
        classifier.events((sound, RATE), rule={"on": 0.5})


def test_a_single_string_is_no_list(classifier, sound):
    with pytest.raises(OptionError, match="allow is the string 'Tone'; give a list"):
        classifier.classify((sound, RATE), allow="Tone")
    with pytest.raises(OptionError, match=r"sources is the single 'dog.wav': give a list"):
        classifier.classify_many("dog.wav")


def test_embeddings(classifier, sound):
    result = classifier.embed((sound, RATE))
    np.testing.assert_allclose(result.embeddings, classifier.backend.run(sound[None]).embeddings[0], atol=1e-4)
    assert result.edges[-1] == 9.0


def test_a_model_without_embeddings(shared, sound):
    litert = Classifier(load_backend(shared / "models/yamnet/yamnet_classification_int8.tflite"))
    with pytest.raises(ModelError, match="gives no embeddings; take one that does"):
        litert.embed((sound, RATE))


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_do_not_change_the_answer(tiny_model, classifier, sound, threads):
    long = np.tile(sound, 5)
    other = Classifier.load(tiny_model, threads=threads)
    np.testing.assert_allclose(other.timeline((long, RATE)).scores, classifier.timeline((long, RATE)).scores, atol=1e-6)


def test_many_keep_their_order_and_their_failures(classifier, sound, tmp_path):
    paths = []
    for number in range(12):
        paths.append(tmp_path / f"{number:02}.wav")
        soundfile.write(paths[-1], np.roll(sound, number * RATE), RATE)
    paths[5].write_bytes(b"this is no sound" * 100)
    paths[8].unlink()
    results = list(classifier.classify_many(paths, top_k=1))
    assert [result.file for result in results] == [str(path) for path in paths]
    assert [index for index, result in enumerate(results) if isinstance(result, Failure)] == [5, 8]
    assert isinstance(results[8].error, AudioNotFoundError)
    alone = classifier.classify(paths[3], top_k=1)
    assert isinstance(results[3], ClipResult)
    assert results[3].tags[0].score == pytest.approx(alone.tags[0].score, abs=1e-6)
    assert len(list(classifier.events_many(paths[:2]))) == 2
    assert len(list(classifier.timeline_many(paths[:1]))) == 1
    assert len(list(classifier.embed_many(iter(paths[:3])))) == 3


def test_a_wrong_option_stops_many_before_they_begin(classifier, tmp_path):
    with pytest.raises(LabelError, match="Tonne"):
        classifier.classify_many([tmp_path / "a.wav", tmp_path / "b.wav"], allow=["Tonne"])


@pytest.mark.parametrize("samples", [1, 100, LENGTH - 1, LENGTH, LENGTH + 1, LENGTH + 5 * HOP, LENGTH + 6 * HOP])
def test_any_length_is_analysed_whole(classifier, rng, samples):
    sound = (0.1 * rng.standard_normal(samples)).astype(np.float32)
    result = classifier.classify((sound, RATE))
    assert result.seconds == pytest.approx(samples / RATE)
    timeline = classifier.timeline((sound, RATE))
    assert timeline.edges[-1] == pytest.approx(samples / RATE)
    assert (np.diff(timeline.edges) > 0).all()
    assert any("too-short" in note for note in result.notes) == (samples < LENGTH)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, r"threshold=1.5 is not allowed"),
        ({"top_k": -1}, r"top_k=-1"),
        ({"aggregate": "median"}, r"aggregate='median'"),
    ],
)
def test_impossible_options(classifier, sound, options, message):
    with pytest.raises(OptionError, match=message):
        classifier.classify((sound, RATE), **options)


def test_threads_from_the_environment(monkeypatch, tiny_model):
    monkeypatch.setenv("EARMARK_THREADS", "3")
    assert default_threads() == Classifier.load(tiny_model).threads == 3
    for wrong in ("0", "many", "-2"):
        monkeypatch.setenv("EARMARK_THREADS", wrong)
        with pytest.raises(OptionError, match=f"EARMARK_THREADS='?{wrong}'? is not allowed"):
            default_threads()
    monkeypatch.delenv("EARMARK_THREADS")
    assert default_threads() >= 1
    with pytest.raises(OptionError, match="threads=0 is not allowed"):
        Classifier.load(tiny_model, threads=0)


def test_yamnet_hears_what_is_there(yamnet, shared):
    """Five real clips, five right answers."""
    classifier = Classifier.load(yamnet)
    expected = {
        "1-100032-A-0": "Dog",
        "1-28135-A-11": "Ocean",
        "1-17367-A-10": "Rain",
        "1-116765-A-41": "Chainsaw",
        "1-26806-A-1": "Chicken, rooster",
    }
    for name, label in expected.items():
        heard = classifier.classify(shared / "data/esc50/audio" / f"{name}.flac").tags
        assert label in [tag.label for tag in heard]
