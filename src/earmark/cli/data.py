"""The command about labelled clips: what there is to learn from, and what is wrong with it."""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import trainoptions as options
from earmark.cli.messages import INPUT_FAILED, complain
from earmark.cli.optiongroups import with_groups
from earmark.cli.progress import ProgressBar, count_files

if TYPE_CHECKING:
    from earmark.data.description import ClassSize, Description
    from earmark.data.duplicates import Duplicates
    from earmark.data.manifest import UnreadableClip

_WIDTH = 80
_LABEL_WIDTH = 40
_SHOWN = 10


@with_groups
def data(
    data: options.Data,
    *,
    reading: options.ReadingOptions,
    near: Annotated[
        bool, typer.Option("--near/--no-near", help="Listen for copies at another rate, level or in another format.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Say what is in labelled clips, and what is wrong with them.

    Classes, counts, seconds, rates; files that cannot be read, copies, labels with too few clips, sources in two folds.
    """
    from earmark.data.description import describe
    from earmark.data.readers import read_manifest

    with ProgressBar(count_files) as bar:
        manifest = read_manifest(data, progress=bar.update, **reading.chosen())
        found = describe(manifest, near=near, progress=bar.update)
    print(json.dumps(found.to_dict()) if as_json else "\n".join(_lines(found)), flush=True)
    _end(found.failures)


def _end(failures: "Sequence[UnreadableClip]") -> None:
    """List what cannot be read, and end as a batch with failures does."""
    for failure in failures:
        file = str(failure.path)
        complain(failure.reason if file in failure.reason else f"{file}: {failure.reason}")
    if failures:
        many = "1 file" if len(failures) == 1 else f"{len(failures)} files"
        complain(f"{many} cannot be used: left out")
        raise typer.Exit(INPUT_FAILED)


def _lines(found: "Description") -> Iterator[str]:
    from earmark.inference.formats.escape import one_line

    yield one_line(f"{found.source}  {found.layout}  {found.task}  {found.clips} clips  {found.seconds:.1f} s")
    for name, fact in _facts(found).items():
        yield from _wrapped(f"{name}: {fact}")
    yield ""
    yield from _table(found)
    troubles = list(_troubles(found))
    if troubles:
        yield ""
    for trouble in troubles:
        yield from _wrapped(one_line(trouble))


def _facts(found: "Description") -> dict[str, str]:
    facts = {
        "rates": _counts(found.rates_hz, " Hz"),
        "channels": _counts(found.channels, ""),
        "folds": _counts(found.folds, "") if found.folds else "none of its own",
        "splits": _counts(found.splits, ""),
        "events": "" if found.events is None else str(found.events),
        "verified": "" if found.verified is None else f"{found.verified} clips",
        "no sound by their names": str(found.ignored or ""),
    }
    if found.folds and not found.official_folds:
        facts["folds"] += "; not every clip has one, so they are not used"
    if found.shortest and found.longest:
        facts["lengths"] = f"{found.shortest.seconds:.2f} to {found.longest.seconds:.2f} s"
    return {name: fact for name, fact in facts.items() if fact}


def _counts(counts: Mapping[int, int] | Mapping[str, int], unit: str) -> str:
    return ", ".join(f"{value}{unit} ({count})" for value, count in counts.items())


def _table(found: "Description") -> Iterator[str]:
    sizes = [*found.classes, found.negatives] if found.negatives.clips else list(found.classes)
    names = [_name(size) for size in sizes]
    width = min(_LABEL_WIDTH, max(len("class"), *(len(name) for name in names)))
    yield f"  {'class':{width}}  {'clips':>6}  {'sources':>7}  {'seconds':>9}"
    for name, size in zip(names, sizes, strict=True):
        yield f"  {name:{width}}  {size.clips:>6}  {size.sources:>7}  {size.seconds:>9.1f}"


def _name(size: "ClassSize") -> str:
    from earmark.inference.formats.escape import one_line

    return one_line(size.label) or "(none of these)"


def _troubles(found: "Description") -> Iterator[str]:
    yield from found.notes
    if found.too_few:
        yield f"too few clips to learn from: {', '.join(found.too_few)}"
    if len(found.classes) + bool(found.negatives.clips) < 2:
        yield "too few classes to learn from: two are needed, or one and a folder background"
    yield from _some(
        [f"source in several folds: {one.source} ({', '.join(one.folds)})" for one in found.shared_sources]
    )
    yield from _some([_duplicates(group) for group in found.duplicates])
    yield from _some([f"silent: {clip}" for clip in found.silent])


def _duplicates(group: "Duplicates") -> str:
    kind = {"exact": "same file", "near": "same sound"}[group.kind]
    notes = []
    if group.contradict:
        notes.append(f"labels differ: {', '.join(group.labels)}{' or none of these' if group.has_negative else ''}")
    if group.leak:
        notes.append(f"in several folds: {', '.join(group.folds)}")
    return f"{kind}: {', '.join(group.clips)}" + "".join(f"; {note}" for note in notes)


def _some(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_SHOWN]
    if len(lines) > _SHOWN:
        yield f"... and {len(lines) - _SHOWN} more of this kind: --json lists all"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
