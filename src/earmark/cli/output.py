"""Where results go and in which form: standard output, one file, or a folder with a file for each recording."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import TextIOWrapper
from pathlib import Path, PurePath

from earmark.cli.batch import Answers, Writer
from earmark.cli.inputs import Input
from earmark.cli.messages import complain
from earmark.errors import OptionError, OutputError
from earmark.inference.formats import FORMATS, Format, write_results
from earmark.inference.formats.arrays import ARRAY_WRITERS
from earmark.inference.results import EmbeddingResult, Failure, Result

_HOLDS_NOTES = ("table", "json", "jsonl", "csv")


def choose_writer(
    kind: type[Result], inputs: Sequence[Input | Failure], output: str | None, name: str | None, *, as_json: bool
) -> Writer:
    """Return what writes the answers to these inputs.

    Parameters
    ----------
    kind : type of Result
        What the answers will be.
    inputs : sequence of Input or Failure
        In the order of the answers.
    output : str, optional
        A file, or a folder, which ends in a slash or exists. None for standard output.
    name : str, optional
        The form; by default that of the file's suffix, or a table.
    as_json : bool
        The same as the form ``jsonl``.

    Raises
    ------
    OptionError
        If the form cannot hold such results or so many of them, or results would overwrite an input or each other.
    """
    if as_json and name not in (None, "jsonl"):
        raise OptionError(f"--json and --format {name} contradict each other: give one of them")
    name = "jsonl" if as_json else name
    if output is None:
        form = _form(kind, name or "table", inputs, many=True)
        return Writer(partial(_write_stdout, form), on_screen=sys.stdout.isatty(), for_people=form.name == "table")
    path = Path(output)
    if output.endswith(("/", os.sep)) or path.is_dir():
        form = _form(kind, name or "table", inputs, many=False)
        return Writer(partial(_write_each, form, _paths_inside(path, form.suffix, inputs)))
    _spare_inputs(path, inputs)
    if name is None and kind is EmbeddingResult and path.suffix in ARRAY_WRITERS:
        return Writer(partial(_write_arrays, path))
    return Writer(partial(_write_file, _form(kind, name or _name_by_suffix(path, kind), inputs, many=True), path))


def _form(kind: type[Result], name: str, inputs: Sequence[object], *, many: bool) -> Format:
    """Return the form of that name if it can hold this kind of result, and `many` of them in one file."""
    able = [form.name for form in FORMATS.values() if kind in form.kinds]
    if kind is EmbeddingResult and f".{name}" in ARRAY_WRITERS:
        raise OptionError(f"--format {name} is said by the name of the file: leave it out and give -o NAME.{name}")
    if name not in able:
        raise OptionError(f"--format {name} is not one of those that this command writes: {', '.join(able)}")
    form = FORMATS[name]
    if many and len(inputs) > 1 and not form.many:
        raise OptionError(
            f"--format {name} holds one recording and there are {len(inputs)}: give a folder for the files, -o labels/"
        )
    return form


def _name_by_suffix(path: Path, kind: type[Result]) -> str:
    """Return the first form whose files have that suffix, the longest that fits; a file without one is a table."""
    fitting = [form for form in FORMATS.values() if kind in form.kinds and path.name.endswith(form.suffix)]
    if path.suffix and not fitting:
        raise OptionError(f"-o {path} does not tell by its suffix in which form to write: add --format")
    return max(fitting, key=lambda form: len(form.suffix)).name if fitting else "table"


def _paths_inside(folder: Path, suffix: str, inputs: Sequence[Input | Failure]) -> list[Path | None]:
    """Return the file of each input's result in a folder; None for an input that has failed already."""
    places = [item.place if isinstance(item, Input) else None for item in inputs]
    stems = Counter(place.with_suffix("") for place in places if place)
    paths = [
        None if place is None else folder / _renamed(place, suffix, alone=stems[place.with_suffix("")] == 1)
        for place in places
    ]
    twice = [path for path, count in Counter(filter(None, paths)).items() if count > 1]
    if twice:
        raise OptionError(
            f"the results of {paths.count(twice[0])} recordings would all go to {twice[0]}: "
            "give those of one name to several commands, with a folder for the results of each"
        )
    return paths


def _renamed(place: PurePath, suffix: str, *, alone: bool) -> PurePath:
    """Return ``street.txt`` for ``street.wav``; ``street.wav.txt`` where there is a ``street.mp3`` as well."""
    return place.with_suffix(suffix) if alone else place.with_name(place.name + suffix)


def _spare_inputs(path: Path, inputs: Sequence[Input | Failure]) -> None:
    """Refuse to write over a recording that is to be read."""
    for item in inputs if path.is_file() else ():
        if isinstance(item, Input) and isinstance(item.source, str) and _same_file(path, item.source):
            raise OptionError(f"-o {path} is one of the recordings: give another name for the results")


def _same_file(path: Path, other: str) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):
        return False


def _write_stdout(form: Format, answers: Answers) -> None:
    stream = sys.stdout
    if form.name != "table" and isinstance(stream, TextIOWrapper):
        # what programs read is the same on every platform
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    with writing("to standard output"):
        write_results(_with_notes(form, answers), form.name, stream)


def _write_file(form: Format, path: Path, answers: Answers) -> None:
    with writing(str(path)), path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
        write_results(_with_notes(form, answers), form.name, stream)


def _write_each(form: Format, paths: Sequence[Path | None], answers: Answers) -> None:
    for path, answer in zip(paths, answers, strict=True):
        if path and isinstance(answer, Result):
            with writing(str(path)):
                path.parent.mkdir(parents=True, exist_ok=True)
            _write_file(form, path, [answer])


def _write_arrays(path: Path, answers: Answers) -> None:
    with writing(str(path)):
        ARRAY_WRITERS[path.suffix](answers, path)


def _with_notes(form: Format, answers: Answers) -> Iterator[Result | Failure]:
    """Pass answers on, and say the notes on standard error where the form has no place for them."""
    for answer in answers:
        if isinstance(answer, Result) and form.name not in _HOLDS_NOTES:
            for note in answer.notes:
                complain(f"{answer.file}: note: {note}")
        yield answer


@contextmanager
def writing(where: str) -> Iterator[None]:
    """Turn a failure to write into an OutputError; a reader that left is none."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {where}: {error.strerror or error}") from error
