"""Calibration: against scikit-learn and SciPy, in NumPy and in the graph, and with few clips."""

import json

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from earmark.errors import ModelFormatError, OptionError
from earmark.evaluation.metrics import expected_calibration_error
from earmark.features.nodes import Nodes
from earmark.training.calibration import fit_calibration
from earmark.training.calibrationgraph import add_calibration
from earmark.training.extension import extend
from earmark.training.joining import TailBackend
from earmark.training.scalings import Calibration, Isotonic, Platt, Temperature, logits

CLASSES = 5
Scores = NDArray[np.float32]


def single_label(rng: np.random.Generator, clips: int = 400, sharpness: float = 3.0) -> tuple[Scores, Scores]:
    """Return scores that are surer than they are right, and targets."""
    true_logits = rng.normal(size=(clips, CLASSES)) * 2
    chances = np.exp(true_logits) / np.exp(true_logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(CLASSES, p=row) for row in chances])
    scores = np.exp(sharpness * true_logits)
    return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32), np.eye(CLASSES, dtype=np.float32)[labels]


def multi_label(rng: np.random.Generator, clips: int = 600) -> tuple[Scores, Scores]:
    margins = rng.normal(size=(clips, CLASSES)) * 2 - 1
    targets = (rng.random(margins.shape) < 1 / (1 + np.exp(-margins))).astype(np.float32)
    wrong = 1.8 * margins + np.linspace(-1, 1, CLASSES)
    return (1 / (1 + np.exp(-wrong))).astype(np.float32), targets


def with_background(scores: Scores) -> Scores:
    """Return scores without their last column, whose share is then what is lacking to 1."""
    return np.ascontiguousarray(scores[:, :-1])


def tail_of(classes: int) -> onnx.ModelProto:
    """Return a tail that gives what it is fed: embeddings are the frames' scores."""
    nodes = Nodes()
    nodes("Identity", "embeddings", output="frames")
    nodes("ReduceMean", "embeddings", nodes.integers(1), output="clip", keepdims=0)
    outputs = {"clip": ["batch", classes], "frames": ["batch", "frames", classes]}
    return nodes.model({"embeddings": ["batch", "frames", classes]}, outputs)


def test_temperature_is_that_of_least_cross_entropy(rng: np.random.Generator) -> None:
    scores, targets = single_label(rng)

    def loss(temperature: float) -> float:
        rows = np.log(scores.astype(np.float64)) / temperature
        return float((np.log(np.exp(rows).sum(axis=1)) - (rows * targets).sum(axis=1)).sum())

    expected = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-7}).x
    fitted = fit_calibration(scores, targets, task="single-label", strength=0.0)
    assert isinstance(fitted, Temperature)
    assert fitted.temperature == pytest.approx(expected, rel=1e-4)
    drawn = fit_calibration(scores, targets, task="single-label", method="temperature")
    assert isinstance(drawn, Temperature)
    assert drawn.temperature == pytest.approx(expected, rel=0.02), "the prior weighs little beside 400 clips"


def test_temperature_lowers_the_error_on_new_clips(rng: np.random.Generator) -> None:
    scores, targets = single_label(rng, 3000)
    fitted = fit_calibration(scores[:1000], targets[:1000], task="single-label")
    before = expected_calibration_error(scores[1000:], targets[1000:])
    after = expected_calibration_error(fitted.apply(scores[1000:]), targets[1000:])
    assert before > 0.1
    assert after < 0.03
    np.testing.assert_array_equal(fitted.apply(scores).argmax(axis=1), scores.argmax(axis=1))


def test_clips_that_are_all_right_do_not_make_a_model_boundlessly_sure() -> None:
    scores = np.full((6, 3), 0.2, np.float32) + 0.4 * np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
    fitted = fit_calibration(scores, np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]], task="single-label")
    assert fitted.apply(scores).max() < 0.98


