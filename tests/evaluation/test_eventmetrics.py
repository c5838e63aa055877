"""Event measures, held to sed_eval and sed_scores_eval."""

import json
import math
from typing import Any

import numpy as np
import pytest

from earmark.errors import OptionError
from earmark.evaluation.eventmetrics import (
    PSDS1,
    PSDS2,
    Collar,
    Counts,
    PsdsSettings,
    Span,
    match_events,
    match_segments,
    psds,
)
from tests.evaluation.witness import collar_based, dcase_util, intersection_based, pd, sed_eval

LABELS = ("dog", "rain", "bell")
HOP_SECONDS = 0.25
Recordings = list[list[Span]]


def random_events(rng: np.random.Generator, seconds: float, most: int = 4) -> list[Span]:
    """Draw events whose edges lie off the frames; those of one label do not touch."""
    events: list[Span] = []
    for label in LABELS:
        edges = np.sort(rng.uniform(0, seconds, 2 * int(rng.integers(most + 1)))).round(3)
        events += [(label, float(on), float(off)) for on, off in zip(edges[::2], edges[1::2], strict=True) if off > on]
    return events


def random_frames(rng: np.random.Generator, events: list[Span], frames: int, levels: int) -> Any:
    """Draw scores that rise where the events are; few levels make ties."""
    edges = np.arange(frames + 1) * HOP_SECONDS
    scores = rng.uniform(0, 1, (frames, len(LABELS)))
    for label, onset, offset in events:
        inside = (edges[1:] > onset) & (edges[:-1] < offset)
        scores[inside, LABELS.index(str(label))] += 0.6
    return edges, np.round(scores * levels) / levels


def recordings(seed: int, files: int = 12, levels: int = 40) -> tuple[Recordings, list[Any]]:
    rng = np.random.default_rng(seed)
    lengths = [int(rng.integers(5, 60)) for _ in range(files)]
    truth = [random_events(rng, length * HOP_SECONDS) for length in lengths]
    frames = [random_frames(rng, events, n, levels) for events, n in zip(truth, lengths, strict=True)]
    return truth, frames


def as_witness(truth: Recordings, frames: list[Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, float]]:
    tables, ground, durations = {}, {}, {}
    for number, (events, (edges, scores)) in enumerate(zip(truth, frames, strict=True)):
        columns = {"onset": edges[:-1], "offset": edges[1:], **dict(zip(LABELS, scores.T, strict=True))}
        tables[f"{number}"] = pd.DataFrame(columns)
        ground[f"{number}"] = [(onset, offset, label) for label, onset, offset in sorted(events, key=lambda e: e[1])]
        durations[f"{number}"] = float(edges[-1])
    return tables, ground, durations


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "choice",
    [
        PSDS1,
        PSDS2,
        PsdsSettings(dtc=0.5, gtc=0.5, cttc=0.5, alpha_ct=1.0, alpha_st=0.0, e_max=2000.0),
        PsdsSettings(dtc=1.0, gtc=0.2, alpha_st=0.5, e_max=20_000.0),
    ],
)
def test_psds_is_that_of_sed_scores_eval(seed: int, choice: PsdsSettings) -> None:
    truth, frames = recordings(seed, levels=(7, 40, 1000, 100_000)[seed])
    tables, ground, durations = as_witness(truth, frames)
    score, of_label, *_ = intersection_based.psds(
        tables,
        ground,
        durations,
        dtc_threshold=choice.dtc,
        gtc_threshold=choice.gtc,
        cttc_threshold=choice.cttc if choice.alpha_ct else None,
        alpha_ct=choice.alpha_ct,
        alpha_st=choice.alpha_st,
        max_efpr=choice.e_max,
    )
    found = psds(truth, frames, LABELS, settings=choice)
    assert found.score == pytest.approx(score, abs=1e-9)
    assert found.of_label == pytest.approx(of_label, abs=1e-9)


def test_psds_of_the_truth_is_one() -> None:
    edges = np.arange(9) * 0.5
    truth: Recordings = [[("dog", 0.5, 1.5)], [("rain", 2.0, 3.0)]]
    scores = np.zeros((2, 8, 2))
    scores[0, 1:3, 0] = scores[1, 4:6, 1] = 0.9
    frames = [(edges, part) for part in scores]
    assert psds(truth, frames, ("dog", "rain")).score == 1.0
    assert psds(truth, frames, ("dog", "rain"), settings=PSDS2).score == 1.0
    swapped = [(edges, part[:, ::-1]) for part in scores]
    assert psds(truth, swapped, ("dog", "rain")).score == 0.0


