"""Tags from scores: thresholds of a number or of the card, segments that are refused."""

from dataclasses import dataclass

import numpy as np
import pytest

from earmark.errors import OptionError
from earmark.inference.tagger import Tagger
from earmark.model.backends import Outputs
from earmark.model.card import ClassRule, DecisionRule, Label, ModelCard
from tests.tinymodel import tiny_card

LABELS = (Label("d", "Dog"), Label("c", "Cat"), Label("r", "Rain"))
THRESHOLDS = DecisionRule(on=0.5, off=0.2, classes={"c": ClassRule(0.1, 0.1), "r": ClassRule(0.7, 0.6)})


@dataclass
class Fake:
    """A backend that nobody runs."""

    card: ModelCard
    has_novelty: bool = False

    def run(self, waveforms):
        raise NotImplementedError


def card(**changes):
    return tiny_card(**{"labels": LABELS, "decision": THRESHOLDS, "calibrated": True, **changes})


def outputs(clip, novelty=None, frames=3, silent=0):
    """Return outputs of some frames, and of further ones that are silent."""
    scores = np.repeat(np.float32([1, 0]), [frames, silent])
    novelties = None if novelty is None else novelty * scores[None]
    return Outputs(np.array([clip], np.float32), np.stack([scores] * 3, axis=1)[None], None, novelties)


def tags(model_card, *, scores=(0.4, 0.2, 0.7), **options):
    tagger = Tagger(Fake(model_card), **options)
    tagger.push(outputs(scores))
    return [(tag.label, round(tag.score, 6)) for tag in tagger.answer()["tags"]], tagger.parameters["threshold"]


def test_thresholds_of_a_calibrated_multi_label_card_are_the_default():
    assert tags(card()) == ([("Rain", 0.7), ("Cat", 0.2)], "card")
    assert tags(card(), scores=(0.5, 0.05, 0.69)) == ([("Dog", 0.5)], "card")
    assert tags(card(), scores=(0.4, 0.05, 0.6)) == ([], "card")


@pytest.mark.parametrize(
    "changes",
    [
        {"calibrated": False},
        {"task": "single-label"},
        {"decision": DecisionRule(on=0.5, off=0.2)},
    ],
)
def test_of_any_other_card_they_are_asked_for(changes):
    everything = [("Rain", 0.7), ("Dog", 0.4), ("Cat", 0.2)]
    assert tags(card(**changes)) == (everything, 0.0)
    asked, threshold = tags(card(**changes), threshold="card")
    assert threshold == "card"
    assert asked == ([("Rain", 0.7)] if "decision" in changes else [("Rain", 0.7), ("Cat", 0.2)])


def test_a_number_takes_the_place_of_the_cards():
    assert tags(card(), threshold=0.0) == ([("Rain", 0.7), ("Dog", 0.4), ("Cat", 0.2)], 0.0)
    assert tags(card(), threshold=0.4, scores=(0.5, 0.2, 0.3)) == ([("Dog", 0.5)], 0.4)


def test_the_best_are_chosen_before_their_thresholds():
    assert tags(card(), top_k=1) == ([("Rain", 0.7)], "card")
    assert tags(card(), top_k=1, scores=(0.4, 0.2, 0.3)) == ([], "card")


@pytest.mark.parametrize(
    ("threshold", "shown"), [(1.5, "1.5"), (-0.1, "-0.1"), (float("nan"), "nan"), ("file", "'file'")]
)
def test_what_no_threshold_can_be(threshold, shown):
    with pytest.raises(OptionError, match=f"threshold={shown} is not allowed: a score lies in 0 to 1, 'card' stands"):
        Tagger(Fake(card()), threshold=threshold)


def novel(*segments, **options):
    """Return the answer for segments of scores and novelty, of 1, 2, 3 ... frames."""
    model = card(novelty_threshold=0.5, decision=DecisionRule())
    tagger = Tagger(Fake(model, has_novelty=True), **options)
    for frames, (scores, novelty) in enumerate(segments, start=1):
        tagger.push(outputs(scores, novelty, frames))
    answer = tagger.answer()
    scored = {name: {tag.id: round(tag.score, 6) for tag in answer[name]} for name in ("tags", "closest")}
    return answer | scored