def test_background_is_a_class_of_its_own(rng: np.random.Generator) -> None:
    scores, targets = single_label(rng, 1000, sharpness=1.5)
    whole = fit_calibration(scores, targets, task="single-label", strength=0.0)
    cut = fit_calibration(
        with_background(scores), with_background(targets), task="single-label", background=True, strength=0.0
    )
    assert isinstance(whole, Temperature)
    assert isinstance(cut, Temperature)
    assert cut.temperature == pytest.approx(whole.temperature, rel=0.05)
    applied = cut.apply(with_background(scores))
    assert applied.shape == (1000, CLASSES - 1)
    assert applied.sum(axis=1).max() < 1
    np.testing.assert_allclose(applied, with_background(whole.apply(scores)), atol=0.02)


def test_clips_without_a_label_say_nothing_where_there_is_no_class_for_them(rng: np.random.Generator) -> None:
    scores, targets = single_label(rng)
    silent = np.concatenate([targets, np.zeros((50, CLASSES), np.float32)])
    fitted = fit_calibration(np.concatenate([scores, scores[:50]]), silent, task="single-label")
    assert fitted == fit_calibration(scores, targets, task="single-label")


def test_platt_is_logistic_regression_of_the_logit(rng: np.random.Generator) -> None:
    scores, targets = multi_label(rng)
    fitted = fit_calibration(scores, targets, task="multi-label", strength=0.0)
    assert isinstance(fitted, Platt)
    for column in range(CLASSES):
        witness = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
        witness.fit(logits(scores[:, [column]]), targets[:, column])
        assert fitted.slopes[column] == pytest.approx(witness.coef_[0, 0], abs=1e-4)
        assert fitted.intercepts[column] == pytest.approx(witness.intercept_[0], abs=1e-4)


def test_platt_lowers_the_error_on_new_clips(rng: np.random.Generator) -> None:
    scores, targets = multi_label(rng, 3000)
    fitted = fit_calibration(scores[:1000], targets[:1000], task="multi-label", method="auto")
    before = expected_calibration_error(scores[1000:], targets[1000:], task="multi-label")
    after = expected_calibration_error(fitted.apply(scores[1000:]), targets[1000:], task="multi-label")
    assert after < min(0.04, before)


def test_classes_of_few_positives_stay_near_the_shared_line(rng: np.random.Generator) -> None:
    scores, targets = multi_label(rng)
    targets[:, 0] = 0  # none
    targets[:, 1] = scores[:, 1] >= np.sort(scores[:, 1])[-2]  # two, and perfectly divided: their own slope is infinite
    fitted = fit_calibration(scores, targets, task="multi-label")
    assert isinstance(fitted, Platt)
    shared = fit_calibration(scores.reshape(-1, 1), targets.reshape(-1, 1), task="multi-label")
    assert isinstance(shared, Platt)
    assert fitted.slopes[0] == pytest.approx(shared.slopes[0], rel=0.02)
    assert fitted.slopes[1] < 4


def test_scores_that_say_the_contrary_keep_their_order(rng: np.random.Generator) -> None:
    scores, targets = multi_label(rng)
    fitted = fit_calibration(scores, 1 - targets, task="multi-label")
    assert isinstance(fitted, Platt)
    assert fitted.slopes.min() > 0


def test_isotonic_is_scikit_learns(rng: np.random.Generator) -> None:
    scores = np.round(rng.random((300, 2)), 1).astype(np.float32)  # few values, so that all knots are kept
    targets = (rng.random((300, 2)) < scores).astype(np.float32)
    fitted = fit_calibration(scores, targets, task="multi-label", method="isotonic")
    for column in range(2):
        expected = IsotonicRegression().fit_transform(scores[:, column], targets[:, column])
        margin = 1 / 302  # no clip is ever quite impossible, or certain
        applied = fitted.apply(scores)[:, column]
        np.testing.assert_allclose(applied, np.clip(expected, margin, 1 - margin), atol=1e-6)


