"""The command that makes one model of several."""

import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from earmark.cli import trainoptions as options
from earmark.cli.optiongroups import with_groups
from earmark.cli.options import Threads
from earmark.cli.progress import ProgressBar, count_files

if TYPE_CHECKING:
    from earmark.training.ensemble import EnsembleResult


@with_groups
def ensemble(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", show_default=False, help="Two or more names or .onnx files, of the same labels."
        ),
    ],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE.onnx", show_default=False, help="Where the new file goes.")
    ],
    *,
    method: Annotated[
        Literal["mean", "geometric", "fitted"],
        typer.Option("--method", help="How scores are joined; fitted finds weights on --data or --scores."),
    ] = "mean",
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DATA", help="Clips that no member was trained on, to calibrate with."),
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            "--scores",
            metavar="FILE",
            help="Instead: a table of out-of-fold scores for each model, in their order. Repeatable.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="In the card; by default that of the file.")] = None,
    reading: options.ReadingOptions,
    threads: Threads = None,
    as_json: options.Json = False,
) -> None:
    """Make one model of several, that answers with their mean.

    Labels may stand in any order. Different sample rates are resampled inside the graph, frames are laid on one grid;
    what does not fit is refused with the reason.
    """
    from earmark.training.ensemble import ensemble as join_models

    with ProgressBar(count_files) as bar:
        result = join_models(
            models,
            output,
            method=method,
            data=data,
            scores=scores or (),
            name=name,
            threads=threads,
            progress=bar.update,
            **reading.chosen(),
        )
    if as_json:
        print(json.dumps(result.to_dict(), ensure_ascii=False))
    else:
        _print(result)


def _print(result: "EnsembleResult") -> None:
    card = result.card
    print(f"{result.path}  {card.name}: {len(result.weights)} models, {len(card.labels)} labels, {card.sample_rate} Hz")
    for name, weight in result.weights:
        print(f"  {weight:.3f}  {name}")
    if result.reliability is not None:
        print(f"  calibrated: calibration error {result.reliability.expected_calibration_error:.3f}")
    for note in result.notes:
        print(f"  {note}")
