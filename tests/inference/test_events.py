import tracemalloc
from itertools import pairwise
from statistics import median_low

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.errors import OptionError
from earmark.inference.events import TOLERANCE_SECONDS, EventChange, EventTracker, closed_events, find_events
from earmark.inference.results import Event
from earmark.model.card import ClassRule, DecisionRule, Label

HOP_SECONDS = 0.5
LABELS = (Label("a", "Rain"), Label("b", "Dog"), Label("c", "Child speech, kid speaking"))


def evenly(frames, hop=HOP_SECONDS, start=0.0):
    return start + hop * np.arange(frames + 1)


def one_class(values, rule, edges=None):
    """Events of one class, as (onset, offset, score) with scores rounded."""
    scores = np.array(values, dtype=np.float32)[:, None]
    events = find_events(scores, evenly(len(values)) if edges is None else edges, rule, LABELS[:1], HOP_SECONDS)
    return [(event.onset, event.offset, round(event.score, 6)) for event in events]


def in_pushes(scores, edges, rule, cuts, labels=LABELS):
    tracker = EventTracker(rule, labels, HOP_SECONDS)
    changes = []
    bounds = [0, *sorted(cuts), len(scores)]
    for start, stop in pairwise(bounds):
        changes += tracker.push(scores[start:stop], edges[start : stop + 1])
    return changes + tracker.finish()


def reference(scores, edges, rule, labels, hop):
    """The decision rule in plain loops over a whole signal, class by class."""
    events = []
    frames = rule.smoothing_seconds / hop + 2 * TOLERANCE_SECONDS
    half = min(range(len(scores) + 1), key=lambda h: (abs(2 * h + 1 - frames), -h))
    for column, label in enumerate(labels):
        raw = scores[:, column].tolist()
        smooth = [median_low(raw[max(0, i - half) : i + half + 1]) for i in range(len(raw))]
        thresholds = rule.classes.get(label.id, ClassRule(rule.on, rule.off))
        on, off = float(np.float32(thresholds.on)), float(np.float32(thresholds.off))
        stretches, sounding = [], False
        for i, score in enumerate(smooth):
            was, sounding = sounding, score >= (off if sounding else on)
            if sounding and not was:
                stretches.append([i, i])
            elif sounding:
                stretches[-1][1] = i
        merged = []
        for first, last in stretches:
            if merged and edges[first] - edges[merged[-1][1] + 1] < rule.merge_gap_seconds - TOLERANCE_SECONDS:
                merged[-1][1] = last
            else:
                merged.append([first, last])
        for first, last in merged:
            if edges[last + 1] - edges[first] >= rule.min_duration_seconds - TOLERANCE_SECONDS:
                peak = max(raw[first : last + 1])
                events.append(Event(label.name, label.id, float(edges[first]), float(edges[last + 1]), peak))
    return tuple(sorted(events, key=lambda event: (event.onset, event.offset, event.id)))


seconds = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.5]), st.floats(0, 4, allow_nan=False))
score = st.one_of(st.sampled_from([0.0, 0.15, 0.3, 0.7, 1.0]), st.floats(0, 1, width=32))


@st.composite
def thresholds(draw):
    off, on = sorted((draw(score), draw(score)))
    return on, off


@st.composite
def rules(draw):
    on, off = draw(thresholds())
    classes = {label.id: ClassRule(*draw(thresholds())) for label in draw(st.sets(st.sampled_from(LABELS)))}
    return DecisionRule(on, off, draw(seconds), draw(seconds), draw(seconds), classes)


@st.composite
def signals(draw):
    """Scores of some frames and their edges, as evenly apart as a model gives them or not at all."""
    frames = draw(st.integers(0, 40))
    values = draw(st.lists(score, min_size=3 * frames, max_size=3 * frames))
    widths = draw(st.one_of(st.just([0.5] * frames), st.lists(st.floats(0.01, 2), min_size=frames, max_size=frames)))
    start = draw(st.sampled_from([0.0, 3600.0]))
    edges = np.concatenate([[start], start + np.cumsum(widths)])
    return np.array(values, dtype=np.float32).reshape(frames, 3), edges


@settings(max_examples=200, deadline=None)
@given(signals(), rules(), st.data())
def test_any_pushes_give_the_same_changes_and_the_reference_events(signal, rule, data):
    scores, edges = signal
    cuts = data.draw(st.lists(st.integers(0, len(scores)), max_size=12))
    changes = in_pushes(scores, edges, rule, cuts)
    assert changes == in_pushes(scores, edges, rule, range(1, len(scores)))
    assert changes == in_pushes(scores, edges, rule, [])
    assert find_events(scores, edges, rule, LABELS, HOP_SECONDS) == reference(scores, edges, rule, LABELS, HOP_SECONDS)