def test_isotonic_has_few_knots_and_rises(rng: np.random.Generator) -> None:
    scores, targets = multi_label(rng, 2000)
    targets[:, 2] = 0
    targets[:3, 2] = 1
    fitted = fit_calibration(scores, targets, task="multi-label", method="isotonic")
    assert isinstance(fitted, Isotonic)
    assert fitted.knots.shape[1] <= 16
    assert (np.diff(fitted.values, axis=1) >= 0).all()
    grid = np.linspace(1e-6, 1, 500, dtype=np.float32)[:, None].repeat(CLASSES, axis=1)
    applied = fitted.apply(grid)
    assert (np.diff(applied, axis=0) >= -1e-6).all()
    assert 0 < applied.min() < applied.max() < 1
    usual = [0, 1, 3, 4]
    after = expected_calibration_error(fitted.apply(scores)[:, usual], targets[:, usual], task="multi-label")
    assert after < 0.04


def calibrations(rng: np.random.Generator) -> list[tuple[Calibration, Scores]]:
    single, labels = single_label(rng, 200)
    several, many = multi_label(rng, 200)
    cut = with_background(single)
    return [
        (fit_calibration(single, labels, task="single-label"), single),
        (fit_calibration(cut, with_background(labels), task="single-label", background=True), cut),
        (fit_calibration(several, many, task="multi-label"), several),
        (fit_calibration(several, many, task="multi-label", method="isotonic"), several),
    ]


@pytest.mark.parametrize("kind", range(4))
def test_the_graph_gives_what_numpy_gives(kind: int, rng: np.random.Generator) -> None:
    calibration, scores = calibrations(rng)[kind]
    scores = np.concatenate([scores, np.zeros_like(scores[:4]), np.eye(len(scores.T), dtype=np.float32)[:4]])
    frames = scores.reshape(8, -1, scores.shape[1])
    given = TailBackend(add_calibration(tail_of(scores.shape[1]), calibration)).run(frames)
    np.testing.assert_allclose(given.frames, calibration.apply(frames), atol=1e-5)
    np.testing.assert_allclose(given.clip, calibration.apply(frames.mean(axis=1)), atol=1e-5)


@pytest.mark.parametrize("kind", range(4))
def test_calibrating_twice_composes(kind: int, rng: np.random.Generator) -> None:
    calibration, scores = calibrations(rng)[kind]
    once = add_calibration(tail_of(scores.shape[1]), calibration)
    before = once.SerializeToString()
    given = TailBackend(add_calibration(once, calibration)).run(scores[None])
    np.testing.assert_allclose(given.frames[0], calibration.apply(calibration.apply(scores)), atol=1e-5)
    assert once.SerializeToString() == before, "the model that was given stays as it is"


def test_what_was_fitted_can_be_told_as_json(rng: np.random.Generator) -> None:
    for calibration, _ in calibrations(rng):
        facts = json.loads(json.dumps(calibration.to_dict()))
        assert facts["method"] in ("temperature", "platt", "isotonic")


def test_wrong_methods_and_shapes_are_refused(rng: np.random.Generator) -> None:
    scores, targets = single_label(rng, 20)
    with pytest.raises(OptionError, match="'platt' is not for single-label models; allowed: auto, temperature"):
        fit_calibration(scores, targets, task="single-label", method="platt")
    with pytest.raises(OptionError, match="'temperature' is not for multi-label"):
        fit_calibration(scores, targets, task="multi-label", method="temperature")
    with pytest.raises(OptionError, match=r"scores \(20, 5\) and targets \(19, 5\)"):
        fit_calibration(scores, targets[1:], task="single-label")


def test_a_graph_of_an_old_operator_set_is_refused() -> None:
    old = tail_of(2)
    old.opset_import[0].version = 13
    with pytest.raises(ModelFormatError, match="operator set 13"):
        extend(old, tail_of(2), "calibration")
