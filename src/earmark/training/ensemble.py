"""Ensembles: several model files become one, which answers with the mean of what they answer."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from earmark.data.manifest import Manifest
from earmark.data.readers import as_manifest
from earmark.errors import ModelFormatError, OptionError
from earmark.inference.classifier import Classifier
from earmark.model.card import ModelCard
from earmark.model.hub import default_hub
from earmark.model.modelfile import read_card, save, writable_model
from earmark.training.answers import Answers, ask_clips
from earmark.training.ensemblecard import merge_cards
from earmark.training.ensemblegraph import merge_graphs
from earmark.training.mixture import Mean, mixed
from earmark.training.recalibration import recalibrated
from earmark.training.reconciliation import Plan, reconcile
from earmark.training.reliability import Reliability
from earmark.training.scorefiles import align, read_scores
from earmark.training.weights import fit_weights

Method = Literal["mean", "geometric", "fitted"]

METHODS = ("mean", "geometric", "fitted")


@dataclass(frozen=True, kw_only=True, eq=False)
class EnsembleResult:
    """Several models as one file.

    Parameters
    ----------
    path : Path
        The new file.
    card : ModelCard
        As it stands in the file.
    weights : tuple of (str, float)
        Each member's name and how much it counts, with sum 1.
    reliability : Reliability or None
        Of the calibrated scores, each clip's without its source; None without clips to calibrate on.
    notes : tuple of str
        What a reader must know.
    """

    path: Path
    card: ModelCard
    weights: tuple[tuple[str, float], ...]
    reliability: Reliability | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data."""
        return {
            "model": str(self.path),
            "name": self.card.name,
            "calibrated": self.card.calibrated,
            "weights": [{"model": name, "weight": round(weight, 6)} for name, weight in self.weights],
            "reliability": None if self.reliability is None else self.reliability.to_dict(),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Member:
    """A model of the ensemble: its file, its card, and the columns of the ensemble's labels in it."""

    path: Path
    card: ModelCard
    columns: list[int]


def ensemble(
    models: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    method: Method = "mean",
    data: str | os.PathLike[str] | Manifest | None = None,
    scores: Sequence[str | os.PathLike[str]] = (),
    name: str | None = None,
    version: str = "1",
    layout: str | None = None,
    audio: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EnsembleResult:
    """Make one model file of several.

    Their labels may stand in any order. Their rates may differ: the ensemble takes the highest, and resamples for the
    others inside its graph. Their frames may differ where hops fall together.

    Parameters
    ----------
    models : sequence of str or path
        Two or more names or ``.onnx`` files, of the same labels and the same task.
    output : path
        Where the new file goes; ends in ``.onnx``.
    method : {"mean", "geometric", "fitted"}
        The mean of the scores, their geometric mean, or a mean with weights fitted on `data` or `scores`.
    data : path or Manifest, optional
        Labelled clips that none of the models was trained on. The ensemble is calibrated on them; without them, and
        without `scores`, it is not calibrated, whatever its members are.
    scores : sequence of path, optional
        Instead of `data`: for each model, in their order, the table of out-of-fold scores that `crossval` wrote.
    name, version : str
        For the card; the name is the file's by default.
    layout, audio, columns
        As `earmark.data.readers.read_manifest` takes them.
    threads : int, optional
        How many clips are heard side by side.
    progress : callable, optional
        Gets how many clips are heard, and how many there are; for each pass anew.

    Raises
    ------
    OptionError
        If the models do not fit together, in a sentence that says why; if the method is not known, or lacks data.
    DataError, ModelError, OutputError
        Each says what to do.
    """
    _check(method, models, data, scores)
    target = writable_model(output)
    members, plan = _members(models)
    manifest = None if data is None else as_manifest(data, layout=layout, audio=audio, columns=columns)
    listen = _Listener(manifest, threads, progress)
    tables = _tables(members, scores)
    weights = _weights(method, members, tables, listen)
    mean: Mean = "geometric" if method == "geometric" else "mean"
    cards = [member.card for member in members]
    card = merge_cards(cards, plan, weights, method=method, name=name or target.stem, version=version)
    model = merge_graphs([onnx.load(member.path) for member in members], plan, card, weights, mean)
    counted = tuple((member.card.name, weight) for member, weight in zip(members, weights, strict=True))
    if tables is None and manifest is None:
        return EnsembleResult(path=save(model, card, target), card=read_card(target), weights=counted, notes=_RAW)
    answers = _mixed_answers(tables, weights, mean, card) if tables else listen.to_model(model, card)
    source = manifest.source if manifest else ", ".join(str(file) for file in scores)
    done = recalibrated(model, card, answers, source=source)
    return EnsembleResult(
        path=save(done.model, done.card, target),
        card=read_card(target),
        weights=counted,
        reliability=done.after,
        notes=(*(manifest.notes if manifest else ()), *done.notes),
    )


_RAW = ("Not calibrated: give clips that no member was trained on (--data), or their out-of-fold scores (--scores).",)


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """Out-of-fold scores of the members: (members, clips, labels) in the ensemble's order, and the truth.

    Clips of one fold belong together, for a source lies in one; where the table knows no folds, those of one file do.
    """

    scores: NDArray[np.float32]
    targets: NDArray[np.float32]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Listener:
    """Asks models about the clips of a manifest."""

    manifest: Manifest | None
    threads: int | None
    progress: Callable[[int, int], None] | None

    def to_file(self, path: Path) -> Answers:
        """Return what a model file answers."""
        assert self.manifest is not None, "checked before"
        return ask_clips(Classifier.load(path, threads=self.threads), self.manifest, self.progress)

    def to_model(self, model: onnx.ModelProto, card: ModelCard) -> Answers:
        """Return what a model answers that is not a file yet."""
        with TemporaryDirectory() as folder:
            return self.to_file(save(model, card, Path(folder) / "ensemble.onnx"))


def _check(method: str, models: Sequence[Any], data: Any, scores: Sequence[Any]) -> None:
    if method not in METHODS:
        raise OptionError(f"method {method!r} is not known; allowed: {', '.join(METHODS)}")
    if isinstance(models, str | os.PathLike):
        raise OptionError(f"models is the single {models!r}: give a list of two or more")
    if data is not None and scores:
        raise OptionError("data and scores were both given: clips to hear, or what was said about them, not both")
    if method == "fitted" and data is None and not scores:
        raise OptionError("method 'fitted' needs clips that no member was trained on: give data, or scores")
    if scores and len(scores) != len(models):
        raise OptionError(f"{len(scores)} tables of scores for {len(models)} models: give one for each, in their order")


def _members(models: Sequence[str | os.PathLike[str]]) -> tuple[list[_Member], Plan]:
    paths = [default_hub().resolve(model) for model in models]
    for path in paths:
        if path.suffix.lower() != ".onnx":
            raise ModelFormatError(f"{path.name} cannot join an ensemble: only graphs of .onnx files can become one")
    cards = [read_card(path) for path in paths]
    plan = reconcile(cards)
    columns = (list(part.columns) for part in plan.parts)
    return [_Member(*member) for member in zip(paths, cards, columns, strict=True)], plan


def _tables(members: Sequence[_Member], paths: Sequence[str | os.PathLike[str]]) -> _Tables | None:
    if not paths:
        return None
    names = [[member.card.labels[column].name for column in member.columns] for member in members]
    scores, first = align([read_scores(path) for path in paths], names)
    return _Tables(scores, first.targets, first.folds or tuple(path for path, _ in first.clips))


def _weights(method: Method, members: Sequence[_Member], tables: _Tables | None, listen: _Listener) -> list[float]:
    """Return equal weights, or those of the highest likelihood."""
    if method != "fitted":
        return [1 / len(members)] * len(members)
    card = members[0].card
    background = any(member.card.background for member in members)
    if tables is None:
        answers = [listen.to_file(member.path) for member in members]
        scores = np.stack(list(_in_order(members, answers)))
        targets = answers[0].targets[:, members[0].columns]
    else:
        scores, targets = tables.scores, tables.targets
    return [float(weight) for weight in fit_weights(scores, targets, task=card.task, background=background)]


def _in_order(members: Sequence[_Member], answers: Sequence[Answers]) -> Iterator[NDArray[np.float32]]:
    for member, answer in zip(members, answers, strict=True):
        yield answer.scores[:, member.columns]


def _mixed_answers(tables: _Tables, weights: Sequence[float], mean: Mean, card: ModelCard) -> Answers:
    """Return what the ensemble would have answered about the clips of the tables, of which no frames are known."""
    scores = mixed(list(tables.scores), weights, mean, task=card.task, background=card.background)
    return Answers(
        scores=scores,
        targets=tables.targets,
        frames=tuple(row[None] for row in scores),
        edges=(),
        events=(),
        groups=tables.groups,
    )
