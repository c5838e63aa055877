"""The command that makes a model's scores probabilities."""

import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from earmark.cli import trainoptions as options
from earmark.cli.arguments import check_order
from earmark.cli.messages import end_with_failures
from earmark.cli.optiongroups import with_groups
from earmark.cli.options import Threads
from earmark.cli.progress import ProgressBar, count_files

if TYPE_CHECKING:
    from earmark.training.recalibration import CalibrateResult
    from earmark.training.reliability import Reliability

Output = Annotated[
    str, typer.Option("-o", "--output", metavar="FILE.onnx", show_default=False, help="Where the new file goes.")
]


@with_groups
def calibrate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", show_default=False, help="A name, or an .onnx file; it stays as it is.")
    ],
    data: options.Data,
    output: Output,
    *,
    method: Annotated[
        Literal["auto", "temperature", "platt", "isotonic"],
        typer.Option("--method", help="temperature for single-label models, platt or isotonic for multi-label ones."),
    ] = "auto",
    precision: Annotated[
        float | None,
        typer.Option("--precision", metavar="SHARE", help="Thresholds of this precision; by default of the best F1."),
    ] = None,
    recall: Annotated[
        float | None, typer.Option("--recall", metavar="SHARE", help="Thresholds of this recall.")
    ] = None,
    reading: options.ReadingOptions,
    threads: Threads = None,
    as_json: options.Json = False,
) -> None:
    """Make a model's scores probabilities, and fit its thresholds.

    It takes labelled clips that the model was not trained on. A score of 0.8 then means: right in eight cases of ten.
    The new file is the model with a few more nodes; its card has the thresholds.
    """
    check_order("calibrate", model, data)
    from earmark.training.recalibration import calibrate as calibrate_file

    with ProgressBar(count_files) as bar:
        result = calibrate_file(
            model,
            data,
            output,
            method=method,
            precision=precision,
            recall=recall,
            threads=threads,
            progress=bar.update,
            **reading.chosen(),
        )
    if as_json:
        print(json.dumps(result.to_dict(), ensure_ascii=False))
    else:
        _print(result)
    end_with_failures(result.failures, written=str(result.path))


def _print(result: "CalibrateResult") -> None:
    print(f"{result.path}  {result.card.name}, calibrated on {result.clips:,} clips: {result.calibration['method']}")
    print(f"  before  {_figures(result.before)}")
    print(f"  after   {_figures(result.after)}")
    for note in result.notes:
        print(f"  {note}")


def _figures(reliability: "Reliability") -> str:
    return (
        f"calibration error {reliability.expected_calibration_error:.3f}  log loss {reliability.log_loss:.3f}  "
        f"Brier {reliability.brier:.3f}"
    )
