"""Novelty: how likely a frame is of no class that was trained, judged by its embedding alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import OptionError, TooFewClipsError
from earmark.training.familiarity import Axes, Familiar, Numbers, Rows
from earmark.training.logistic import sigmoid
from earmark.training.noveltyweights import METHODS, Method, weigh
from earmark.training.unknowns import Asked, Study, ask_in_rounds, clip_means

KNOWN_QUANTILE = 0.95
"""Share of clips of trained classes that stay below the threshold."""


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """A map from an embedding to the probability that it is of no class that was trained.

    Parameters
    ----------
    axes : Axes
    familiar : Familiar
        Where the training clips lie.
    weights : ndarray of float32, shape (4,)
        Of the features; the novelty of a frame is ``sigmoid(features @ weights + bias)``.
    bias : float
    threshold : float
        A clip whose frames have at least this novelty on average is of no class.
    method : str
        Which features have weights other than 0.
    roc_auc : float or None
        Of whole clips, where classes could be left out in turn to play the unknown.
    """

    axes: Axes
    familiar: Familiar
    weights: NDArray[np.float32]
    bias: float
    threshold: float
    method: str
    roc_auc: float | None = None

    def apply(self, embeddings: Rows) -> Rows:
        """Return the novelty of embeddings (..., size), of shape (...), in [0, 1]."""
        features = self.familiar.features(self.axes.project(embeddings.reshape(-1, embeddings.shape[-1])))
        return np.asarray(sigmoid(features @ self.weights + self.bias).reshape(embeddings.shape[:-1]), np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return method, threshold and ROC-AUC as JSON-ready data."""
        auc = None if self.roc_auc is None else round(self.roc_auc, 6)
        return {"method": self.method, "threshold": self.threshold, "leave_classes_out_roc_auc": auc}


def fit_novelty(
    embeddings: Sequence[Rows],
    targets: NDArray[np.float32],
    groups: Sequence[str] | NDArray[Any],
    *,
    indices_held_out: Numbers | None = None,
    frozen: bool = True,
    seed: int = 0,
    method: Method = "auto",
    quantile: float = KNOWN_QUANTILE,
    progress: Callable[[int, int], None] | None = None,
) -> Novelty:
    """Learn what is familiar, and from which distance on it is not.

    Classes are left out in turn, some at a time: their clips are then unknown, and clips of the others whose sources
    were set aside are known. A logistic regression on distances and similarities tells the two apart. What is fitted
    that way is used with all clips as the familiar ones.

    Parameters
    ----------
    embeddings : sequence of ndarray of float32, shape (frames, size)
        Of each clip, at least one frame.
    targets : ndarray of float32, shape (clips, classes)
        1 where a clip has a label. Clips without any count as one class more.
    groups : sequence of str, length clips
        The source of each clip; those of one source are set aside together.
    indices_held_out : ndarray of int64, optional
        Clips that what makes the embeddings was not trained on; needed where `frozen` is false.
    frozen : bool
        Whether what makes the embeddings was trained without any of these clips. Otherwise trained ones are more alike
        than new sound is: they are the familiar ones, and only those held out are asked about.
    seed : int
        Divides classes and sources.
    method : {"auto", "mahalanobis", "neighbours", "both"}
        Which features count; "auto" takes what tells unknown classes best.
    quantile : float
        Share of known clips below the threshold, in (0, 1).
    progress : callable, optional
        Gets how many parts of the classes were left out, and how many there are.

    Notes
    -----
    With few classes or clips none can be left out. Then novelty grows with the distance from the familiar alone: half
    at the edge of what known frames have, by `quantile`.

    Raises
    ------
    TooFewClipsError
        If there is no clip.
    OptionError
        If the method is not known, or the quantile is out of range.
    """
    if method not in ("auto", *METHODS) or not 0.0 < quantile < 1.0:
        raise OptionError(
            f"method={method!r}, quantile={quantile:g}: give auto, {', '.join(METHODS)}; a quantile between 0 and 1"
        )
    if not len(embeddings):
        raise TooFewClipsError("there is no clip to learn from what is familiar: give some")
    rng = np.random.default_rng(seed)
    trained = _all_but(None if frozen else indices_held_out, len(embeddings))
    study = Study.of(embeddings, targets, groups, trained, rng=rng)
    rounds = ask_in_rounds(study, rng, progress)
    asked = Asked(*(np.concatenate(parts) for parts in zip(*rounds, strict=True)))
    weights, bias, chosen, auc = weigh(asked, method, quantile)
    novelty = clip_means(sigmoid(asked.features @ weights + bias), asked.clips)
    known = novelty[clip_means(asked.unknown, asked.clips) == 0]
    return Novelty(
        axes=study.axes,
        familiar=Familiar.fit(*study.frames_of(study.trained), study.classes, rng),
        weights=weights.astype(np.float32),
        bias=bias,
        threshold=round(float(np.quantile(known, quantile)), 6),
        method=chosen,
        roc_auc=auc,
    )


def _all_but(indices: Numbers | None, count: int) -> NDArray[np.bool_]:
    """Return True for all but these, or for all where that would be none."""
    kept = np.ones(count, dtype=bool)
    if indices is not None:
        kept[indices] = False
    return kept if kept.any() else ~kept
