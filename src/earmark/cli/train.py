"""The commands that train: one model, or one for each fold."""

import json
import shlex
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import trainoptions as options
from earmark.cli.arguments import check_places
from earmark.cli.messages import end_with_failures
from earmark.cli.optiongroups import with_groups
from earmark.cli.outcome import print_outcome, with_command_line

if TYPE_CHECKING:
    from earmark.evaluation.outcome import Outcome
    from earmark.training.train import TrainResult


@with_groups
def train(
    data: options.Data,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE.onnx", help="Where the model goes.")
    ] = "model.onnx",
    *,
    recipe: options.RecipeOptions,
    reading: options.ReadingOptions,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="In the card; by default that of the file.")
    ] = None,
    licence: Annotated[
        str, typer.Option("--licence", metavar="LICENCE", help="Of the model, for its card.")
    ] = "unknown",
    run: options.RunOptions,
    report: Annotated[
        str | None, typer.Option("--report", metavar="FILE.html", help="Write a page about the held-out clips.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make a model of your own from labelled clips.

    It is one file, calibrated, with thresholds, and able to say "none of these". The default recipe learns a head on
    the embeddings of a ready model, in a minute. It is measured on clips that were held out, and its card says how.
    """
    check_places(report=report)
    lines = _Lines(recipe.recipe)
    from earmark import train as train_model

    result = train_model(
        data,
        output,
        recipe=recipe.recipe,
        name=name,
        licence=licence,
        report=lines,
        **reading.chosen(),
        **run.chosen(),
        **recipe.chosen(),
    )
    if not _speaks():
        return
    result = replace(result, held_out=with_command_line(result.held_out))
    _write_report(result.held_out, report)
    if as_json:
        print(json.dumps(result.to_dict(), ensure_ascii=False))
    else:
        _print_model(result)
    end_with_failures(result.failures, written=str(result.path))


@with_groups
def crossval(
    data: options.Data,
    *,
    recipe: options.RecipeOptions,
    reading: options.ReadingOptions,
    folds: Annotated[
        int | None,
        typer.Option("--folds", min=2, metavar="N", help="Where the data has none of its own; by default 5."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="FOLD", help="Only this fold; repeatable.")
    ] = None,
    run: options.RunOptions,
    scores: Annotated[
        str | None,
        typer.Option("--scores", metavar="FILE", help="Write every clip's scores: a .parquet or .csv file."),
    ] = None,
    report: Annotated[str | None, typer.Option("--report", metavar="FILE.html", help="Write a page about it.")] = None,
    as_json: options.Json = False,
) -> None:
    """Measure a recipe: train and test it on folds in turn.

    Every clip is scored by a model that has never seen its fold. The data's own folds are used where it has them; else
    folds that never split a source.
    """
    check_places(scores=scores, report=report)
    lines = _Lines(recipe.recipe)
    from earmark import crossval as cross_validate

    outcome = cross_validate(
        data,
        recipe=recipe.recipe,
        folds=folds,
        only=only or (),
        report=lines,
        **reading.chosen(),
        **run.chosen(),
        **recipe.chosen(),
    )
    if not _speaks():
        return
    outcome = with_command_line(outcome)
    if scores:
        outcome.write_scores(scores)
    _write_report(outcome, report)
    if as_json:
        print(json.dumps(outcome.to_dict(), ensure_ascii=False))
    else:
        print_outcome(outcome)
    end_with_failures(outcome.failures)


def _print_model(result: "TrainResult") -> None:
    """Print how good the model is, and what to do with it."""
    print_outcome(result.held_out)
    print(f"\n{result.path}: {len(result.card.labels)} classes, {result.seconds:.0f} s. Try: ", end="")
    print(f"earmark classify --model {shlex.quote(str(result.path))} FILE")


def _speaks() -> bool:
    """Tell whether this process prints and writes: of several that train together, one does."""
    from earmark.training.run import is_first_process

    return is_first_process()


class _Lines:
    """Lines of progress on standard error, with the time since the beginning; the first tells of what comes next.

    That is the import of scikit-learn or torch, which takes longer than anyone likes to wait without a word.
    """

    def __init__(self, recipe: str) -> None:
        self._silent, self._began = not _speaks(), time.monotonic()
        self(f"loading what the recipe {recipe} needs")

    def __call__(self, line: str) -> None:
        if not self._silent:
            print(f"{time.monotonic() - self._began:7.1f} s  {line}", file=sys.stderr, flush=True)


def _write_report(outcome: "Outcome", path: str | None) -> None:
    if path:
        from earmark.evaluation.report import write_report

        write_report(outcome, path)
