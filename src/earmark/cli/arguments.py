"""Arguments held against what they are for, before the work that they belong to and not after it."""

import shlex
from pathlib import Path

from earmark.errors import OptionError, OutputError

_LISTS = (".csv", ".tsv")


def check_places(*, scores: str | None = None, report: str | None = None) -> None:
    """Refuse files that cannot be written.

    Raises
    ------
    OptionError
        If a name does not end as such a file's does.
    OutputError
        If there is no such folder.
    """
    if scores:
        from earmark.evaluation.outcome import check_scores_file

        check_scores_file(scores)
    if report and Path(report).suffix.lower() not in (".html", ".htm"):
        raise OptionError(f"--report {report} is a page: let its name end in .html")
    for path in filter(None, (scores, report)):
        if not Path(path).parent.is_dir():
            raise OutputError(f"there is no folder {Path(path).parent}: make it, or choose another place for {path}")


def check_order(command: str, model: str, data: str) -> None:
    """Refuse a model and labelled clips given the wrong way round.

    Raises
    ------
    OptionError
        If the one looks like clips and the other does not, or the other like a model and the one does not.
    """
    if (_holds_clips(model) and not _holds_clips(data)) or (_is_model(data) and not _is_model(model)):
        right = shlex.join(["earmark", command, data, model])
        raise OptionError(f"model {model} and data {data} look swapped: the model comes first, `{right}`")


def _holds_clips(text: str) -> bool:
    return Path(text).is_dir() or text.lower().endswith(_LISTS)


def _is_model(text: str) -> bool:
    from earmark.model.registry import MODEL_SUFFIXES

    return text.lower().endswith(MODEL_SUFFIXES)
