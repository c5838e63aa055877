"""The command that draws a recording."""

from typing import Annotated

from typer import Argument, Option

from earmark.cli import options
from earmark.cli.inputs import repeatable_input
from earmark.cli.messages import complain, hush_matplotlib
from earmark.cli.options import label_entries
from earmark.cli.rule import decision_rule


def show(
    file: Annotated[
        str, Argument(metavar="FILE", show_default=False, help="A recording or a video; - is standard input.")
    ],
    *,
    output: Annotated[
        str, Option("-o", "--output", metavar="PICTURE", show_default=False, help="Ends in .png, .svg or .pdf.")
    ],
    model: options.Model = options.DEFAULT_MODEL,
    top_k: Annotated[
        int, Option("--top-k", min=1, metavar="N", help="So many labels: in the timeline, and among the events.")
    ] = 8,
    allow: options.Allow = None,
    deny: options.Deny = None,
    on: options.On = None,
    off: options.Off = None,
    smoothing: options.Smoothing = None,
    min_duration: options.MinDuration = None,
    merge_gap: options.MergeGap = None,
    rule: options.RuleFile = None,
    novelty: options.Novelty = "reject",
    novelty_threshold: options.NoveltyThreshold = None,
    start: options.Start = 0.0,
    end: options.End = None,
    title: Annotated[str | None, Option("--title", help="In place of the file's name.")] = None,
    width: Annotated[float, Option("--width", metavar="INCHES", help="Of the picture, 2 to 100.")] = 8.0,
    height: Annotated[
        float | None, Option("--height", metavar="INCHES", help="2 to 100; by default what the rows need.")
    ] = None,
    dpi: Annotated[int, Option("--dpi", metavar="N", help="Dots in an inch of a .png, 20 to 1200.")] = 150,
    threads: options.Threads = None,
    device: options.Device = "cpu",
) -> None:
    """Draw a recording: waveform, spectrogram, labels and events.

    The labels are those whose events score highest, then those that score highest at any moment. Needs the extra plot.
    """
    from earmark.inference.classifier import Classifier
    from earmark.inference.overview import overview
    from earmark.inference.picture import Layout, check_picture, save_picture

    check_picture(output)
    hush_matplotlib()
    layout = Layout(top_k=top_k, width_inches=width, height_inches=height, dpi=dpi, title=title)
    classifier = Classifier.load(model, threads=threads, device=device)
    view = overview(
        classifier,
        repeatable_input(file),
        rule=decision_rule(
            classifier.card.decision,
            rule,
            on=on,
            off=off,
            smoothing_seconds=smoothing,
            min_duration_seconds=min_duration,
            merge_gap_seconds=merge_gap,
        ),
        allow=label_entries(allow, classifier.card),
        deny=label_entries(deny, classifier.card),
        start=start,
        end=end,
        novelty=novelty,
        novelty_threshold=novelty_threshold,
    )
    save_picture(view, output, layout)
    for note in view.result.notes:
        complain(f"{view.result.file}: note: {note}")
