"""A stream is a file that has not ended: same frames, same events, whatever the blocks and the rate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.errors import LabelError, NonFiniteSamplesError, OptionError, SampleRateError
from earmark.inference.classifier import Classifier
from earmark.model.card import DecisionRule
from tests.tinymodel import HOP, LENGTH

RULE = DecisionRule(on=0.52, off=0.5, smoothing_seconds=0.8, min_duration_seconds=0.3, merge_gap_seconds=0.5)


@pytest.fixture(scope="module")
def classifier(tiny_model):
    return Classifier.load(tiny_model, threads=1)


def restless(samples: int, rate: int, steady: int = 4000) -> np.ndarray:
    """Return sound that goes up and down every `steady` samples, so that events open and close."""
    rng = np.random.default_rng(5)
    loudness = np.repeat(rng.choice([0.0, 0.001, 0.05, 0.9], size=1 + samples // steady), steady)[:samples]
    tone = np.sin(2 * np.pi * 500 * np.arange(samples) / rate)
    return (loudness * (tone + 0.3 * rng.standard_normal(samples))).clip(-1, 1).astype(np.float32)


def streamed(classifier, sound, rate, sizes):
    """Feed sound in blocks; return edges, scores and closed events."""
    stream, position, updates, turn = classifier.stream(rate, rule=RULE), 0, [], 0
    while position < len(sound):
        size = sizes[turn % len(sizes)]
        updates.append(stream.feed(sound[position : position + size]))
        position, turn = position + size, turn + 1
    updates.append(stream.finish())
    assert stream.seconds == pytest.approx(len(sound) / rate)
    edges = np.concatenate([[0.0], *(update.edges[1:] for update in updates)])
    scores = np.concatenate([update.scores for update in updates])
    closed = [change.event for update in updates for change in update.changes if change.kind == "close"]
    return edges, scores, sorted(closed, key=lambda event: (event.onset, event.label))


@settings(max_examples=30, deadline=None)
@given(
    samples=st.integers(3, LENGTH + 12 * HOP),  # at 44.1 kHz less is no sample of the model
    sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) > 400 * len(sizes)),
    rate=st.sampled_from([16_000, 44_100, 8_000]),
)
def test_stream_equals_file(classifier, samples, sizes, rate):
    sound = restless(samples, rate)
    edges, scores, events = streamed(classifier, sound, rate, sizes)
    timeline = classifier.timeline((sound, rate))
    np.testing.assert_allclose(scores, timeline.scores, atol=1e-5)
    # The end is known only at the end: until then the last frame stands for one hop.
    np.testing.assert_allclose(edges[:-1], timeline.edges[:-1])
    expected = classifier.events((sound, rate), rule=RULE).events
    expected = sorted(expected, key=lambda event: (event.onset, event.label))
    assert [(event.label, event.onset, event.offset) for event in events] == [
        (event.label, pytest.approx(event.onset), pytest.approx(event.offset)) for event in expected
    ]


def test_events_do_open_and_close(classifier):
    sound = restless(20 * 16_000, 16_000)
    _, _, events = streamed(classifier, sound, 16_000, [1600])
    assert len(events) > 3
    assert all(event.offset > event.onset for event in events)


def test_a_frame_comes_with_its_last_sample(classifier):
    stream = classifier.stream(16_000)
    assert len(stream.feed(np.zeros(LENGTH - 1, np.float32)).scores) == 0
    assert stream.feed(np.zeros(1, np.float32)).scores.shape == (1, 5)


def test_integers_and_channels(classifier):
    sound = restless(3 * 16_000, 16_000)
    one = classifier.stream(16_000).feed(sound)
    stereo = np.stack([sound, sound], axis=1)
    np.testing.assert_allclose(classifier.stream(16_000).feed(stereo).scores, one.scores, atol=1e-5)
    integers = np.round(sound * 32767).astype(np.int16)
    np.testing.assert_allclose(classifier.stream(16_000).feed(integers).scores, one.scores, atol=0.02)


def test_the_callers_buffer_may_be_used_again(classifier):
    sound = restless(3 * 16_000, 16_000)
    one, other = classifier.stream(16_000), classifier.stream(16_000)
    buffer = np.empty(1000, np.float32)
    scores = []
    for start in range(0, len(sound), 1000):
        buffer[:] = sound[start : start + 1000]
        scores.append((one.feed(buffer).scores, other.feed(sound[start : start + 1000]).scores))
    for ours, theirs in scores:
        np.testing.assert_array_equal(ours, theirs)


def test_a_stream_ends_once(classifier):
    stream = classifier.stream(16_000)
    stream.feed(np.zeros(20_000, np.float32))
    stream.finish()
    with pytest.raises(OptionError, match="the stream has ended: open another"):
        stream.feed(np.zeros(10, np.float32))
    with pytest.raises(OptionError, match="the stream has ended already"):
        stream.finish()


def test_refusals(classifier):
    with pytest.raises(SampleRateError, match="stream"):
        classifier.stream(0)
    with pytest.raises(LabelError, match="Tonne"):
        classifier.stream(16_000, allow=["Tonne"])
    stream = classifier.stream(16_000)
    with pytest.raises(NonFiniteSamplesError, match=r"a block at 0.00 s holds NaN"):
        stream.feed(np.full(10, np.nan, np.float32))
    with pytest.raises(OptionError, match="shape"):
        stream.feed(np.zeros((1, 1, 1), np.float32))
    with pytest.raises(OptionError, match="give a numpy array"):
        stream.feed([0.0, 0.1])
    with pytest.raises(OptionError, match=r"transpose|samples, channels"):
        stream.feed(np.zeros((2, 32_000), np.float32))
    assert stream.seconds == 0
    assert stream.finish().scores.shape == (0, 5)
