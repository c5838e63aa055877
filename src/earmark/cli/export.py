"""The command that writes a model for phones, browsers and other runtimes."""

import json
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option

from earmark.cli import options
from earmark.cli.messages import complain, end_with_failures
from earmark.cli.progress import ProgressBar
from earmark.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from earmark.export.loss import Decided, Loss
    from earmark.export.outcome import Export
    from earmark.export.parity import Parity


def export(
    model: Annotated[
        str, Argument(metavar="MODEL", show_default=False, help="A name of `earmark models list`, or an .onnx file.")
    ],
    *,
    to: Annotated[
        Literal["tflite", "onnx", "web"],
        Option("--to", show_default=False, help="LiteRT and MediaPipe; ONNX in fewer bits; a page for browsers."),
    ],
    output: Annotated[
        str | None,
        Option("-o", "--output", metavar="PATH", help="The new file, or folder; by default named after the model."),
    ] = None,
    precision: Annotated[
        str | None,
        Option(
            "--precision",
            metavar="NAME",
            help="float32, float16, int8, and for tflite dynamic (weights in eight bits); by default the model's own.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        Option("--seconds", metavar="SECONDS", help="Length of a .tflite file's input; by default one frame, or 1 s."),
    ] = None,
    calibrate_with: Annotated[
        str | None,
        Option("--calibrate-with", metavar="DATA", help="Recordings to measure activations on, for int8."),
    ] = None,
    measure_on: Annotated[
        str | None,
        Option("--measure-on", metavar="DATA", help="Labelled clips to measure what is lost on."),
    ] = None,
    names: Annotated[
        list[str] | None,
        Option("--names", metavar="LOCALE=FILE", help="The labels' names in a language, one a line. Repeatable."),
    ] = None,
    author: Annotated[
        str | None, Option("--author", metavar="NAME", help="For the metadata of a .tflite file.")
    ] = None,
    runtime: Annotated[
        str | None,
        Option("--runtime", metavar="FOLDER", help="An installed onnxruntime-web; by default npm fetches it."),
    ] = None,
    threads: options.Threads = None,
    as_json: Annotated[bool, Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Write a model for phones, browsers or other runtimes.

    The new file is held against the model first, on test signals and on the clips of --measure-on: one that disagrees
    is not written. `earmark verify` proves it again, anywhere.
    """
    locales = _locales(names or ())
    from earmark.export.export import export as write

    stage = ["looking at the model"]

    def describe(done: int, total: int | None, seconds: float) -> str:
        return f"{stage[0]}: {done} of {total} clips" if total else f"{stage[0]}, {seconds:.0f} s"

    with ProgressBar(describe) as bar:

        def report(what: str, done: int, total: int) -> None:
            stage[0] = what
            bar.update(done, total or None)

        made = write(
            model,
            output,
            to=to,
            precision=precision,
            seconds=seconds,
            calibrate_with=calibrate_with,
            measure_on=measure_on,
            names=locales,
            author=author,
            runtime=runtime,
            threads=threads,
            report=report,
        )
    for note in made.notes:
        complain(note)
    if as_json:
        print(json.dumps(made.to_dict(), ensure_ascii=False))
    else:
        _print(made)
    end_with_failures(made.failures, written=str(made.path))


def _locales(names: "Sequence[str]") -> dict[str, str]:
    pairs = [name.partition("=") for name in names]
    wrong = [name for name, (locale, _, path) in zip(names, pairs, strict=True) if not (locale and path)]
    if wrong:
        raise OptionError(f"--names {wrong[0]} is not understood: give LOCALE=FILE, such as de=names.txt")
    twice = [locale for locale, _, _ in pairs if [other for other, _, _ in pairs].count(locale) > 1]
    if twice:
        raise OptionError(f"--names gives the locale {twice[0]!r} twice: give one file for it")
    return {locale: path for locale, _, path in pairs}


def _print(made: "Export") -> None:
    card, rate = made.card, f"{made.card.sample_rate:,} Hz"
    takes = rate if made.samples is None else f"{made.samples / card.sample_rate:g} s at {rate}"
    size = f"{made.size_bytes / 1e6:.2f} MB, {made.source_size_bytes / made.size_bytes:.1f} times smaller"
    if made.source_size_bytes < 1.05 * made.size_bytes:
        size = f"{made.size_bytes / 1e6:.2f} MB"
    print(f"{made.path}  {card.name} {card.version}: {made.precision}, {takes}, {len(card.labels)} labels, {size}")
    print(f"  scores of {_parity_words(made.parity, 'test signals')}")
    if made.heard is not None:
        print(f"  scores of {_parity_words(made.heard, 'recordings')}")
    if made.loss is not None:
        print(f"  {_loss_line(made.loss, in_windows=made.samples is not None)}")
    if made.loss is not None and made.loss.decided is not None:
        print(f"  {_decided_line(made.loss.decided, in_windows=made.samples is not None)}")
    print(f"  verified: outputs differ by {made.verified.largest:.2g}, allowed {made.verified.tolerance:.2g}")


def _parity_words(parity: "Parity", sounds: str) -> str:
    apart, same = f"{parity.largest:.2g}", f"{parity.agreement:.0%}"
    return f"{parity.sounds} {sounds} differ by {apart} at most; best class the same for {same}"


def _decided_line(decided: "Decided", *, in_windows: bool) -> str:
    whole = f"{decided.model:.1%} of the model, " if in_windows else ""
    where = "of the model in such windows" if in_windows else "of the model"
    return (
        f"with none of these as an answer, balanced accuracy: {whole}{decided.windows:.1%} {where}, "
        f"{decided.exported:.1%} of the new file"
    )


def _loss_line(loss: "Loss", *, in_windows: bool) -> str:
    figure = {"accuracy": "accuracy", "mean_average_precision": "mean average precision"}[loss.measure]
    whole = f"{loss.model:.1%} of the model, " if in_windows else ""
    where = "of the model in such windows" if in_windows else "of the model"
    lost = f"{100 * loss.lost:.1f} points lost" if loss.lost >= 0 else f"{-100 * loss.lost:.1f} points gained"
    return (
        f"{figure} on {loss.clips} clips: {whole}{loss.windows:.1%} {where}, {loss.exported:.1%} of the new file "
        f"({lost}); best class the same for {loss.parity.agreement:.1%}"
    )
