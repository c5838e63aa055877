"""The command that measures a model on labelled clips."""

import json
from typing import Annotated, Literal

from typer import Argument, Option

from earmark.cli import options, trainoptions
from earmark.cli.arguments import check_order, check_places
from earmark.cli.messages import end_with_failures
from earmark.cli.optiongroups import with_groups
from earmark.cli.outcome import print_outcome, with_command_line
from earmark.cli.progress import ProgressBar


@with_groups
def evaluate(
    model: Annotated[
        str,
        Argument(
            metavar="MODEL", show_default=False, help="A name of `earmark models list`, an .onnx or a .tflite file."
        ),
    ],
    data: trainoptions.Data,
    *,
    reading: trainoptions.ReadingOptions,
    split: Annotated[
        str | None, Option("--split", metavar="NAME", help="Only this part of the data, such as test; by default all.")
    ] = None,
    unknown: Annotated[
        Literal["refuse", "none"],
        Option("--unknown", help="Labels that the model does not have: an error, or sound that is none of its labels."),
    ] = "refuse",
    rule: options.RuleFile = None,
    collar: Annotated[
        float, Option("--collar", min=0.0, metavar="SECONDS", help="How far an event's onset may be off.")
    ] = 0.2,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    scores: Annotated[
        str | None,
        Option("--scores", metavar="FILE", help="Write every clip's scores: a .parquet or .csv file."),
    ] = None,
    report: Annotated[str | None, Option("--report", metavar="FILE.html", help="Write a page about it.")] = None,
    as_json: Annotated[bool, Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Measure a model on labelled clips that it has not seen.

    Clips are scored as classify and events score them. Where the data says when each label is heard, events are
    measured too. The page of --report shows where the model fails, with the sounds to hear.
    """
    check_order("evaluate", model, data)
    check_places(scores=scores, report=report)
    from earmark.cli.rule import decision_rule
    from earmark.evaluation.evaluate import evaluate as measure
    from earmark.evaluation.report import write_report
    from earmark.inference.classifier import Classifier

    classifier = Classifier.load(model, threads=threads, device=device)
    with ProgressBar(_count_clips) as bar:
        outcome = measure(
            classifier,
            data,
            split=split,
            unknown=unknown,
            rule=decision_rule(classifier.card.decision, rule),
            collar_seconds=collar,
            progress=bar.update,
            **reading.chosen(),
        )
    outcome = with_command_line(outcome)
    if scores:
        outcome.write_scores(scores)
    if report:
        write_report(outcome, report)
    if as_json:
        print(json.dumps(outcome.to_dict()))
    else:
        print_outcome(outcome)
    end_with_failures(outcome.failures)


def _count_clips(done: int, total: int | None, seconds: float) -> str:
    """Return such as ``120 of 2000 clips, 31.2 a second``; before the first, that files are looked at."""
    return f"{done} of {total} clips, {done / seconds:.1f} a second" if done else "looking at the files"
