"""Heads: the classifiers of scikit-learn that are put on pooled embeddings, and the settings each is tried with.

Whatever scikit-learn gives is kept as a `Scorer`, plain arrays that write themselves as ONNX nodes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import MissingExtraError, OptionError
from earmark.training.projection import Scaling
from earmark.training.scorers import Forest, Kernel, Layers, Linear, Neighbours, Points, Scorer, Shares

try:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC
except ImportError as missing:
    raise MissingExtraError.for_extra("train", "scikit-learn", "training a head") from missing

Rows = NDArray[np.float32]
Values = Mapping[str, float]

_NEVER = -30.0  # logit of a class that no clip was there to learn from
_TREES = 200
_HIDDEN = 256
_TOLERANCE = 1e-3  # ten times scikit-learn's: half the steps, the same decisions
_STEPS = 600  # at least; of Adam, on 200 clips each
_TINY = 1e-12


@dataclass(frozen=True)
class Lesson:
    """What a head learns from.

    Parameters
    ----------
    rows : ndarray of float32, shape (clips, size)
        Pooled embeddings.
    targets : ndarray of float32, shape (clips, classes)
        Zeros and ones.
    exclusive : bool
        Whether each row has exactly one class.
    balanced : bool
        Whether rare classes weigh as much as frequent ones.
    seed : int
        All randomness comes from it.
    """

    rows: Rows
    targets: Rows
    exclusive: bool
    balanced: bool = False
    seed: int = 0

    def select(self, indices: NDArray[np.int64]) -> "Lesson":
        """Return some of the clips."""
        return replace(self, rows=self.rows[indices], targets=self.targets[indices])

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class of each clip, where they exclude each other."""
        return np.asarray(self.targets.argmax(axis=1), np.int64)

    @property
    def class_weight(self) -> str | None:
        """What scikit-learn calls it."""
        return "balanced" if self.balanced else None

    def clip_weights(self) -> NDArray[np.float64] | None:
        """Return what each clip counts, 1 in the mean, or None where all count the same."""
        if not self.balanced:
            return None
        counts = self.targets.sum(axis=0)
        present = np.count_nonzero(counts)
        return np.asarray(len(self.rows) / (present * counts[self.classes]), np.float64)

    def shares(self, weight: float) -> Shares:
        """Return how shares become logits: the frequency of the classes is mixed in, none of them 0 or 1."""
        frequencies = self.targets.mean(axis=0, dtype=np.float64)
        edge = 0.5 / len(self.targets)
        return Shares(np.clip(frequencies, edge, 1.0 - edge).astype(np.float32), weight, self.exclusive)


Train = Callable[[Lesson, Sequence[Values]], Iterator[Scorer]]
"""From a lesson to a scorer for each setting, one after the other: a setting may start where the last one ended."""


@dataclass(frozen=True)
class Head:
    """A kind of head.

    Parameters
    ----------
    train : Train
        How it learns.
    grid : tuple of Mapping of str to float
        The settings that are tried.
    scalings : tuple of Scaling
        The scales of the features that are tried; empty where a head does not mind them and takes rows as they are.
    usual : int
        Which of `grid` is taken where nothing can be tried.
    margins : bool
        Whether its logits are margins, whose scale is yet to be found.
    weighs_labels : bool
        Whether it can balance classes that may be heard together.
    weighs_clips : bool
        Whether it can balance classes that exclude each other.
    """

    train: Train
    grid: tuple[Values, ...]
    scalings: tuple[Scaling, ...] = ("whole", "each")
    usual: int = 0
    margins: bool = False
    weighs_labels: bool = False
    weighs_clips: bool = True


def find_head(name: str, *, class_weights: str | None = None, multi_label: bool = False) -> Head:
    """Return a head by name.

    Raises
    ------
    OptionError
        If there is none of that name, or it cannot balance the classes of such a task.
    """
    if name not in HEADS:
        raise OptionError(f"head {name!r} is not known; allowed: {', '.join(HEADS)}")
    if class_weights not in (None, "balanced"):
        raise OptionError(f"class_weights={class_weights!r} is not known; allowed: 'balanced', or None")
    head = HEADS[name]
    able = {key for key, each in HEADS.items() if (each.weighs_labels if multi_label else each.weighs_clips)}
    if class_weights and name not in able:
        task = "several labels a clip" if multi_label else "one label a clip"
        raise OptionError(
            f"head {name!r} cannot balance classes with {task}: "
            f"leave class_weights out, or take {', '.join(sorted(able))}"
        )
    return head