QUIET, STRANGE, OTHER = ((0.2, 0.3, 0.1), 0.125), ((0.9, 0.0, 0.1), 0.75), ((0.1, 0.8, 0.1), 0.875)


def test_the_mean_of_segments_is_by_length():
    assert novel(STRANGE, QUIET) == {
        "tags": {"d": 0.433333, "c": 0.2, "r": 0.1},
        "novelty": pytest.approx((0.75 + 2 * 0.125) / 3),
        "none_of_these": False,
        "closest": {},
    }
    assert novel(QUIET, STRANGE) == {
        "tags": {},
        "novelty": pytest.approx((0.125 + 2 * 0.75) / 3),
        "none_of_these": True,
        "closest": {"d": 0.666667, "c": 0.1, "r": 0.1},
    }


def test_the_maximum_is_of_the_segments_that_are_known():
    known = {"tags": {"d": 0.2, "c": 0.3, "r": 0.1}, "novelty": 0.75, "none_of_these": False, "closest": {}}
    assert novel(STRANGE, QUIET, aggregate="max") == known
    assert novel(STRANGE, OTHER, aggregate="max") == {
        "tags": {},
        "novelty": 0.875,
        "none_of_these": True,
        "closest": {"d": 0.9, "c": 0.8, "r": 0.1},
    }
    ignored = novel(STRANGE, QUIET, aggregate="max", novelty="ignore")
    assert ignored["tags"] == {"d": 0.9, "c": 0.3, "r": 0.1}


def test_tags_are_chosen_from_the_closest_as_from_any():
    assert novel(STRANGE, top_k=1)["closest"] == {"d": 0.9}
    assert novel(STRANGE, deny=["Dog"], threshold=0.1)["closest"] == {"r": 0.1}


def test_what_is_left_for_none_of_the_classes_outweighs_them():
    """A model that learnt from negatives leaves them more than its best class has: then it is none of these."""
    learnt = card(task="single-label", background=True)
    for scores, refused in (((0.1, 0.2, 0.1), True), ((0.1, 0.5, 0.1), False)):
        for options in ({}, {"aggregate": "max"}):
            tagger = Tagger(Fake(learnt), **options)
            tagger.push(outputs(scores))
            answer = tagger.answer()
            assert answer["none_of_these"] is refused
            assert (answer["closest"] if refused else answer["tags"])[0].label == "Cat"
    asked_all_the_same = Tagger(Fake(learnt), novelty="ignore")
    asked_all_the_same.push(outputs((0.1, 0.2, 0.1)))
    assert not asked_all_the_same.answer()["none_of_these"]


def test_silence_counts_for_nothing():
    for options in ({}, {"aggregate": "max"}):
        tagger = Tagger(Fake(card(novelty_threshold=0.5), has_novelty=True), threshold=0.0, **options)
        tagger.push(outputs((0, 0, 0), 0.0, 0, silent=9))
        tagger.push(outputs((0.9, 0.2, 0.1), 0.25, 2, silent=7))
        answer = tagger.answer()
        assert [tag.score for tag in answer["tags"]] == pytest.approx([0.9, 0.2, 0.1])
        assert (answer["none_of_these"], answer["novelty"]) == (False, 0.25)


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_a_clip_without_any_score_is_none_of_these(task):
    for options in ({}, {"aggregate": "max"}):
        tagger = Tagger(Fake(card(task=task)), **options)
        tagger.push(outputs((0, 0, 0), frames=0, silent=3))
        assert tagger.answer() == {"tags": (), "novelty": None, "none_of_these": True, "closest": ()}
    asked_all_the_same = Tagger(Fake(card()), novelty="ignore", threshold=0.0)
    asked_all_the_same.push(outputs((0, 0, 0), frames=0, silent=3))
    assert [tag.score for tag in asked_all_the_same.answer()["tags"]] == [0, 0, 0]


def test_two_classes_that_share_a_clip_evenly_are_not_refused():
    learnt = card(task="single-label", background=True, labels=LABELS[:2], decision=DecisionRule())
    tagger = Tagger(Fake(learnt))
    tagger.push(Outputs(np.full((1, 2), 0.49999997, np.float32), np.ones((1, 3, 2), np.float32)))
    assert not tagger.answer()["none_of_these"]
