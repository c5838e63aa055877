"""Listening: nothing is waited for, nothing is lost without a word, and time stays true."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import AudioError, LabelError
from earmark.inference.classifier import Classifier
from earmark.inference.listening import Gap, Listening, Paced
from earmark.inference.stream import StreamUpdate
from earmark.model.card import DecisionRule
from tests.inference.test_stream import RULE, restless
from tests.tinymodel import HOP, LENGTH

RATE_HZ = 16_000
SOUND = restless(20 * RATE_HZ, RATE_HZ)
ALWAYS = DecisionRule(on=0.0, off=0.0)  # an event of every label, as long as the sound


@pytest.fixture(scope="module")
def classifier(tiny_model: Path) -> Classifier:
    return Classifier.load(tiny_model, threads=1)


@dataclass
class Source:
    """Blocks of a sound, with things that happen before some of them."""

    sound: np.ndarray = field(default_factory=lambda: SOUND)
    block_samples: int = 800
    before: dict[int, object] = field(default_factory=dict)  # number of a block: what is called before it
    sample_rate_hz: int = RATE_HZ
    lost_seconds: float = 0.0

    def __iter__(self) -> Iterator[np.ndarray]:
        for number, begin in enumerate(range(0, len(self.sound), self.block_samples)):
            self.before.get(number, lambda: None)()
            yield self.sound[begin : begin + self.block_samples]


def listening_to(source, classifier: Classifier, *, live: bool = False, rule=RULE, **options) -> Listening:
    return Listening(source, partial(classifier.stream, rule=rule), live=live, **options)


def closed(heard) -> list[tuple[str, float, float]]:
    changes = [change for update in heard if isinstance(update, StreamUpdate) for change in update.changes]
    return sorted((c.event.onset, c.event.label, c.event.offset) for c in changes if c.kind == "close")


def opened(heard) -> int:
    return sum(c.kind == "open" for update in heard if isinstance(update, StreamUpdate) for c in update.changes)


def gaps(heard) -> list[Gap]:
    return [item for item in heard if isinstance(item, Gap)]


@pytest.mark.parametrize("live", [False, True])
def test_events_are_those_of_the_file(classifier: Classifier, live: bool) -> None:
    listening = listening_to(Source(), classifier, live=live, queue_seconds=1000)
    heard = list(listening)
    expected = classifier.events((SOUND, RATE_HZ), rule=RULE).events
    assert len(expected) > 3
    assert closed(heard) == [
        (pytest.approx(onset), label, pytest.approx(offset))
        for onset, label, offset in sorted((event.onset, event.label, event.offset) for event in expected)
    ]
    scores = np.concatenate([update.scores for update in heard])
    np.testing.assert_allclose(scores, classifier.timeline((SOUND, RATE_HZ)).scores, atol=1e-5)
    assert (listening.seconds, listening.lost_seconds) == (20.0, 0.0)


def test_a_score_does_not_wait_for_the_next_block(classifier: Classifier) -> None:
    scored = threading.Event()
    came_in_time = []
    source = Source(SOUND[: 2 * LENGTH], LENGTH, before={1: lambda: came_in_time.append(scored.wait(10))})
    for update in listening_to(source, classifier, live=True):
        if len(update.scores):
            scored.set()
    assert came_in_time == [True]


class Slow:
    """A backend that takes its time."""

    def __init__(self, backend, seconds: float) -> None:
        self.card, self._backend, self._seconds = backend.card, backend, seconds

    def run(self, waveforms):
        time.sleep(self._seconds)
        return self._backend.run(waveforms)


def test_overload_is_counted_and_time_stays_true(classifier: Classifier) -> None:
    slow = Classifier(Slow(classifier.backend, 0.05), threads=1)
    pause = {number: partial(time.sleep, 0.005) for number in range(1000)}  # ten times as fast as real time
    listening = listening_to(Source(before=pause), slow, live=True, rule=ALWAYS, queue_seconds=2.0)
    heard = list(listening)
    found = gaps(heard)
    assert found
    assert {gap.reason for gap in found} == {"this machine could not keep up"}
    assert all(gap.offset - gap.onset > 1.99 for gap in found), "the whole queue is given up at once"
    assert listening.lost_seconds == pytest.approx(sum(gap.offset - gap.onset for gap in found))
    assert 0 < listening.lost_seconds < 20
    assert listening.seconds == pytest.approx(20.0)
    # What was heard and what was lost lie end to end: an event of each label fills every stretch between two gaps.
    spans = sorted({(onset, offset) for onset, _, offset in closed(heard)} | {(gap.onset, gap.offset) for gap in found})
    assert [spans[0][0], *(end for _, end in spans)] == pytest.approx([*(begin for begin, _ in spans), 20.0])


def test_a_source_that_can_wait_loses_nothing(classifier: Classifier) -> None:
    slow = Classifier(Slow(classifier.backend, 0.005), threads=1)
    listening = listening_to(Source(), slow, queue_seconds=0.2)
    heard = list(listening)
    assert not gaps(heard)
    assert (listening.seconds, listening.lost_seconds) == (20.0, 0.0)


def test_what_a_source_lost_is_a_gap(classifier: Classifier) -> None:
    source = Source(sound=SOUND[: 5 * RATE_HZ])
    source.before[40] = lambda: setattr(source, "lost_seconds", 3.5)
    listening = listening_to(source, classifier, rule=ALWAYS)
    heard = list(listening)
    assert gaps(heard) == [Gap(2.0, 5.5, "the source did not hear it")]
    assert (listening.seconds, listening.lost_seconds) == (8.5, 3.5)
    assert {(onset, offset) for onset, _, offset in closed(heard)} == {(0.0, 2.0), (5.5, 8.5)}
    assert heard[-1].edges[-1] == 8.5


def test_a_pause_closes_events(classifier: Classifier) -> None:
    source = Source(sound=SOUND[: 5 * RATE_HZ])
    listening = listening_to(source, classifier, rule=ALWAYS)
    seen: list[int] = []
    source.before = {40: listening.pause, 41: lambda: time.sleep(0.5) or seen.append(len(closed(heard)))}
    heard: list[object] = []
    heard.extend(iter_into(heard, listening))
    assert seen == [5]
    assert {(onset, offset) for onset, _, offset in closed(heard)} == {(0.0, 2.0), (2.0, 5.0)}
    assert not gaps(heard)


def iter_into(heard, listening):
    """Append all that is heard as it comes."""
    for item in listening:
        heard.append(item)
    return ()


def test_bad_samples_are_a_gap(classifier: Classifier) -> None:
    sound = SOUND[: 5 * RATE_HZ].copy()
    sound[RATE_HZ * 2 + 10] = np.nan
    listening = listening_to(Source(sound=sound), classifier, rule=ALWAYS)
    heard = list(listening)
    (gap,) = gaps(heard)
    assert (gap.onset, gap.offset) == (2.0, 2.05)
    assert "NaN" in gap.reason
    assert {(onset, offset) for onset, _, offset in closed(heard)} == {(0.0, 2.0), (2.05, 5.0)}


def test_an_error_of_the_source_comes_after_all_that_was_heard(classifier: Classifier) -> None:
    def fail() -> None:
        raise AudioError("the cable is out")

    heard = []
    with pytest.raises(AudioError, match="the cable is out"):
        iter_into(heard, listening_to(Source(before={100: fail}), classifier, rule=ALWAYS))
    assert {(onset, offset) for onset, _, offset in closed(heard)} == {(0.0, 5.0)}


def test_an_error_of_the_stream_comes_out(classifier: Classifier) -> None:
    listening = Listening(Source(), partial(classifier.stream, allow=["Tonne"]), live=False)
    with pytest.raises(LabelError, match="Tonne"):
        list(listening)


@pytest.mark.parametrize("block_samples", [800, 1777, 16_000 * 7])
def test_duration(classifier: Classifier, block_samples: int) -> None:
    listening = listening_to(Source(block_samples=block_samples), classifier, rule=ALWAYS, duration_seconds=2.5)
    assert {offset for _, _, offset in closed(listening)} == {2.5}
    assert listening.seconds == 2.5


def test_a_duration_beyond_all_sound(classifier: Classifier) -> None:
    listening = listening_to(Source(), classifier, rule=ALWAYS, duration_seconds=1e308)
    assert closed(listening) == closed(listening_to(Source(), classifier, rule=ALWAYS))


def test_stop_closes_what_is_open(classifier: Classifier) -> None:
    endless = threading.Event()
    source = Source(before={60: lambda: endless.wait(20)})  # as a microphone in a quiet room
    listening = listening_to(source, classifier, live=True, rule=ALWAYS)
    heard = []
    for item in listening:
        heard.append(item)
        if item.edges[-1] > 2.0:
            listening.stop()
    endless.set()
    assert opened(heard) == len(closed(heard)) == 5
    assert listening.lost_seconds == 0
    assert 2.0 < listening.seconds <= 3.0


@pytest.mark.parametrize("how", ["stop", "leave", "fail"])
def test_the_thread_ends_with_the_listening(classifier: Classifier, how: str) -> None:
    source = Source(sound=np.tile(SOUND, 100))
    before = set(threading.enumerate())
    listening = listening_to(source, classifier)
    heard = iter(listening)
    next(heard)
    (reader,) = set(threading.enumerate()) - before
    if how == "stop":
        listening.stop()
        list(heard)
    elif how == "leave":
        heard.close()
    else:
        with pytest.raises(RuntimeError, match="a mistake"):
            heard.throw(RuntimeError("a mistake"))
    reader.join(5)
    assert not reader.is_alive()


def test_nothing_to_hear(classifier: Classifier) -> None:
    listening = listening_to(Source(sound=SOUND[:0]), classifier)
    assert list(listening) == []
    assert listening.seconds == 0


def test_short_sound_is_scored(classifier: Classifier) -> None:
    (update,) = listening_to(Source(sound=SOUND[: HOP // 2]), classifier, rule=ALWAYS)
    assert len(update.scores) == 1


def test_paced_plays_in_real_time() -> None:
    paced = Paced(Source(sound=SOUND[:4800]))
    assert paced.sample_rate_hz == RATE_HZ
    began = time.monotonic()
    arrived = [(len(block), time.monotonic() - began) for block in paced]
    assert sum(size for size, _ in arrived) == 4800
    ends = np.cumsum([size for size, _ in arrived]) / RATE_HZ
    assert all(end <= when for end, (_, when) in zip(ends, arrived, strict=True))
    assert arrived[-1][1] < 2
