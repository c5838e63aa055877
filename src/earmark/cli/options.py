"""Options that several commands share, under the names that they have in Python."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from earmark.errors import OptionError

if TYPE_CHECKING:
    from earmark.inference.tagger import Threshold
    from earmark.model.card import ModelCard

DEFAULT_MODEL = "everyday"
"""That of `earmark.inference.classifier`, whose import would make every ``--help`` wait for NumPy."""

_SECONDS = "SECONDS"
_SCORE = "SCORE"

Files = Annotated[
    list[str],
    Argument(metavar="FILE", show_default=False, help="Recordings, videos, or folders of them; - is standard input."),
]
Model = Annotated[
    str, Option("--model", metavar="MODEL", help="A name of `earmark models list`, an .onnx or a .tflite file.")
]
Threads = Annotated[
    int | None,
    Option("--threads", min=1, metavar="N", help="Threads side by side; by default EARMARK_THREADS, else all cores."),
]
Device = Annotated[Literal["cpu", "cuda"], Option("--device", help="Where the model computes.")]

Allow = Annotated[
    list[str] | None,
    Option(
        "--allow",
        metavar="LABELS",
        help="Only these labels: names, ids or wildcards such as '*siren*', with commas between; may be repeated.",
    ),
]
Deny = Annotated[list[str] | None, Option("--deny", metavar="LABELS", help="Not these labels; written as for --allow.")]
Start = Annotated[
    float, Option("--start", min=0.0, metavar=_SECONDS, help="Leave out what comes before this time of the recording.")
]
End = Annotated[
    float | None, Option("--end", min=0.0, metavar=_SECONDS, help="Leave out what comes after; by default nothing.")
]

Novelty = Annotated[
    Literal["reject", "ignore"],
    Option(
        "--novelty", help="Sound that the model finds unknown: answer 'none of these', or with its labels all the same."
    ),
]
NoveltyThreshold = Annotated[
    float | None,
    Option(
        "--novelty-threshold",
        min=0.0,
        max=1.0,
        metavar=_SCORE,
        help="Sound of this novelty or more is unknown; by default as the model's card says.",
    ),
]

On = Annotated[
    float | None,
    Option(
        "--on",
        min=0.0,
        max=1.0,
        metavar=_SCORE,
        help="An event begins where its label's score reaches this; a higher off comes down with it.",
    ),
]
Off = Annotated[
    float | None,
    Option(
        "--off", min=0.0, max=1.0, metavar=_SCORE, help="It ends where the score falls below this; a lower on goes up."
    ),
]
Smoothing = Annotated[
    float | None, Option("--smoothing", min=0.0, metavar=_SECONDS, help="Length of the running median over the scores.")
]
MinDuration = Annotated[
    float | None, Option("--min-duration", min=0.0, metavar=_SECONDS, help="Events shorter than this are dropped.")
]
MergeGap = Annotated[
    float | None,
    Option("--merge-gap", min=0.0, metavar=_SECONDS, help="Events of one label closer than this become one."),
]
RuleFile = Annotated[
    str | None,
    Option(
        "--rule",
        metavar="FILE.json",
        help="A decision rule, as results have it under parameters.rule; by default the one in the model's card.",
    ),
]


def _format_option(names: str) -> Any:
    """Return the option --format of a command that writes forms of these names."""
    return Option("--format", metavar="FORMAT", help=f"{names}; by default as the suffix of -o says, else a table.")


Json = Annotated[bool, Option("--json", help="Write one JSON object per recording and line.")]
Format = Annotated[str | None, _format_option("Table, json, jsonl or csv")]
EventFormat = Annotated[str | None, _format_option("Table, json, jsonl, csv, audacity, raven, rttm or sed-events")]
TimelineFormat = Annotated[str | None, _format_option("Table, json, jsonl, csv or sed-scores")]

_OUTPUT_HELP = "A file, or a folder such as out/ that gets a file for each recording."
Output = Annotated[str | None, Option("-o", "--output", metavar="FILE", help=_OUTPUT_HELP)]
ArrayOutput = Annotated[
    str | None,
    Option("-o", "--output", metavar="FILE", help=f"An .npz or .parquet file for all recordings. Else: {_OUTPUT_HELP}"),
]


def label_entries(given: Sequence[str] | None, card: "ModelCard") -> list[str]:
    """Return the entries of a repeated --allow or --deny, each of which may hold several with commas between.

    Raises
    ------
    OptionError
        If one of them is empty, as a variable of a script may be: it must not mean all labels.
    """
    from earmark.inference.labels import split_labels

    entries = [split_labels(text, card.labels) for text in given or ()]
    if not all(entries):
        raise OptionError("an --allow or --deny is empty: give it a label, or leave the option out")
    return [entry for several in entries for entry in several]


def score_or_card(text: str | None) -> "Threshold | None":
    """Return what a --threshold stands for.

    Raises
    ------
    OptionError
        If it is neither a score in [0, 1] nor the word card.
    """
    if text is None:
        return None
    if text == "card":
        return "card"
    try:
        score = float(text)
    except ValueError:
        score = -1.0
    if not 0.0 <= score <= 1.0:
        raise OptionError(f"--threshold {text} is not allowed: give a score from 0 to 1, or card")
    return score
