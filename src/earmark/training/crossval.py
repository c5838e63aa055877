"""Cross-validation: every clip scored by a model that has never seen its fold."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from earmark.data.leaks import require_no_leaks
from earmark.data.manifest import Manifest
from earmark.data.splits import Split, cross_folds
from earmark.errors import OptionError
from earmark.evaluation.evaluate import CLIPS_AND_FRAMES
from earmark.evaluation.outcome import Outcome, summarise
from earmark.training.fold import ScoredFold, score_fold
from earmark.training.recipebook import DEFAULT_RECIPE, WholeRecipe, recipe_and_run
from earmark.training.train import read_clips, without_tests


def crossval(
    data: str | Path | Manifest,
    *,
    recipe: str = DEFAULT_RECIPE,
    layout: str | None = None,
    audio: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    folds: int | None = None,
    only: Sequence[str] = (),
    **options: Any,
) -> Outcome:
    """Train once a fold on the other folds, and score the fold with the finished model: calibrated, novelty and all.

    Nothing of a fold touches the model that scores it: not training, selection, calibration or thresholds. Clips that
    the data set sets apart for testing (``split`` is ``test``) are left alone.

    Parameters
    ----------
    data, recipe, layout, audio, columns, **options
        As `train` takes them.
    folds : int, optional
        How many, where the data set has none of its own; 5 by default.
    only : sequence of str
        Names of the folds to do; all by default.

    Returns
    -------
    Outcome
        Every clip's out-of-fold scores, measures of all clips, their mean and spread over the folds.

    Raises
    ------
    LeakError
        If a source is on both sides of a split and ``force`` is not given.
    DataError, OptionError, TrainingError, AudioError, MissingExtraError
        Each says what to do.
    """
    chosen, run = recipe_and_run(recipe, options)
    if isinstance(chosen, WholeRecipe):
        raise OptionError(f"recipe {recipe!r} knows no classes to cross-validate: `earmark train` tells how good it is")
    everything = read_clips(data, run, layout=layout, audio=audio, columns=columns)
    manifest = without_tests(everything)
    manifest.require_trainable()
    splits = cross_folds(manifest, count=folds, seed=run.seed, force=run.force)
    selected = _selected(splits, only)
    notes = [*require_no_leaks(manifest, splits, force=run.force), *_notes(everything, manifest, splits, selected)]
    kind = "official folds" if all(clip.fold is not None for clip in manifest.clips) else "folds"
    run.report(f"{len(splits)} {kind} of {len(manifest):,} clips, {len(manifest.labels)} classes, recipe {recipe}")
    scored = [score_fold(chosen, manifest, split, run) for split in selected]
    return _gathered(scored, manifest, recipe, notes)


def _selected(splits: Sequence[Split], only: Sequence[str]) -> Sequence[Split]:
    names = [split.name for split in splits]
    unknown = sorted(set(only) - set(names))
    if unknown:
        raise OptionError(f"there is no fold {unknown[0]!r}; the folds are {', '.join(names)}")
    return [split for split in splits if not only or split.name in only]


def _notes(
    everything: Manifest, manifest: Manifest, splits: Sequence[Split], selected: Sequence[Split]
) -> Iterator[str]:
    """Say what there is to know about the clips, and which of them were not scored."""
    yield from everything.notes
    kept_apart = len(everything) - len(manifest)
    if kept_apart:
        yield f"{kept_apart:,} clips that the data set keeps for testing were left alone."
    if len(selected) < len(splits):
        yield f"Of {len(splits)} folds only {', '.join(split.name for split in selected)}."


_FITTED = "The thresholds of each fold are those that its own model has fitted on other clips."


def _gathered(scored: Sequence[ScoredFold], manifest: Manifest, recipe: str, notes: Sequence[str]) -> Outcome:
    """Lay the folds' clips in the order of the manifest and measure them."""
    places = np.concatenate([fold.split.test for fold in scored])
    order = np.argsort(places, kind="stable")
    sizes = [len(fold.split.test) for fold in scored]
    fitted = (_FITTED, CLIPS_AND_FRAMES) if manifest.is_multi_label else ()
    clips = [manifest.clips[place] for place in places[order]]
    return summarise(
        labels=manifest.labels,
        task="multi-label" if manifest.is_multi_label else "single-label",
        targets=manifest.targets()[places[order]],
        scores=np.concatenate([fold.scores for fold in scored])[order],
        thresholds=np.repeat([fold.thresholds for fold in scored], sizes, axis=0)[order],
        folds=np.repeat([fold.split.name for fold in scored], sizes)[order].tolist(),
        model=f"recipe {recipe}, cross-validated",
        clips=tuple(str(clip.path) for clip in clips),
        starts=tuple(clip.start_seconds for clip in clips),
        ends=tuple(clip.end_seconds for clip in clips),
        novelty=np.concatenate([fold.novelty for fold in scored])[order],
        novelty_threshold=np.repeat([fold.novelty_threshold for fold in scored], sizes)[order].astype(np.float32),
        calibrated=all(fold.calibrated for fold in scored),
        data=manifest.source,
        notes=(*notes, *fitted),
        failures=manifest.left_out,
    )