@settings(max_examples=100, deadline=None)
@given(signals(), rules())
def test_every_event_opens_once_then_closes_once(signal, rule):
    scores, edges = signal
    still_open = {}
    for change in in_pushes(scores, edges, rule, range(1, len(scores))):
        event = change.event
        if change.kind == "open":
            assert event.id not in still_open
            assert event.offset - event.onset >= rule.min_duration_seconds - 2 * TOLERANCE_SECONDS
            still_open[event.id] = event
        else:
            opened = still_open.pop(event.id)
            assert (opened.label, opened.onset) == (event.label, event.onset)
            assert opened.offset <= event.offset
            assert opened.score <= event.score
    assert still_open == {}


def test_hysteresis_opens_at_on_and_holds_down_to_off():
    rule = DecisionRule(on=0.5, off=0.2)
    assert one_class([0.4, 0.5, 0.2, 0.3, 0.1, 0.4], rule) == [(0.5, 2.0, 0.5)]


def test_a_score_of_exactly_the_threshold_reaches_it():
    # 0.7 as float32 is below 0.7 as float64
    assert one_class([0.7, 0.0], DecisionRule(on=0.7, off=0.7)) == [(0.0, 0.5, 0.7)]


def test_thresholds_of_a_class_replace_those_of_the_model():
    rule = DecisionRule(on=0.5, off=0.5, classes={"b": ClassRule(on=0.1, off=0.1)})
    scores = np.full((2, 3), 0.3, dtype=np.float32)
    events = find_events(scores, evenly(2), rule, LABELS, HOP_SECONDS)
    assert [(event.label, event.id, event.onset, event.offset) for event in events] == [("Dog", "b", 0.0, 1.0)]


def test_the_score_is_the_highest_before_smoothing_even_in_a_merged_gap():
    # smoothing hides the 0.9, and makes a gap of it that is then merged
    rule = DecisionRule(on=0.5, off=0.5, smoothing_seconds=1.5, merge_gap_seconds=2.0)
    values = [0.6, 0.6, 0.6, 0.1, 0.9, 0.1, 0.1, 0.6, 0.6, 0.6]
    assert one_class(values, rule) == [(0.0, 5.0, 0.9)]
    scores = np.array(values, dtype=np.float32)[:, None]
    changes = in_pushes(scores, evenly(10), rule, range(1, 10), LABELS[:1])
    assert [(change.kind, round(change.event.score, 6)) for change in changes] == [("open", 0.6), ("close", 0.9)]


@pytest.mark.parametrize(
    ("smoothing_seconds", "expected"),
    [(0.0, [(0.5, 1.0, 0.9)]), (0.9, [(0.5, 1.0, 0.9)]), (1.0, []), (1.5, []), (1.9, [])],
)
def test_smoothing_is_rounded_to_the_nearest_odd_number_of_frames(smoothing_seconds, expected):
    rule = DecisionRule(on=0.5, off=0.5, smoothing_seconds=smoothing_seconds)
    assert one_class([0, 0.9, 0, 0], rule) == expected


def test_a_click_at_either_end_is_smoothed_away_too():
    rule = DecisionRule(on=0.5, off=0.5, smoothing_seconds=1.5)
    assert one_class([0.9, 0, 0, 0, 0.9], rule) == []
    assert one_class([0.9, 0.8, 0, 0.9, 0.8], rule) == [(0.0, 2.5, 0.9)]


def test_gaps_closer_than_the_limit_merge_and_those_of_exactly_the_limit_do_not():
    values = [0.9, 0, 0, 0.9]
    apart = [(0.0, 0.5, 0.9), (1.5, 2.0, 0.9)]
    assert one_class(values, DecisionRule(merge_gap_seconds=1.0)) == apart
    assert one_class(values, DecisionRule(merge_gap_seconds=1.1)) == [(0.0, 2.0, 0.9)]
    # for a computer, 9 * 0.1 - 7 * 0.1 is a little less than 0.2
    tenths = np.arange(11) * 0.1
    assert len(one_class([0] * 6 + values, DecisionRule(merge_gap_seconds=0.2), tenths)) == 2


def test_minimum_duration_counts_after_merging():
    rule = DecisionRule(min_duration_seconds=1.5, merge_gap_seconds=0.6)
    assert one_class([0.9, 0, 0.8, 0, 0, 0.9, 0.9, 0], rule) == [(0.0, 1.5, 0.9)]
    assert one_class([0.9, 0.9, 0.9], rule) == [(0.0, 1.5, 0.9)]


