"""Measures, held to scikit-learn where it has them and to their definitions where it has not."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn import metrics as sk

from earmark.errors import OptionError
from earmark.evaluation.metrics import (
    average_precision,
    brier,
    confusion,
    d_prime,
    decide,
    expected_calibration_error,
    log_loss,
    lwlrap,
    map_at_k,
    measure,
    precision_recall_curve,
    precision_recall_f1,
    reliability,
    roc_auc,
    spread_over_folds,
    top_k_accuracy,
)

Table = tuple[NDArray[np.float64], NDArray[np.bool_]]

CLASSES = 6
SCORES = st.sampled_from([0.05, 0.1, 0.25, 0.5, 0.8])  # few of them, so that most tie


@st.composite
def multi_label_tables(draw: st.DrawFn) -> Table:
    """Draw scores with ties and targets in which every class has a positive and a negative."""
    rows = draw(st.integers(2, 25))
    scores = draw(arrays(np.float64, (rows, CLASSES), elements=SCORES))
    targets = draw(arrays(np.bool_, (rows, CLASSES)))
    targets[0], targets[1] = True, False
    return scores, targets


def softmax_table(rng: np.random.Generator, clips: int = 200, classes: int = CLASSES) -> Table:
    logits = rng.normal(size=(clips, classes))
    truth = rng.integers(classes, size=clips)
    truth[:classes] = np.arange(classes)
    logits[np.arange(clips), truth] += 1.5
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return scores, np.eye(classes, dtype=bool)[truth]


@given(multi_label_tables())
@settings(deadline=None, max_examples=30)
def test_curves_are_those_of_scikit_learn(table: Table) -> None:
    scores, targets = table
    np.testing.assert_allclose(
        average_precision(scores, targets), sk.average_precision_score(targets, scores, average=None)
    )
    np.testing.assert_allclose(roc_auc(scores, targets), sk.roc_auc_score(targets, scores, average=None))
    for limit in (0.1, 0.37, 0.9):
        expected = [sk.roc_auc_score(targets[:, c], scores[:, c], max_fpr=limit) for c in range(CLASSES)]
        np.testing.assert_allclose(roc_auc(scores, targets, max_false_positive_rate=limit), expected)


@given(multi_label_tables())
@settings(deadline=None, max_examples=30)
def test_precision_recall_curve_is_that_of_scikit_learn(table: Table) -> None:
    scores, targets = table
    precision, recall, thresholds = precision_recall_curve(scores[:, 0], targets[:, 0])
    expected = sk.precision_recall_curve(targets[:, 0], scores[:, 0])
    np.testing.assert_allclose(precision, expected[0][:-1][::-1])
    np.testing.assert_allclose(recall, expected[1][:-1][::-1])
    np.testing.assert_allclose(thresholds, expected[2][::-1])


@given(multi_label_tables())
@settings(deadline=None, max_examples=30)
def test_lwlrap_is_the_ranking_precision_weighted_by_labels(table: Table) -> None:
    scores, targets = table
    labelled = targets.any(axis=1)
    overall, of_class = lwlrap(scores, targets)
    weights = targets[labelled].sum(axis=1)
    expected = sk.label_ranking_average_precision_score(targets[labelled], scores[labelled], sample_weight=weights)
    assert overall == pytest.approx(expected)
    assert np.average(of_class, weights=targets.sum(axis=0)) == pytest.approx(overall)


@given(multi_label_tables(), st.sampled_from([0.05, 0.25, 0.3]))
@settings(deadline=None, max_examples=30)
def test_decisions_at_thresholds(table: Table, threshold: float) -> None:
    scores, targets = table
    given_labels = decide(scores, thresholds=threshold)
    expected = sk.precision_recall_fscore_support(targets, given_labels, zero_division=0)[:3]
    np.testing.assert_allclose(precision_recall_f1(given_labels, targets), expected)
    metrics = measure(scores, targets, "abcdef", task="multi-label", thresholds=threshold)
    for kind in ("micro", "macro"):
        expected_f1 = sk.f1_score(targets, given_labels, average=kind, zero_division=0)
        assert getattr(metrics, f"f1_{kind}") == pytest.approx(expected_f1)
    flat = targets.ravel(), scores.ravel()
    assert metrics.brier == pytest.approx(sk.brier_score_loss(*flat))
    assert metrics.log_loss == pytest.approx(sk.log_loss(*flat))


def test_single_label_measures(rng: np.random.Generator) -> None:
    scores, targets = softmax_table(rng)
    truth, answers = targets.argmax(axis=1), scores.argmax(axis=1)
    metrics = measure(scores, targets, "abcdef")
    assert metrics.accuracy == pytest.approx(sk.accuracy_score(truth, answers))
    assert metrics.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(truth, answers))
    assert metrics.top_3_accuracy == pytest.approx(sk.top_k_accuracy_score(truth, scores, k=3))
    assert metrics.f1_macro == pytest.approx(sk.f1_score(truth, answers, average="macro"))
    assert metrics.precision_micro == metrics.recall_micro == pytest.approx(metrics.accuracy)
    assert metrics.log_loss == pytest.approx(sk.log_loss(truth, scores))
    assert metrics.brier == pytest.approx(sk.brier_score_loss(truth, scores))
    assert metrics.roc_auc == pytest.approx(sk.roc_auc_score(truth, scores, multi_class="ovr"))
    assert metrics.map_at_3 == pytest.approx(
        np.mean(
            [
                1 / rank if (rank := 1 + int((row > row[label]).sum())) <= 3 else 0
                for row, label in zip(scores, truth, strict=True)
            ]
        )
    )
    counts = confusion(scores, targets)
    np.testing.assert_array_equal(counts[:-1, :-1], sk.confusion_matrix(truth, answers))
    assert counts.sum() == len(truth)
    assert [item.threshold for item in metrics.classes] == [None] * CLASSES


def test_map_at_k_with_several_labels() -> None:
    scores = [[0.9, 0.8, 0.7, 0.1]]
    assert map_at_k(scores, [[1, 0, 1, 0]], 3) == pytest.approx((1 + 2 / 3) / 2)
    assert map_at_k(scores, [[1, 0, 1, 1]], 1) == 1.0  # one place, and it is right
    assert math.isnan(map_at_k(scores, [[0, 0, 0, 0]]))
    assert map_at_k([[0.5, 0.5]], [[0, 1]], 3) == 0.5  # ties rank in the order of the labels


def test_d_prime() -> None:
    assert d_prime(0.5) == 0
    assert d_prime(0.959) == pytest.approx(2.46, abs=0.01)  # AudioSet's baseline; published as 2.452 of rounded AUCs
    assert d_prime(1.0) == math.inf
    assert d_prime(0.0) == -math.inf
    assert math.isnan(d_prime(math.nan))


def test_calibration_error_by_hand() -> None:
    scores = np.array([[0.91, 0.09], [0.91, 0.09], [0.61, 0.39], [0.39, 0.61]])
    targets = np.array([[1, 0], [0, 1], [1, 0], [0, 1]])
    # two answers of 0.91, one of which is right, and two of 0.61, both right
    assert expected_calibration_error(scores, targets) == pytest.approx((2 * 0.41 + 2 * 0.39) / 4)
    filled = [item for item in reliability(scores, targets) if item.count]
    assert [(item.count, item.share_right) for item in filled] == [(2, 1.0), (2, 0.5)]
    assert sum(item.count for item in reliability(scores, targets, task="multi-label")) == scores.size
    per_class = [
        expected_calibration_error(np.c_[scores[:, c]], np.c_[targets[:, c]], task="multi-label") for c in range(2)
    ]
    assert expected_calibration_error(scores, targets, task="multi-label") == pytest.approx(np.mean(per_class))


def test_bins_hold_their_upper_edge() -> None:
    bins = reliability([[0.0], [0.5], [1.0]], [[0], [1], [1]], task="multi-label", bins=2)
    assert [item.count for item in bins] == [2, 1]


@given(arrays(np.float64, (40, 1), elements=st.floats(0, 1)), arrays(np.bool_, (40, 1)))
def test_calibration_error_is_bounded_by_the_distances(scores: NDArray[np.float64], targets: NDArray[np.bool_]) -> None:
    error = expected_calibration_error(scores, targets, task="multi-label")
    assert abs(scores.mean() - targets.mean()) - 1e-12 <= error <= np.abs(scores - targets).mean() + 1e-12


def test_what_cannot_be_said_is_left_out_and_told() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.8, 0.3, 0.1], [0.7, 0.6, 0.3]])
    targets = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0]])
    metrics = measure(scores, targets, ("always", "some", "never"), task="multi-label", thresholds=0.5)
    always, some, never = metrics.classes
    assert math.isnan(always.roc_auc)
    assert math.isnan(never.average_precision)
    assert math.isnan(never.recall)
    assert math.isnan(never.f1)
    assert metrics.roc_auc == some.roc_auc == 1.0
    assert metrics.d_prime == math.inf
    assert metrics.mean_average_precision == pytest.approx((always.average_precision + some.average_precision) / 2)
    assert metrics.notes[0].startswith("No clip has 'never'")
    assert metrics.notes[1].startswith("Every clip has 'always'")
    plain = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert plain["d_prime"] is None
    assert plain["classes"][2]["f1"] is None
    assert "classes" not in metrics.to_dict(classes=False)


def test_negatives_count_where_they_can() -> None:
    scores = np.array([[0.6, 0.1], [0.2, 0.7], [0.4, 0.3]])
    targets = np.array([[1, 0], [0, 1], [0, 0]])
    metrics = measure(scores, targets, ("a", "b"))
    assert (metrics.clips, metrics.negatives, metrics.accuracy) == (3, 1, 1.0)
    assert metrics.notes == ("1 clips have none of the labels: they do not count for accuracy, MAP@3 and lwlrap.",)
    # the negative was answered 'a' at 0.4: a false alarm, and a wrong answer in the reliability diagram
    assert metrics.classes[0].precision == 0.5
    assert [item.share_right for item in reliability(scores, targets, bins=3) if item.count] == [0.5, 1.0]
    # and none of them at 0.5 is a right one
    told = np.array([[0.6, 0.1], [0.2, 0.7], [0.3, 0.2]])
    assert [item.share_right for item in reliability(told, targets, bins=3) if item.count] == [1.0, 1.0]
    # scores that leave nothing for it are not asked about negatives
    sure = np.array([[0.6, 0.4], [0.3, 0.7], [0.6, 0.4]])
    assert sum(item.count for item in reliability(sure, targets)) == 2
    assert brier(scores, targets) == pytest.approx((0.16 + 0.01 + 0.04 + 0.09 + 0.16 + 0.09) / 3)
    weak = measure(np.array([[0.6, 0.1], [0.2, 0.7], [0.3, 0.3]]), targets, ("a", "b"))
    assert weak.classes[0].precision == 1.0  # what is left for none of the labels is more than 0.3: no false alarm
    assert log_loss(scores, targets) == pytest.approx(-(math.log(0.6) + math.log(0.7)) / 2)


def test_nothing_to_measure() -> None:
    metrics = measure(np.zeros((0, 2)), np.zeros((0, 2)), ("a", "b"))
    assert all(math.isnan(value) for name, value in metrics.figures().items() if not name.endswith("micro"))
    assert metrics.clips == 0


def test_spread_over_folds(rng: np.random.Generator) -> None:
    scores, targets = softmax_table(rng)
    folds = [str(number % 4) for number in range(len(scores))]
    spread = spread_over_folds(scores, targets, "abcdef", folds)
    each = [top_k_accuracy(scores[fold::4], targets[fold::4]) for fold in range(4)]
    assert spread["accuracy"].values == tuple(each)
    assert spread["accuracy"].mean == pytest.approx(np.mean(each))
    assert spread["accuracy"].deviation == pytest.approx(np.std(each, ddof=1))
    assert json.loads(json.dumps(spread["d_prime"].to_dict(), allow_nan=False))["mean"] is not None


@pytest.mark.parametrize(
    ("scores", "targets", "message"),
    [
        ([[0.1, 0.2]], [[1]], "shape"),
        ([0.1], [1], "shape"),
        ([[0.1, math.nan]], [[1, 0]], "clip 0, class 1 is nan"),
        ([[0.1, 0.2]], [[0.5, 0.5]], "must be 0 or 1"),
    ],
)
def test_tables_that_make_no_sense_are_refused(scores: object, targets: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        measure(scores, targets, ("a", "b"))  # type: ignore[arg-type]


def test_options_out_of_range_are_refused() -> None:
    table = [[0.1, 0.9]], [[0, 1]]
    with pytest.raises(OptionError, match="max_false_positive_rate=0"):
        roc_auc(*table, max_false_positive_rate=0.0)
    with pytest.raises(OptionError, match="k=0"):
        map_at_k(*table, 0)
    with pytest.raises(OptionError, match="k=0"):
        top_k_accuracy(*table, 0)
    with pytest.raises(OptionError, match="bins=0"):
        reliability(*table, bins=0)
    with pytest.raises(OptionError, match="no threshold for 'b'"):
        measure(*table, ("a", "b"), task="multi-label", thresholds={"a": 0.5})
    with pytest.raises(OptionError, match="2 columns of scores for 1 labels"):
        measure(*table, ("a",))