def test_recordings_without_frames_do_not_matter() -> None:
    truth, frames = recordings(9)
    empty = (np.zeros(1), np.zeros((0, len(LABELS))))
    durations = [float(edges[-1]) for edges, _ in frames]
    assert psds([*truth, []], [*frames, empty], LABELS).score == psds(truth, frames, LABELS).score
    longer = psds(truth, frames, LABELS, durations_seconds=[2 * seconds for seconds in durations])
    assert longer.score >= psds(truth, frames, LABELS).score
    assert psds([[("dog", 0.0, 1.0)]], [empty], LABELS).of_label["dog"] == 0.0


def test_psds_leaves_out_labels_without_events() -> None:
    truth, frames = recordings(1)
    wider = [(edges, np.column_stack([scores, scores[:, 0]])) for edges, scores in frames]
    with_cat = psds(truth, wider, (*LABELS, "cat"))
    assert with_cat.score == psds(truth, frames, LABELS).score
    assert math.isnan(with_cat.of_label["cat"])
    assert json.loads(json.dumps(with_cat.to_dict(), allow_nan=False))["labels"]["cat"] is None
    assert math.isnan(psds([[]], frames[:1], LABELS).score)


def test_overlapping_events_of_a_label_are_one_for_psds() -> None:
    _, frames = recordings(2, files=1)
    apart: Recordings = [[("dog", 0.1, 0.8), ("dog", 0.5, 1.2)]]
    together: Recordings = [[("dog", 0.1, 1.2)]]
    assert psds(apart, frames, LABELS).of_label["dog"] == psds(together, frames, LABELS).of_label["dog"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("collar", [Collar(0.3, 0.3, 0.2), Collar(1.0, 0.5, 0.5), Collar(0.2, 0.0, 1.0)])
def test_event_f1_is_that_of_sed_scores_eval(seed: int, collar: Collar) -> None:
    truth, frames = recordings(seed)
    tables, ground, _ = as_witness(truth, frames)
    f1, precision, recall, _ = collar_based.fscore(
        tables,
        ground,
        threshold=0.9,
        onset_collar=collar.onset_seconds,
        offset_collar=collar.offset_seconds,
        offset_collar_rate=collar.offset_share,
    )
    result = match_events(truth, [detections(*part, 0.9) for part in frames], collar=collar, labels=LABELS)
    for label in LABELS:
        counts = result.of_label[label]
        assert (counts.f1, counts.precision, counts.recall) == pytest.approx(
            (f1[label], precision[label], recall[label])
        )
    assert result.f1_macro == pytest.approx(f1["macro_average"])
    assert result.total.f1 == pytest.approx(f1["micro_average"])


def detections(edges: Any, scores: Any, threshold: float) -> list[Span]:
    found: list[Span] = []
    for column, label in enumerate(LABELS):
        active = np.concatenate([[0], (scores[:, column] > threshold).astype(int), [0]])
        starts, stops = np.flatnonzero(np.diff(active) == 1), np.flatnonzero(np.diff(active) == -1)
        found += [(label, float(edges[a]), float(edges[b])) for a, b in zip(starts, stops, strict=True)]
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("segment_seconds", [1.0, 0.4])
def test_segments_are_those_of_sed_eval(seed: int, segment_seconds: float) -> None:
    truth, frames = recordings(seed)
    found = [detections(*part, 0.9) for part in frames]
    durations = [float(edges[-1]) for edges, _ in frames]
    witness = sed_eval.sound_event.SegmentBasedMetrics(list(LABELS), time_resolution=segment_seconds)
    for number, (there, guessed, duration) in enumerate(zip(truth, found, durations, strict=True)):
        witness.evaluate(
            *(sed_events(events, number) for events in (there, guessed)), evaluated_length_seconds=duration
        )
    expected = witness.results()
    result = match_segments(truth, found, durations, segment_seconds=segment_seconds)
    assert result.error_rate == pytest.approx(expected["overall"]["error_rate"]["error_rate"])
    assert result.total.f1 == pytest.approx(expected["overall"]["f_measure"]["f_measure"])
    assert result.f1_macro == pytest.approx(expected["class_wise_average"]["f_measure"]["f_measure"])
    for label in LABELS:
        of_class = expected["class_wise"][label]["f_measure"]
        assert result.of_label[label].recall == pytest.approx(of_class["recall"])


@pytest.mark.parametrize("seed", range(3))
def test_events_are_those_of_sed_eval(seed: int) -> None:
    truth, frames = recordings(seed)
    found = [detections(*part, 0.9) for part in frames]
    witness = sed_eval.sound_event.EventBasedMetrics(list(LABELS), t_collar=1.0, evaluate_offset=False)
    for number, (there, guessed) in enumerate(zip(truth, found, strict=True)):
        witness.evaluate(*(sed_events(events, number) for events in (there, guessed)))
    counts = witness.results_overall_metrics()["f_measure"]
    result = match_events(truth, found, collar=Collar(1.0))
    assert (result.total.f1, result.total.precision) == pytest.approx((counts["f_measure"], counts["precision"]))


def sed_events(events: list[Span], number: int) -> Any:
    return dcase_util.containers.MetaDataContainer(
        [
            {"event_label": label, "onset": onset, "offset": offset, "filename": f"{number}.wav"}
            for label, onset, offset in events
        ]
    )


def test_matching_is_the_largest_one() -> None:
    truth: Recordings = [[("dog", 1.0, 2.0), ("dog", 1.5, 2.5)]]
    found: Recordings = [[("dog", 1.4, 2.0), ("dog", 0.8, 2.0)]]  # the first could take either, the second only one
    assert match_events(truth, found, collar=Collar(0.5)).total == Counts(2, 0, 0)


def test_a_long_chain_of_matches() -> None:
    """Each event could be either of two that were found, and the last one frees its place by moving all others."""
    count = 1500
    truth: Recordings = [[("dog", float(second), second + 0.5) for second in range(count)]]
    found: Recordings = [[("dog", second - 0.5, float(second)) for second in range(count, 0, -1)]]
    near = [[("dog", 0.2, 0.3), *found[0]]]
    assert match_events(truth, near, collar=Collar(0.5)).total == Counts(count, 1, 0)


def test_a_collar_holds_its_edge() -> None:
    truth: Recordings = [[("dog", 0.1 + 0.2, 1.0)]]
    assert match_events(truth, [[("dog", 0.1, 5.0)]]).total.hits == 1
    assert match_events(truth, [[("dog", 0.09, 1.0)]]).total.hits == 0
    assert match_events(truth, [[("dog", 0.3, 5.0)]], collar=Collar(0.2, 0.2)).total == Counts(0, 1, 1)


def test_labels_without_events_are_left_out_of_the_mean() -> None:
    result = match_events([[("dog", 0.0, 1.0)]], [[("dog", 0.0, 1.0), ("rain", 0.0, 1.0)]])
    assert result.f1_macro == 1.0
    assert math.isnan(result.of_label["rain"].f1)
    assert result.total.f1 == pytest.approx(2 / 3)
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["labels"]["rain"] == {
        "hits": 0,
        "false_alarms": 1,
        "misses": 0,
        "precision": None,
        "recall": None,
        "f1": None,
    }
    assert plain["error_rate"] is None
    nothing = match_segments([[]], [[]], [2.0])
    assert math.isnan(nothing.total.f1)
    assert math.isnan(nothing.error_rate)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(OptionError, match="events of 1 recordings and of 0"):
        match_events([[]], [])
    with pytest.raises(OptionError, match="'dog' goes from 2"):
        match_events([[("dog", 2.0, 1.0)]], [[]])
    with pytest.raises(OptionError, match="segments of 0"):
        match_segments([[]], [[]], [1.0], segment_seconds=0)
    with pytest.raises(OptionError, match="none may be negative"):
        Collar(-0.1)
    with pytest.raises(OptionError, match="not allowed"):
        PsdsSettings(dtc=0.0)
    edges, scores = np.arange(3.0), np.zeros((2, 1))
    with pytest.raises(OptionError, match="do not fit 3 edges and 2 labels"):
        psds([[]], [(edges, scores)], ("dog", "rain"))
    with pytest.raises(OptionError, match="'cat', which is no column"):
        psds([[("cat", 0.0, 1.0)]], [(edges, scores)], ("dog",))
    with pytest.raises(OptionError, match="give one for one"):
        psds([], [(edges, scores)], ("dog",))
