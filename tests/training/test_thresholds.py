"""Thresholds and decision rules: against an exhaustive search, with few positives, from strong labels."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_recall_curve, precision_score, recall_score

from earmark.data.manifest import LabelledEvent
from earmark.errors import OptionError
from earmark.inference.events import find_events
from earmark.model.card import Label
from earmark.training.rules import Grid, fit_rule
from earmark.training.thresholds import Wanted, fit_thresholds

NAMES = ["cat", "dog", "rain"]
LABELS = [Label(f"/m/{name}", name) for name in NAMES]


def scores_and_targets(rng: np.random.Generator, clips: int = 300) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    targets = (rng.random((clips, 3)) < [0.3, 0.2, 0.5]).astype(np.float32)
    margins = rng.normal(size=targets.shape) + 2 * targets - [1, 2, 0]
    return (1 / (1 + np.exp(-margins))).astype(np.float32), targets


def best_f1(truth: NDArray[np.float32], scores: NDArray[np.float32]) -> float:
    precision, recall, _ = precision_recall_curve(truth, scores)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


def test_the_best_f1_is_found(rng: np.random.Generator) -> None:
    scores, targets = scores_and_targets(rng)
    fitted = fit_thresholds(scores, targets, NAMES)
    for column, threshold in enumerate(fitted.of_class):
        here, truth = scores[:, column], targets[:, column]
        assert f1_score(truth, here >= threshold) == pytest.approx(best_f1(truth, here), abs=1e-9)
    together = f1_score(targets.ravel(), scores.ravel() >= fitted.shared)
    assert together == pytest.approx(best_f1(targets.ravel(), scores.ravel()), abs=1e-9)


@pytest.mark.parametrize("share", [0.6, 0.9, 1.0])
def test_a_wanted_precision_is_reached_with_the_most_recall(rng: np.random.Generator, share: float) -> None:
    scores, targets = scores_and_targets(rng)
    fitted = fit_thresholds(scores, targets, NAMES, Wanted(precision=share))
    for column, threshold in enumerate(fitted.of_class):
        here, truth = scores[:, column], targets[:, column]
        precision, recall, _ = precision_recall_curve(truth, here)
        assert precision_score(truth, here >= threshold) >= share
        assert recall_score(truth, here >= threshold) == pytest.approx(recall[precision >= share].max())
    assert fitted.notes == ()


@pytest.mark.parametrize("share", [0.5, 0.9, 1.0])
def test_a_wanted_recall_is_reached_with_the_most_precision(rng: np.random.Generator, share: float) -> None:
    scores, targets = scores_and_targets(rng)
    fitted = fit_thresholds(scores, targets, NAMES, Wanted(recall=share))
    for column, threshold in enumerate(fitted.of_class):
        here, truth = scores[:, column], targets[:, column]
        assert recall_score(truth, here >= threshold) >= share
        higher = here[here > threshold]
        assert recall_score(truth, here > higher.min()) < share


def test_a_precision_out_of_reach_is_told(rng: np.random.Generator) -> None:
    scores, targets = scores_and_targets(rng)
    scores[targets[:, 1] == 0, 1] = 1  # the best are wrong
    fitted = fit_thresholds(scores, targets, NAMES, Wanted(precision=0.99))
    assert len(fitted.notes) == 1
    assert fitted.notes[0].startswith("dog: a precision of 0.99 is out of reach")


def test_classes_of_few_positives_are_drawn_to_the_shared_threshold(rng: np.random.Generator) -> None:
    scores, targets = scores_and_targets(rng)
    alone = fit_thresholds(scores, targets, NAMES)
    few = targets.copy()
    few[:, 2] = 0
    fitted = fit_thresholds(scores, few, NAMES)
    assert fitted.of_class[2] == fitted.shared, "none: the shared one"
    few[np.argsort(-scores[:, 2])[:2], 2] = 1
    drawn = fit_thresholds(scores, few, NAMES)
    own = np.sort(scores[:, 2])[-2]
    assert drawn.shared < drawn.of_class[2] < own
    assert alone.of_class[0] == pytest.approx(fitted.of_class[0])


def test_wishes_that_cannot_be_are_refused() -> None:
    with pytest.raises(OptionError, match="give one, the other follows"):
        Wanted(precision=0.9, recall=0.9)
    with pytest.raises(OptionError, match=r"precision=1\.2 is not allowed"):
        Wanted(precision=1.2)
    with pytest.raises(OptionError, match="recall=0 is not allowed"):
        Wanted(recall=0.0)


def test_rules_from_clip_labels_divide_by_the_highest_frame(rng: np.random.Generator) -> None:
    scores, targets = scores_and_targets(rng)
    frames = [np.stack([row * 0.1, row, row * 0.5]) for row in scores]
    fitted = fit_rule(frames, targets, LABELS)
    expected = fit_thresholds(scores, targets, NAMES)
    assert [fitted.rule.of(label.id).on for label in LABELS] == list(expected.of_class)
    assert fitted.rule.off == pytest.approx(fitted.rule.on / 2, abs=1e-4)
    assert (fitted.rule.smoothing_seconds, fitted.rule.merge_gap_seconds) == (0, 0)


def soundscapes(
    rng: np.random.Generator, *, clicks: bool, holes: bool
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float64]], list[list[LabelledEvent]]]:
    """Return frames of 0.1 s with one event of 2 s each, by name and by id; false clicks, or holes in the events."""
    frames, edges, events = [], [], []
    for number in range(12):
        scores = rng.uniform(0, 0.2, (60, 3)).astype(np.float32)
        column, start = number % 3, int(rng.integers(5, 30))
        scores[start : start + 20, column] = rng.uniform(0.7, 0.9, 20)
        if clicks:
            scores[[start - 4, 55], column] = 0.95
        if holes:
            scores[[start + 6, start + 13], column] = 0.1
        label = LABELS[column]
        frames.append(scores)
        edges.append(np.arange(61) * 0.1)
        events.append([LabelledEvent(label.name if number % 2 else label.id, start * 0.1, start * 0.1 + 2)])
    return frames, edges, events


@pytest.mark.parametrize(("clicks", "holes"), [(False, False), (True, False), (False, True), (True, True)])
def test_rules_from_strong_labels_find_the_events(rng: np.random.Generator, clicks: bool, holes: bool) -> None:
    frames, edges, events = soundscapes(rng, clicks=clicks, holes=holes)
    targets = np.eye(3, dtype=np.float32)[np.arange(12) % 3]
    rule = fit_rule(frames, targets, LABELS, edges=edges, events=events, frame_hop_seconds=0.1).rule
    for scores, times, there in zip(frames, edges, events, strict=True):
        found = find_events(scores, times, rule, LABELS, 0.1)
        assert [(event.onset, event.offset) for event in found] == [
            pytest.approx((there[0].onset_seconds, there[0].offset_seconds), abs=0.11)
        ]
    touched = rule.smoothing_seconds + rule.min_duration_seconds + rule.merge_gap_seconds
    assert (touched > 0) == (clicks or holes), "what is not needed stays at 0"


def test_the_grid_bounds_times_and_raises_thresholds(rng: np.random.Generator) -> None:
    """Events begin loud and go on softly. False ones between, short, go by their length or by a higher threshold."""
    frames, edges, events = soundscapes(rng, clicks=False, holes=False)
    for number, (scores, there) in enumerate(zip(frames, events, strict=True)):
        start = round(there[0].onset_seconds / 0.1)
        scores[start + 2 : start + 20, number % 3] = 0.5
        scores[52:57, (number + 1) % 3] = 0.6
    known = {"edges": edges, "events": events, "frame_hop_seconds": 0.1}
    long, short = (
        fit_rule(frames, np.zeros((12, 3)), LABELS, **known, grid=grid).rule
        for grid in (Grid(duration_frames=(0, 9)), Grid(raised=(1.0, 2.0), duration_frames=(0, 2)))
    )
    assert (long.min_duration_seconds, short.min_duration_seconds) == (0.9, 0.0)
    assert long.on < 0.6 < short.on
    for rule in (long, short):
        found = [event for each in zip(frames, edges, strict=True) for event in find_events(*each, rule, LABELS, 0.1)]
        assert len(found) == 12


def test_few_events_do_not_set_a_threshold_of_their_own(rng: np.random.Generator) -> None:
    """The scores of one class are four times lower; its few events draw its threshold a part of the way."""
    frames, edges, events = soundscapes(rng, clicks=False, holes=False)
    for scores in frames:
        scores[:, 0] /= 4
    once, often = (
        fit_rule(frames * times, np.zeros((12 * times, 3)), LABELS, edges=edges * times, events=events * times).rule
        for times in (1, 40)
    )
    own = [rule.of(LABELS[0].id).on for rule in (once, often)]
    assert once.on == often.on
    assert own[1] < own[0] < once.on


def test_clips_without_strong_labels_are_left_out(rng: np.random.Generator) -> None:
    frames, edges, events = soundscapes(rng, clicks=True, holes=False)
    targets = np.eye(3, dtype=np.float32)[np.arange(12) % 3]
    alone = fit_rule(frames[:8], targets[:8], LABELS, edges=edges[:8], events=events[:8], frame_hop_seconds=0.1)
    mixed = fit_rule(
        frames, targets, LABELS, edges=edges, events=[*events[:8], None, None, None, None], frame_hop_seconds=0.1
    )
    assert mixed.rule == alone.rule
