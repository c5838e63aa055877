"""Training: a folder of labelled clips becomes a calibrated one-file model."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from earmark.data.duplicates import duplicate_notes
from earmark.data.manifest import Manifest
from earmark.data.readers import as_manifest
from earmark.errors import ManifestError
from earmark.evaluation.outcome import Outcome
from earmark.model.card import NONE_OF_THESE, ModelCard
from earmark.model.modelfile import read_card, save, writable_model
from earmark.training.finishing import Finished, Naming, finish
from earmark.training.pace import Pace
from earmark.training.recipebook import DEFAULT_RECIPE, Recipe, WholeRecipe, recipe_and_run
from earmark.training.run import Run, is_first_process


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainResult:
    """A trained model and what is known about it.

    Parameters
    ----------
    path : Path
        The model file.
    card : ModelCard
        As it stands in the file.
    held_out : Outcome
        Measured on clips that the model, or its twins in cross-validation, had not seen.
    seconds : float
        How long it took.
    failures : tuple of (str, str)
        Clips that could not be read, and why.
    """

    path: Path
    card: ModelCard
    held_out: Outcome
    seconds: float
    failures: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data."""
        return {
            "model": str(self.path),
            "name": self.card.name,
            "labels": [label.name for label in self.card.labels],
            "task": self.card.task,
            "seconds": round(self.seconds, 3),
            "novelty_threshold": self.card.novelty_threshold,
            "held_out": self.held_out.to_dict(),
            "failures": [{"file": file, "error": error} for file, error in self.failures],
        }


def train(
    data: str | Path | Manifest,
    output: str | os.PathLike[str] = "model.onnx",
    *,
    recipe: str = DEFAULT_RECIPE,
    layout: str | None = None,
    audio: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    name: str | None = None,
    version: str = "1",
    licence: str = "unknown",
    **options: Any,
) -> TrainResult:
    """Train a model on labelled clips and write it as one file, calibrated, that can say "none of these".

    Clips that the data set sets apart for testing (``split`` is ``test``) are left alone.

    Parameters
    ----------
    data : path or Manifest
        A folder with a folder for each class, a CSV, or a data set that earmark knows; see `read_manifest`.
    output : path
        Where the model goes; ends in ``.onnx``.
    recipe : str
        ``head``, ``finetune``, ``cnn``, ``wave``, ``attention`` or ``anomaly``.
    layout, audio, columns
        As `read_manifest` takes them.
    name, version, licence : str
        For the card; the name is the file's by default.
    **options
        Fields of `Run` (``seed``, ``folder``, ``max_time_seconds``, ...) and of the recipe (``backbone``, ``epochs``,
        ...).

    Returns
    -------
    TrainResult
        The path, the card, and measures on held-out clips.

    Raises
    ------
    DataError, OptionError, TrainingError, OutputError, AudioError, MissingExtraError
        Each says what to do.

    Notes
    -----
    Where several devices or nodes train together, each has a process that comes by here; the first writes the file.
    """
    began = time.monotonic()
    chosen, run = recipe_and_run(recipe, options)
    target = writable_model(output)
    manifest = read_clips(data, run, layout=layout, audio=audio, columns=columns)
    own = without_tests(manifest)
    run.report(f"training {recipe} on {len(own):,} clips, {len(own.labels)} classes")
    finished = _finished(chosen, own, run, Naming(name=name or target.stem, version=version, licence=licence))
    card = finished.card
    if is_first_process():
        card = read_card(save(finished.model(), card, target))
    return TrainResult(
        path=target,
        card=card,
        held_out=finished.held_out,
        seconds=time.monotonic() - began,
        failures=manifest.left_out,
    )


def _finished(recipe: Recipe, manifest: Manifest, run: Run, naming: Naming) -> Finished:
    """Train, calibrate and describe."""
    if isinstance(recipe, WholeRecipe):
        return recipe.finish(manifest, run, naming)
    manifest.require_trainable()
    return finish(recipe.fit(manifest, run), manifest, run, naming)


def read_clips(data: str | Path | Manifest, run: Run, **how: Any) -> Manifest:
    """Return the clips to learn from, with a note where files are there twice; notes are reported.

    Parameters
    ----------
    data : path or Manifest
        The clips.
    run : Run
        Its `report` gets lines of progress, and the notes.
    **how
        ``layout``, ``audio`` and ``columns``, as `read_manifest` takes them.

    Raises
    ------
    ManifestError
        If they cannot be read, or one of the labels is kept for what a model does not know.
    """
    manifest = as_manifest(data, progress=Pace(run.report, "checked", "files"), **how)
    if NONE_OF_THESE.id in manifest.labels:
        raise ManifestError(
            f"{manifest.source} has the class {NONE_OF_THESE.id!r}, which is what a model answers to unknown sound: "
            "give the class another name, or call the folder background if it is what the other classes are not"
        )
    noted = replace(manifest, notes=(*manifest.notes, *duplicate_notes(manifest)))
    for note in noted.notes:
        run.report(f"note: {note}")
    return noted


def without_tests(manifest: Manifest) -> Manifest:
    """Return the manifest without the clips that its data set keeps for testing."""
    kept = [index for index, clip in enumerate(manifest.clips) if clip.split != "test"]
    return manifest if len(kept) == len(manifest) else manifest.select(kept)