def _train_logistic(lesson: Lesson, settings: Sequence[Values]) -> Iterator[Scorer]:
    """Multinomial logistic regression, or one a label; each strength starts from the weights of the one before."""
    if not lesson.exclusive:
        yield from _one_by_one(lesson, settings, lambda values: _logistic(lesson, values["C"]))
        return
    model = _logistic(lesson, 1.0)
    width = lesson.targets.shape[1]
    for values in settings:
        model.set_params(C=values["C"]).fit(lesson.rows, lesson.classes)
        yield _spread(_both_classes(model.coef_, model.intercept_), model.classes_, width)


def _logistic(lesson: Lesson, strength: float) -> Any:
    return LogisticRegression(
        C=strength, tol=_TOLERANCE, max_iter=2000, warm_start=True, class_weight=lesson.class_weight
    )


def _one_by_one(lesson: Lesson, settings: Sequence[Values], make: Callable[[Values], Any]) -> Iterator[Scorer]:
    """Train a linear model of two sides for each class."""
    for values in settings:
        columns = [_column(make(values), lesson.rows, target) for target in lesson.targets.T]
        weights, bias = zip(*columns, strict=True)
        yield Linear(np.stack(weights, axis=1).astype(np.float32), np.array(bias, np.float32))


def _column(model: Any, rows: Rows, target: Rows) -> tuple[NDArray[np.float64], float]:
    """Return weights and bias of one class."""
    if len(np.unique(target)) < 2:
        return np.zeros(rows.shape[1]), _one_sided(target)
    model.fit(rows, target > 0)
    return model.coef_[0], float(model.intercept_[0])


def _one_sided(target: Rows) -> float:
    """Return the logit of a class that all clips, or none, have."""
    share = (target.sum() + 0.5) / (len(target) + 1.0)
    return float(np.log(share) - np.log1p(-share))


def _train_linear_svm(lesson: Lesson, settings: Sequence[Values]) -> Iterator[Scorer]:
    """Support vector machines without a kernel, one class against the rest; strength is for rows of mean length 1."""
    length = max(float(np.mean(np.square(lesson.rows).sum(axis=1))), _TINY)
    products = (lesson.rows @ lesson.rows.T).astype(np.float64) / length
    for values in settings:
        machines = _machines(products, lesson, values["C"])
        yield Linear(lesson.rows.T @ machines.weights / np.float32(length), machines.bias)


def _train_kernel_svm(lesson: Lesson, settings: Sequence[Values]) -> Iterator[Scorer]:
    """Support vector machines of radial basis functions, one class against the rest; gamma is for mean distance 1."""
    distances = Points(lesson.rows).distances(lesson.rows).astype(np.float64)
    spread = max(float(np.mean(distances)), _TINY)
    for values in settings:
        gamma = values["gamma"] / spread
        machines = _machines(np.exp(-gamma * distances), lesson, values["C"])
        used = np.flatnonzero(np.abs(machines.weights).max(axis=1) > 0)
        used = used if len(used) else np.array([0])
        yield Kernel(Points(lesson.rows[used]), gamma, replace(machines, weights=machines.weights[used]))


def _machines(nearness: NDArray[np.float64], lesson: Lesson, strength: float) -> Linear:
    """Return what each class makes of the nearness to each clip, given that of the clips to each other."""
    weights = np.zeros(lesson.targets.shape, np.float32)
    bias = np.zeros(lesson.targets.shape[1], np.float32)
    for column, target in enumerate(lesson.targets.T):
        if len(np.unique(target)) < 2:
            bias[column] = _one_sided(target)
            continue
        model = SVC(C=strength, kernel="precomputed", class_weight=lesson.class_weight)
        model.fit(nearness, target > 0)
        weights[model.support_, column], bias[column] = model.dual_coef_[0], model.intercept_[0]
    return Linear(weights, bias)


