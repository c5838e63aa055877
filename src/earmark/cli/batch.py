"""One question about many recordings: ask it, write the answers as they come, report what failed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import typer

from earmark.cli.messages import INPUT_FAILED, report_failures
from earmark.cli.progress import ProgressBar, count_files

if TYPE_CHECKING:
    from earmark.cli.inputs import Input
    from earmark.inference.results import Failure

Answers: TypeAlias = Iterable[Any]
"""Results, or reports, and a Failure for every input that gave none."""


@dataclass(frozen=True, slots=True)
class Writer:
    """What takes the answers.

    Parameters
    ----------
    write : callable
        Writes each answer as soon as it comes.
    on_screen : bool
        Whether they appear on a terminal, so that they show by themselves how far it is.
    for_people : bool
        Whether they are a table on standard output, which somebody reads.
    """

    write: Callable[[Answers], None]
    on_screen: bool = False
    for_people: bool = False


def ask(
    method: Callable[..., Iterator[Any]], inputs: "Sequence[Input | Failure]", writer: Writer, **options: Any
) -> None:
    """Ask `method`, such as `Classifier.classify_many`, about all inputs and write its answers in their order.

    Raises
    ------
    typer.Exit
        With status 1 if an input failed.
    """
    from earmark.inference.results import Failure

    failures: list[Failure] = []
    answers = method([item.source for item in inputs if not isinstance(item, Failure)], **options)

    def in_order() -> Iterator[Any]:
        for item in inputs:  # one that failed before it could be asked about keeps its place
            answer = item if isinstance(item, Failure) else next(answers)
            if isinstance(answer, Failure):
                failures.append(answer)
            yield answer

    with ProgressBar(count_files, total=len(inputs) if len(inputs) > 1 else None) as bar:
        writer.write(bar.count(in_order(), until_first=writer.on_screen))
    report_failures(failures, len(inputs))
    if failures:
        raise typer.Exit(INPUT_FAILED)
