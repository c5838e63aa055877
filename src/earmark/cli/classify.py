"""The commands that ask a model about recordings: classify, events, timeline, embed."""

from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from earmark.cli import options
from earmark.cli.batch import Writer, ask
from earmark.cli.inputs import find_inputs
from earmark.cli.messages import introduce
from earmark.cli.options import label_entries, score_or_card
from earmark.cli.rule import decision_rule

if TYPE_CHECKING:
    from earmark.inference.classifier import Classifier


def classify(
    files: options.Files,
    *,
    model: options.Model = options.DEFAULT_MODEL,
    top_k: Annotated[
        int, Option("--top-k", min=0, metavar="N", help="At most so many labels of each recording; 0 for all.")
    ] = 5,
    threshold: Annotated[
        str | None,
        Option(
            "--threshold",
            metavar="SCORE|card",
            help="Only labels that score this or more; card: as much as the model's card asks of each. By default card "
            "where the card has such thresholds of a calibrated multi-label model, else 0.",
        ),
    ] = None,
    allow: options.Allow = None,
    deny: options.Deny = None,
    start: options.Start = 0.0,
    end: options.End = None,
    aggregate: Annotated[
        Literal["mean", "max"],
        Option("--aggregate", help="How the segments of a long recording make one score: their mean, or the highest."),
    ] = "mean",
    novelty: options.Novelty = "reject",
    novelty_threshold: options.NoveltyThreshold = None,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    form: options.Format = None,
    as_json: options.Json = False,
    output: options.Output = None,
) -> None:
    """Say what is heard in each recording.

    Each label has a score from 0 to 1; the highest are shown. A folder stands for the sound and video files in it and
    in the folders inside it. A recording that cannot be read is reported at the end, and the others are done.
    """
    from earmark.cli.output import choose_writer
    from earmark.inference.results import ClipResult

    least = score_or_card(threshold)
    inputs = find_inputs(files)
    writer = choose_writer(ClipResult, inputs, output, form, as_json=as_json)
    classifier = _load(model, threads, device, writer)
    ask(
        classifier.classify_many,
        inputs,
        writer,
        top_k=top_k,
        threshold=least,
        allow=label_entries(allow, classifier.card),
        deny=label_entries(deny, classifier.card),
        start=start,
        end=end,
        aggregate=aggregate,
        novelty=novelty,
        novelty_threshold=novelty_threshold,
    )


def events(
    files: options.Files,
    *,
    model: options.Model = options.DEFAULT_MODEL,
    on: options.On = None,
    off: options.Off = None,
    smoothing: options.Smoothing = None,
    min_duration: options.MinDuration = None,
    merge_gap: options.MergeGap = None,
    rule: options.RuleFile = None,
    allow: options.Allow = None,
    deny: options.Deny = None,
    start: options.Start = 0.0,
    end: options.End = None,
    novelty: options.Novelty = "reject",
    novelty_threshold: options.NoveltyThreshold = None,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    form: options.EventFormat = None,
    as_json: options.Json = False,
    output: options.Output = None,
) -> None:
    """Say what is heard when, in each recording.

    An event has a label, an onset, an offset and the highest score in between. How scores become events is the
    decision rule in the model's card. The options change single numbers of it; a label for which the rule has
    thresholds of its own keeps them. Sound that the model finds unknown is an event of the label 'none of these'.
    """
    from earmark.cli.output import choose_writer
    from earmark.inference.results import EventsResult

    inputs = find_inputs(files)
    writer = choose_writer(EventsResult, inputs, output, form, as_json=as_json)
    classifier = _load(model, threads, device, writer)
    ask(
        classifier.events_many,
        inputs,
        writer,
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


def timeline(
    files: options.Files,
    *,
    model: options.Model = options.DEFAULT_MODEL,
    allow: options.Allow = None,
    deny: options.Deny = None,
    start: options.Start = 0.0,
    end: options.End = None,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    form: options.TimelineFormat = None,
    as_json: options.Json = False,
    output: options.Output = None,
) -> None:
    """Give the score of every label at every moment.

    The table shows the highest of each frame; the other formats hold all.
    """
    from earmark.cli.output import choose_writer
    from earmark.inference.results import TimelineResult

    inputs = find_inputs(files)
    writer = choose_writer(TimelineResult, inputs, output, form, as_json=as_json)
    classifier = _load(model, threads, device, writer)
    ask(
        classifier.timeline_many,
        inputs,
        writer,
        allow=label_entries(allow, classifier.card),
        deny=label_entries(deny, classifier.card),
        start=start,
        end=end,
    )


def embed(
    files: options.Files,
    *,
    model: options.Model = options.DEFAULT_MODEL,
    start: options.Start = 0.0,
    end: options.End = None,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    form: options.Format = None,
    as_json: options.Json = False,
    output: options.ArrayOutput = None,
) -> None:
    """Give embeddings, for a classifier or a search of your own.

    An embedding is what the model knows of a frame before it chooses labels. An .npz file holds embeddings, onset,
    offset and file_index for each frame, and files, seconds and notes for each recording. A .parquet file has a row for
    each frame.
    """
    from earmark.cli.output import choose_writer
    from earmark.inference.results import EmbeddingResult

    inputs = find_inputs(files)
    writer = choose_writer(EmbeddingResult, inputs, output, form, as_json=as_json)
    ask(_load(model, threads, device, writer).embed_many, inputs, writer, start=start, end=end)


def _load(model: str, threads: int | None, device: str, writer: Writer) -> "Classifier":
    """Load the model; one that nobody named is introduced to people, since a table says no more than its name."""
    from earmark.inference.classifier import Classifier

    classifier = Classifier.load(model, threads=threads, device=device)
    if writer.for_people and model == options.DEFAULT_MODEL:
        introduce(classifier.card, model)
    return classifier
