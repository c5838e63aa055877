"""Calibrating a finished model file on labelled clips: a new file with further nodes and fitted thresholds."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earmark.data.manifest import Manifest
from earmark.data.readers import as_manifest
from earmark.errors import LabelError, ModelFormatError
from earmark.inference.classifier import Classifier
from earmark.model.card import ModelCard
from earmark.model.hub import default_hub
from earmark.model.modelfile import read_card, save, writable_model
from earmark.training.answers import Answers, ask_clips
from earmark.training.calibration import Method, fit_calibration
from earmark.training.calibrationgraph import add_calibration
from earmark.training.reliability import Reliability
from earmark.training.rules import fit_rule
from earmark.training.thresholds import Wanted

if TYPE_CHECKING:
    import onnx

_SEEN = "The model was trained on this very list: it is surer of these clips than of others, and so are these figures."

CROSS_PARTS = 5
"""Parts of the clips, each measured after a calibration on the others."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibrateResult:
    """A model file that was calibrated, and what that changed.

    Parameters
    ----------
    path : Path
        The new file.
    card : ModelCard
        As it stands in the file.
    calibration : dict
        The map that was added; see `earmark.training.scalings`.
    clips : int
        How many were learned from.
    before, after : Reliability
        Of these clips' scores as the model gave them, and calibrated, each by what was fitted without its source.
    notes : tuple of str
        What could not be had, such as a wanted precision.
    failures : tuple of (str, str)
        Clips that could not be read, and why.
    """

    path: Path
    card: ModelCard
    calibration: dict[str, Any]
    clips: int
    before: Reliability
    after: Reliability
    notes: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data."""
        return {
            "model": str(self.path),
            "name": self.card.name,
            "clips": self.clips,
            "calibration": self.calibration,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "notes": list(self.notes),
            "failures": [{"file": file, "error": error} for file, error in self.failures],
        }


def calibrate(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str] | Manifest,
    output: str | os.PathLike[str],
    *,
    method: Method = "auto",
    precision: float | None = None,
    recall: float | None = None,
    layout: str | None = None,
    audio: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CalibrateResult:
    """Calibrate a model on labelled clips that it was not trained on, and write it as a new file.

    The scores become probabilities by nodes at the end of the graph, thresholds are fitted and go into the card, and
    where the clips have strong labels smoothing and durations do too.

    Parameters
    ----------
    model : str or path
        A name, or an ``.onnx`` file.
    data : path or Manifest
        Labelled clips, as `earmark.data.readers.read_manifest` takes them.
    output : path
        Where the new file goes; ends in ``.onnx``; may be the old one.
    method : {"auto", "temperature", "platt", "isotonic"}
        See `earmark.training.calibration.fit_calibration`.
    precision, recall : float, optional
        What each class's threshold is to reach; by default the best F1.
    layout, audio, columns
        As `read_manifest` takes them.
    threads : int, optional
        How many clips are heard side by side.
    progress : callable, optional
        Gets how many clips are heard, and how many there are.

    Raises
    ------
    LabelError
        If labels of data and model do not match.
    DataError, ModelError, OptionError, OutputError
        Each says what to do.
    """
    wanted = Wanted(precision=precision, recall=recall)
    target = writable_model(output)
    path = default_hub().resolve(model)
    if path.suffix.lower() != ".onnx":
        raise ModelFormatError(f"{path.name} cannot be calibrated: only the graph of an .onnx file takes further nodes")
    import onnx

    classifier = Classifier.load(path, threads=threads)
    manifest = as_manifest(data, layout=layout, audio=audio, columns=columns)
    answers = ask_clips(classifier, manifest, progress)
    done = recalibrated(onnx.load(path), classifier.card, answers, method=method, wanted=wanted, source=manifest.source)
    seen = (_SEEN,) if manifest.digest() in classifier.card.training_data else ()
    return CalibrateResult(
        path=save(done.model, done.card, target),
        card=read_card(target),
        calibration=done.calibration,
        clips=len(answers.scores),
        before=done.before,
        after=done.after,
        notes=(*manifest.notes, *seen, *done.notes),
        failures=(*manifest.left_out, *answers.failures),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Recalibrated:
    """A graph with calibration nodes, its card, and how it came about; fields as in `CalibrateResult`."""

    model: "onnx.ModelProto"
    card: ModelCard
    calibration: dict[str, Any]
    before: Reliability
    after: Reliability
    notes: tuple[str, ...] = field(default_factory=tuple)


def recalibrated(
    model: "onnx.ModelProto",
    card: ModelCard,
    answers: Answers,
    *,
    method: Method = "auto",
    wanted: Wanted | None = None,
    source: str = "",
) -> Recalibrated:
    """Return a graph and its card calibrated on answers of that very graph."""
    _check_covered(card, answers)
    how: dict[str, Any] = {"task": card.task, "method": method, "background": card.background}
    calibration = fit_calibration(answers.scores, answers.targets, **how)
    before = Reliability.of(answers.scores, answers.targets, card.task)
    after = Reliability.of(_cross_calibrated(answers, how), answers.targets, card.task)
    rule = fit_rule(
        [calibration.apply(frames) for frames in answers.frames],
        answers.targets,
        card.labels,
        wanted=wanted,
        edges=answers.edges,
        events=answers.events,
        frame_hop_seconds=card.frame_hop_seconds,
    )
    facts = {"data": source, "clips": len(answers.scores), **calibration.to_dict()}
    measured = {"before": before.to_dict(), "after": after.to_dict(), "data": source, "clips": len(answers.scores)}
    told = f"calibrated on {source}, {len(answers.scores):,} clips"
    changed = replace(
        card,
        calibrated=True,
        decision=rule.rule,
        metrics={**card.metrics, "calibration": measured},
        training={**card.training, "recalibration": [*card.training.get("recalibration", ()), facts]},
        training_data=f"{card.training_data}; {told}" if card.training_data else told,
    )
    return Recalibrated(
        model=add_calibration(model, calibration),
        card=changed,
        calibration=calibration.to_dict(),
        before=before,
        after=after,
        notes=(*_warnings(len(answers.scores), before, after), *rule.notes),
    )


def _warnings(clips: int, before: Reliability, after: Reliability) -> Iterator[str]:
    """Say where calibrating did no good."""
    if after.log_loss > before.log_loss:
        yield (
            f"The scores got worse: log loss {before.log_loss:.3f} before, {after.log_loss:.3f} after on clips that "
            f"took no part. {clips:,} clips are too few, or the model was calibrated well: keep the old file."
        )


def _check_covered(card: ModelCard, answers: Answers) -> None:
    """Refuse clips that say nothing about a class of its own: it would be called calibrated all the same."""
    if card.task == "single-label":
        return
    lacking = [card.labels[column].name for column in np.flatnonzero(answers.targets.sum(axis=0) == 0)]
    if lacking:
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        raise LabelError(
            f"no clip has the label {', '.join(map(repr, lacking[:5]))}{more}: "
            "calibrating a multi-label model needs some of each; add clips"
        )


def _cross_calibrated(answers: Answers, how: dict[str, Any]) -> NDArray[np.float32]:
    """Return each clip's scores after a calibration fitted without its source, if there is another."""
    _, sources = np.unique(np.asarray(answers.groups), return_inverse=True)
    part = np.random.default_rng(0).permutation(int(sources.max()) + 1)[sources] % CROSS_PARTS
    scores = np.empty_like(answers.scores)
    for number in np.unique(part):
        here = part == number
        others = ~here if not here.all() else here
        fitted = fit_calibration(answers.scores[others], answers.targets[others], **how)
        scores[here] = fitted.apply(answers.scores[here])
    return scores
