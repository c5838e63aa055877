"""Heads: each is what scikit-learn learnt, for one label a clip and for several; and the projection before them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from earmark.errors import OptionError
from earmark.training import heads
from earmark.training.heads import HEADS, Lesson, find_head
from earmark.training.projection import project

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def _small_and_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_TREES", 8)
    monkeypatch.setattr(heads, "_HIDDEN", 8)
    monkeypatch.setattr(heads, "_STEPS", 200)
    monkeypatch.setattr(heads, "_TOLERANCE", 1e-6)


@pytest.fixture
def lesson(rng: np.random.Generator) -> Lesson:
    """Return three uneven classes, apart but not quite."""
    classes = rng.permutation(np.repeat([0, 1, 2], [30, 20, 10]))
    rows = rng.normal(size=(60, 7)) + 1.2 * rng.normal(size=(3, 7))[classes]
    return Lesson(rows.astype(np.float32), np.eye(3, dtype=np.float32)[classes], exclusive=True)


@pytest.fixture
def labels(lesson: Lesson) -> Lesson:
    """Return the same rows with labels that go together at will, one of them on no clip."""
    targets = np.column_stack([lesson.rows[:, :3] > 0.3, np.zeros(60)]).astype(np.float32)
    return replace(lesson, targets=targets, exclusive=False)


def test_logistic_regression_is_scikit_learns(lesson: Lesson) -> None:
    for balanced in (False, True):
        settings = HEADS["logistic"].grid
        scorers = heads._train_logistic(replace(lesson, balanced=balanced), settings)
        for values, scorer in zip(settings, scorers, strict=True):
            weight = "balanced" if balanced else None
            model = LogisticRegression(C=values["C"], tol=1e-6, class_weight=weight).fit(lesson.rows, lesson.classes)
            found = softmax(scorer(lesson.rows), axis=1)
            np.testing.assert_allclose(found, model.predict_proba(lesson.rows), atol=2e-3)


def test_projected_logistic_regression_is_scikit_learns_on_standardised_rows(lesson: Lesson) -> None:
    for scaling in ("each", "whole"):
        projection = project(lesson.rows, scaling)
        projected = replace(lesson, rows=projection(lesson.rows))
        scorer = projection.then(next(heads._train_logistic(projected, [{"C": 0.1}])))
        scaler = StandardScaler().fit(lesson.rows)
        scaler.scale_ = scaler.scale_ if scaling == "each" else np.full(7, np.sqrt(np.mean(scaler.var_)))
        rows = scaler.transform(lesson.rows)
        model = LogisticRegression(C=0.1, tol=1e-6).fit(rows, lesson.classes)
        np.testing.assert_allclose(softmax(scorer(lesson.rows), axis=1), model.predict_proba(rows), atol=2e-3)


def test_two_classes_and_one_label_a_clip(lesson: Lesson) -> None:
    two = replace(lesson, targets=np.column_stack([lesson.targets[:, 0], 1 - lesson.targets[:, 0]]))
    scorer = next(heads._train_logistic(two, [{"C": 1.0}]))
    model = LogisticRegression(C=1.0, tol=1e-6).fit(two.rows, two.classes)
    np.testing.assert_allclose(softmax(scorer(two.rows), axis=1), model.predict_proba(two.rows), atol=2e-3)


def test_logistic_regression_of_labels_is_one_each(labels: Lesson) -> None:
    scorer = next(heads._train_logistic(labels, [{"C": 1.0}]))
    for column in range(3):
        model = LogisticRegression(C=1.0, tol=1e-6).fit(labels.rows, labels.targets[:, column])
        np.testing.assert_allclose(scorer(labels.rows)[:, column], model.decision_function(labels.rows), atol=2e-2)


def test_support_vector_machines_are_scikit_learns(lesson: Lesson) -> None:
    linear = next(heads._train_linear_svm(lesson, [{"C": 10.0}]))(lesson.rows)
    curved = next(heads._train_kernel_svm(lesson, [{"C": 10.0, "gamma": 0.5}]))(lesson.rows)
    length = np.mean(np.square(lesson.rows).sum(axis=1))
    spread = np.mean(np.square(lesson.rows[:, None] - lesson.rows).sum(axis=2))
    for column in range(3):
        side = lesson.targets[:, column]
        model = SVC(C=10.0, kernel="linear").fit(lesson.rows / np.sqrt(length), side)
        wanted = model.decision_function(lesson.rows / np.sqrt(length))
        np.testing.assert_allclose(linear[:, column], wanted, atol=5e-3)
        model = SVC(C=10.0, gamma=0.5 / spread).fit(lesson.rows, side)
        np.testing.assert_allclose(curved[:, column], model.decision_function(lesson.rows), atol=5e-3)


def test_neighbours_vote_as_scikit_learns_do(lesson: Lesson, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(40, 7)).astype(np.float32)
    scorer = next(heads._train_neighbours(lesson, [{"neighbours": 5}]))
    model = KNeighborsClassifier(5).fit(lesson.rows, lesson.classes)
    wanted = model.predict_proba(rows) * 5 / 6 + lesson.targets.mean(axis=0) / 6
    np.testing.assert_allclose(softmax(scorer(rows), axis=1), wanted, atol=1e-5)


def test_a_forest_gives_scikit_learns_shares(lesson: Lesson) -> None:
    scorer = next(heads._train_forest(lesson, [{"leaf": 1}]))
    model = RandomForestRegressor(8, max_features="sqrt", random_state=0).fit(lesson.rows, lesson.targets)
    wanted = model.predict(lesson.rows) * 8 / 9 + lesson.targets.mean(axis=0) / 9
    np.testing.assert_allclose(softmax(scorer(lesson.rows), axis=1), wanted, atol=1e-5)


def test_a_perceptron_is_scikit_learns(lesson: Lesson) -> None:
    scorer = next(heads._train_perceptron(lesson, [{"alpha": 1.0}]))
    model = MLPClassifier((8,), alpha=1.0, learning_rate_init=0.003, max_iter=200, random_state=0).fit(
        lesson.rows, lesson.classes
    )
    np.testing.assert_allclose(softmax(scorer(lesson.rows), axis=1), model.predict_proba(lesson.rows), atol=1e-4)


@pytest.mark.parametrize("name", HEADS)
def test_every_head_knows_more_than_chance(name: str, lesson: Lesson, labels: Lesson) -> None:
    head = HEADS[name]
    for each in (lesson, labels):
        scorers = list(head.train(each, head.grid))
        assert len(scorers) == len(head.grid)
        logits = scorers[head.usual](each.rows)
        assert logits.shape == each.targets.shape
        assert logits.dtype == np.float32
        assert np.isfinite(logits).all()
        right = (logits > 0) == (each.targets > 0) if each is labels else logits.argmax(axis=1) == each.classes
        assert right.mean() > 0.7
    assert (logits[:, 3] < 0).all(), "no clip has the last label"


@pytest.mark.parametrize("name", HEADS)
def test_a_class_without_clips_gets_next_to_nothing(name: str, lesson: Lesson) -> None:
    without = lesson.select(np.flatnonzero(lesson.classes != 1))
    logits = next(HEADS[name].train(without, HEADS[name].grid))(lesson.rows)
    assert logits.shape == (60, 3)
    assert (logits.argmax(axis=1) != 1).all()


@pytest.mark.parametrize("name", [name for name in HEADS if HEADS[name].weighs_clips])
def test_balanced_classes_help_the_rare_one(name: str, lesson: Lesson) -> None:
    shares = []
    for balanced in (False, True):
        scorer = list(HEADS[name].train(replace(lesson, balanced=balanced), HEADS[name].grid))[HEADS[name].usual]
        shares.append(softmax(scorer(lesson.rows), axis=1)[:, 2].mean())
    assert shares[1] > shares[0]


@pytest.mark.parametrize("name", ["forest", "mlp"])
def test_the_seed_decides(name: str, lesson: Lesson) -> None:
    first, same, other = (
        next(HEADS[name].train(replace(lesson, seed=seed), HEADS[name].grid))(lesson.rows) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_projection_keeps_distances_and_drops_what_is_constant(rng: np.random.Generator) -> None:
    rows = (rng.normal(size=(9, 40)) * rng.uniform(0.5, 2.0, 40) + 3.0).astype(np.float32)
    rows[:, 5] = 7.0
    for scaling in ("whole", "each"):
        projected = project(rows, scaling)(rows)
        assert projected.shape == (9, 8), "nine centred rows span eight axes"
        scaled = rows - rows.mean(axis=0)
        deviation = scaled.std(axis=0)
        scaled /= np.sqrt(np.mean(deviation**2)) if scaling == "whole" else np.where(deviation > 0, deviation, 1)
        np.testing.assert_allclose(projected @ projected.T, scaled @ scaled.T, atol=2e-3)
    assert project(rows, "whole", most_axes=3)(rows).shape == (9, 3)
    silent = np.full((4, 6), 0.5, np.float32)
    np.testing.assert_allclose(project(silent, "each")(silent), 0.0, atol=1e-6)


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(OptionError, match=r"head 'bayes' is not known; allowed: logistic, svm-linear"):
        find_head("bayes")
    with pytest.raises(OptionError, match=r"class_weights='half' is not known; allowed: 'balanced'"):
        find_head("logistic", class_weights="half")
    with pytest.raises(OptionError, match=r"'knn' cannot balance classes with one label a clip: .* take forest, log"):
        find_head("knn", class_weights="balanced")
    with pytest.raises(OptionError, match=r"'forest' cannot balance classes with several labels a clip"):
        find_head("forest", class_weights="balanced", multi_label=True)
    assert find_head("forest", class_weights="balanced") is HEADS["forest"]
