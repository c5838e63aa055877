"""What sounds beside what is heard: names, synonyms, silence, neighbours."""

import numpy as np

from earmark.audio.synthesis import Passage
from earmark.evaluation.comparison import Comparison, compare
from earmark.inference.results import Event, TimelineResult
from earmark.model.card import Label

NAMES = ("Siren", "Alarm", "Rain")
TIMELINE = TimelineResult(
    file="a.wav",
    model="m",
    model_version="1",
    calibrated=False,
    seconds=4.0,
    labels=tuple(Label(name, name) for name in NAMES),
    edges=np.arange(5.0),
    scores=np.array([[0.4, 0.9, 0], [0.8, 0.4, 0], [0, 0, 0.6], [0, 0, 0.1]], np.float32),
)


def event(label: str, onset: float, offset: float) -> Event:
    return Event(label, label, onset, offset, 0.9)


def one(passage: Passage, *events: Event) -> Comparison:
    (compared,) = compare([passage], TIMELINE, events, {"downpour": ("Rain",)})
    return compared


def test_the_event_of_its_own_name_comes_before_a_longer_one() -> None:
    compared = one(Passage("siren", 0, 2), event("Alarm", 0, 2), event("Siren", 0.5, 1.5))
    assert (compared.heard, compared.right) == (event("Siren", 0.5, 1.5), True)
    assert (compared.highest, compared.highest_right) == ("Alarm", False)


def test_another_name_counts_where_it_is_known() -> None:
    compared = one(Passage("downpour", 2, 3), event("Rain", 2, 4))
    assert compared.right
    assert compared.highest_right
    assert not one(Passage("shower", 2, 3), event("Rain", 2, 4)).right


def test_the_tail_of_a_neighbour_is_not_heard() -> None:
    assert one(Passage("siren", 0, 2), event("Siren", 1.9, 4)).heard is None


def test_silence_is_right_where_nothing_is_heard() -> None:
    assert one(Passage("silence", 3, 4)).right
    assert not one(Passage("silence", 3, 4), event("Rain", 2, 4)).right
    assert not one(Passage("siren", 3, 4)).right


def test_an_id_counts_as_a_name() -> None:
    assert one(Passage("siren", 0, 2), Event("Police", "Siren", 0, 2, 0.9)).right


def test_a_passage_shorter_than_a_frame() -> None:
    assert one(Passage("siren", 0.6, 0.7)).highest == "Alarm"