def _train_forest(lesson: Lesson, settings: Sequence[Values]) -> Iterator[Scorer]:
    """Random forests, grown on the targets as numbers: see `Forest`."""
    for values in settings:
        model = RandomForestRegressor(
            _TREES, max_features="sqrt", min_samples_leaf=int(values["leaf"]), random_state=lesson.seed
        )
        targets = lesson.targets[:, 0] if lesson.targets.shape[1] == 1 else lesson.targets
        model.fit(lesson.rows, targets, sample_weight=lesson.clip_weights())
        yield Forest(model, lesson.shares(1.0 / (_TREES + 1)))


def _train_neighbours(lesson: Lesson, settings: Sequence[Values]) -> Iterator[Scorer]:
    """Nearest neighbours: the clips are what is learnt. One more, of average class, votes with them."""
    for values in settings:
        count = min(int(values["neighbours"]), len(lesson.rows))
        yield Neighbours(Points(lesson.rows), lesson.targets, count, lesson.shares(1.0 / (count + 1)))


def _train_perceptron(lesson: Lesson, settings: Sequence[Values]) -> Iterator[Scorer]:
    """Perceptrons of one hidden layer."""
    width = lesson.targets.shape[1]
    targets = lesson.classes if lesson.exclusive else lesson.targets.astype(np.int64)
    epochs = -(-_STEPS // -(-len(lesson.rows) // 200))
    for values in settings:
        model = MLPClassifier(
            (_HIDDEN,), alpha=values["alpha"], learning_rate_init=0.003, max_iter=epochs, random_state=lesson.seed
        )
        model.fit(lesson.rows, targets, sample_weight=lesson.clip_weights())
        (first, last), (first_bias, last_bias) = model.coefs_, model.intercepts_
        out = Linear(last.astype(np.float32), last_bias.astype(np.float32))
        if lesson.exclusive:
            out = _spread(_both_classes(last.T, last_bias), model.classes_, width)
        yield Layers((Linear(first.astype(np.float32), first_bias.astype(np.float32)), out))


def _both_classes(weights: NDArray[Any], bias: NDArray[Any]) -> Linear:
    """Return the linear map of scikit-learn's weights, shape (classes, size); of two it keeps the second only."""
    if len(weights) == 1:
        weights, bias = np.concatenate([0.0 * weights, weights]), np.concatenate([0.0 * bias, bias])
    return Linear(weights.T.astype(np.float32), bias.astype(np.float32))


def _spread(linear: Linear, classes: NDArray[np.int64], width: int) -> Linear:
    """Return the map with a column for every class, where it was learnt from clips of some of them."""
    weights, bias = np.zeros((len(linear.weights), width), np.float32), np.full(width, _NEVER, np.float32)
    weights[:, classes], bias[classes] = linear.weights, linear.bias
    return Linear(weights, bias)


def _grid(**values: Iterable[float]) -> tuple[Values, ...]:
    """Return all combinations of values."""
    return tuple(dict(zip(values, chosen, strict=True)) for chosen in product(*values.values()))


HEADS: Mapping[str, Head] = {
    "logistic": Head(_train_logistic, _grid(C=(0.001, 0.01, 0.1)), scalings=("whole",), usual=1, weighs_labels=True),
    "svm-linear": Head(_train_linear_svm, _grid(C=(1.0, 10.0, 100.0)), usual=1, margins=True, weighs_labels=True),
    "svm-rbf": Head(
        _train_kernel_svm, _grid(C=(1.0, 10.0), gamma=(0.5, 2.0)), usual=2, margins=True, weighs_labels=True
    ),
    "forest": Head(_train_forest, _grid(leaf=(1, 3)), scalings=()),
    "knn": Head(_train_neighbours, _grid(neighbours=(1, 3, 5, 10)), usual=2, weighs_clips=False),
    "mlp": Head(_train_perceptron, _grid(alpha=(0.1, 1.0)), scalings=("whole",), usual=1),
}
"""Heads by name."""