def test_a_stream_announces_an_open_when_it_will_be_kept_and_a_close_when_it_cannot_grow():
    rule = DecisionRule(min_duration_seconds=1.0, merge_gap_seconds=1.1)
    tracker = EventTracker(rule, LABELS[:1], HOP_SECONDS)
    news = {}
    for frame, value in enumerate([0, 0.5, 0.6, 0.9, 0, 0, 0, 0]):
        for change in tracker.push(np.array([[value]], dtype=np.float32), evenly(1, start=frame * HOP_SECONDS)):
            news[frame] = change
    score_at_open, score_at_close = float(np.float32(0.6)), float(np.float32(0.9))
    assert news == {
        2: EventChange("open", Event("Rain", "a", 0.5, 1.5, score_at_open)),
        6: EventChange("close", Event("Rain", "a", 0.5, 2.0, score_at_close)),
    }
    assert tracker.finish() == []


def test_smoothing_delays_a_stream_by_half_a_window():
    tracker = EventTracker(DecisionRule(smoothing_seconds=2.5), LABELS[:1], HOP_SECONDS)
    loud = np.ones((1, 1), dtype=np.float32)
    counts = [len(tracker.push(loud, evenly(1, start=frame * HOP_SECONDS))) for frame in range(4)]
    assert counts == [0, 0, 1, 0]


def test_what_is_open_at_the_end_closes_at_the_last_edge():
    edges = np.array([0.0, 0.72, 1.2, 1.31])
    assert one_class([0, 0.9, 0.8], DecisionRule(), edges) == [(0.72, 1.31, 0.9)]


@settings(max_examples=100, deadline=None)
@given(signals(), rules(), st.floats(0, 1))
def test_an_end_learnt_at_finish_is_the_right_edge_of_the_last_frame(signal, rule, later):
    scores, edges = signal
    tracker = EventTracker(rule, LABELS, HOP_SECONDS)
    changes = [change for i in range(len(scores)) for change in tracker.push(scores[i : i + 1], edges[i : i + 2])]
    events = closed_events([*changes, *tracker.finish(edges[-1] + later)])
    edges[-1] += later
    assert events == find_events(scores, edges, rule, LABELS, HOP_SECONDS)


def test_a_tracker_can_be_used_again_after_finish():
    tracker = EventTracker(DecisionRule(smoothing_seconds=1.5, merge_gap_seconds=5), LABELS, HOP_SECONDS)
    scores = np.full((4, 3), 0.5, dtype=np.float32)
    runs = [tracker.push(scores, evenly(4)) + tracker.finish() for _ in range(2)]
    assert runs[0] == runs[1]
    assert [change.kind for change in runs[0]] == ["open"] * 3 + ["close"] * 3


def test_events_come_by_onset():
    scores = np.array([[0, 0, 0.9], [0, 0.9, 0], [0.9, 0.9, 0], [0.9, 0, 0]], dtype=np.float32)
    events = find_events(scores, evenly(4), DecisionRule(), LABELS, HOP_SECONDS)
    assert [(event.id, event.onset, event.offset) for event in events] == [
        ("c", 0.0, 0.5),
        ("b", 0.5, 1.5),
        ("a", 1.0, 2.0),
    ]


def test_no_frames_give_no_events():
    assert find_events(np.zeros((0, 3), dtype=np.float32), np.zeros(1), DecisionRule(), LABELS, HOP_SECONDS) == ()


@pytest.mark.parametrize(("scores", "edges"), [((2, 2), (3,)), ((2, 3), (2,)), ((3,), (2,)), ((2, 3), (3, 1))], ids=str)
def test_shapes_that_do_not_fit_are_refused(scores, edges):
    tracker = EventTracker(DecisionRule(), LABELS, HOP_SECONDS)
    with pytest.raises(OptionError, match=r"do not fit 3 labels: give scores of shape \(frames, classes\)"):
        tracker.push(np.zeros(scores, dtype=np.float32), np.zeros(edges))


def a_loud_street(tracker, chunks, frames=64, classes=521):
    """Push so many chunks in which 3 % of all scores are above 0.3."""
    scores = np.random.default_rng(0).random((frames, classes), dtype=np.float32) ** 40
    for number in range(chunks):
        tracker.push(scores, evenly(frames, start=number * frames * HOP_SECONDS))


@pytest.fixture
def street_tracker():
    labels = [Label(str(index), str(index)) for index in range(521)]
    rule = DecisionRule(smoothing_seconds=1.5, min_duration_seconds=0.5, merge_gap_seconds=1.0)
    return EventTracker(rule, labels, HOP_SECONDS)


def test_memory_does_not_grow_with_the_signal(street_tracker):
    tracemalloc.start()
    try:
        a_loud_street(street_tracker, chunks=10)
        before, _ = tracemalloc.get_traced_memory()
        a_loud_street(street_tracker, chunks=100)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000  # bytes; one chunk of scores is 133,376
