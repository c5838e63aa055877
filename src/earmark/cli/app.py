"""The command line: every command with its examples, and how a command ends."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO, TextIOWrapper
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from earmark.cli import (
    calibrate,
    check,
    classify,
    data,
    demo,
    ensemble,
    evaluate,
    export,
    listen,
    models,
    serve,
    show,
    train,
)
from earmark.cli.messages import INPUT_FAILED, INTERRUPTED, complain, exit_status
from earmark.errors import EarmarkError


class Commands(TyperGroup):
    """Commands whose errors end as one line and an exit status."""

    def make_context(self, *args: Any, **settings: Any) -> Any:
        """Read the command line; --help and --version are answered here."""
        with _ended_in_one_line():
            return super().make_context(*args, **settings)

    def invoke(self, ctx: Any) -> None:
        """Run the command that was asked for."""
        with _ended_in_one_line():
            super().invoke(ctx)


@contextmanager
def _ended_in_one_line() -> Iterator[None]:
    """Say what went wrong in one line, and end with the exit status for it."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except EarmarkError as error:
        complain(str(error))
        raise typer.Exit(exit_status(error)) from error
    except KeyboardInterrupt:
        _stop()
    except ImportError as error:
        if not _was_interrupted(error):
            raise
        _stop()
    except BrokenPipeError:  # who reads has seen enough, as `head` has
        _leave(0)
    except OSError as error:  # a full disk, most likely; files that cannot be read or written are EarmarkErrors
        complain(f"cannot write {error.filename or 'to standard output'}: {error.strerror or error}")
        _leave(INPUT_FAILED)


def _was_interrupted(error: BaseException) -> bool:
    """Tell whether Ctrl-C is behind an error: a library that it meets at its start says only that it failed."""
    causes = (error.__cause__, error.__context__)
    return any(isinstance(cause, KeyboardInterrupt) or _was_interrupted(cause) for cause in causes if cause is not None)


def _stop() -> NoReturn:
    """End as Ctrl-C asks."""
    print("earmark: stopped", file=sys.stderr)  # `complain` would import NumPy, perhaps half imported now
    _leave(INTERRUPTED)


def _leave(status: int) -> NoReturn:
    """End now, without waiting for threads that are in the middle of a long recording."""
    sys.stderr.flush()
    os._exit(status)


def _group(**settings: Any) -> typer.Typer:
    return typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,  # or every --help would wait for rich
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


def _add(group: typer.Typer, command: Callable[..., None], *examples: str, name: str | None = None) -> None:
    """Add a command with examples at the end of its help."""
    group.command(name, epilog=_examples(*examples))(command)


def _examples(*lines: str) -> str:
    return "\n".join(["\b", "Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)])


def _print_version(wanted: bool) -> None:
    if wanted:
        from earmark import __version__

        print(f"earmark {__version__}")
        raise typer.Exit


app = _group(cls=Commands)


@app.callback(epilog=_examples("earmark classify rain.flac", "earmark events recordings/ --json > events.jsonl"))
def earmark(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Label sound: what is heard in a recording or a live stream, when, and how surely."""


_add(
    app,
    classify.classify,
    "earmark classify rain.flac",
    "earmark classify recordings/ --top-k 3 --json > tags.jsonl",
    "earmark classify street.wav --model yamnet --allow '*siren*,Dog' --end 15",
)
_add(
    app,
    classify.events,
    "earmark events street.wav --on 0.4 --off 0.2 --merge-gap 0.5",
    "earmark events recordings/ --format raven -o labels/",
    "earmark events street.wav --allow dog --format csv -o dog.csv",
)
_add(
    app,
    classify.timeline,
    "earmark timeline street.wav --allow dog",
    "earmark timeline street.wav --format csv -o scores.csv",
)
_add(app, classify.embed, "earmark embed recordings/ -o recordings.npz", "earmark embed rain.flac -o rain.parquet")
_add(
    app,
    listen.listen,
    "earmark listen",
    "ffmpeg -v error -i film.mp4 -f wav - | earmark listen -",
    "earmark listen --allow dog --on 0.6 --webhook http://localhost:8080/events",
)
_add(
    app, show.show, "earmark show street.wav -o street.png", "earmark show street.wav --start 5 --end 15 -o street.pdf"
)
_add(
    app,
    serve.serve,
    "earmark serve",
    "earmark serve --model everyday --model birds.onnx --workers 4",
    "EARMARK_TOKEN=$(openssl rand -hex 32) earmark serve --host 0.0.0.0",
)
_add(app, check.check, "earmark check phone.wav", "earmark check recordings/ --strict --json")
_add(
    app,
    train.train,
    "earmark train clips/ -o birds.onnx",
    "earmark train clips/ --recipe cnn --folder runs/birds -o birds.onnx",
)
_add(
    app,
    train.crossval,
    "earmark crossval clips/ --report report.html",
    "earmark crossval clips/ --recipe head --head svm-rbf --scores scores.parquet",
)
_add(app, data.data, "earmark data clips/", "earmark data clips/ --json > clips.json")
_add(
    app,
    evaluate.evaluate,
    "earmark evaluate my-model.onnx clips/ --report report.html",
    "earmark evaluate yamnet street.csv --collar 1 --json > figures.json",
)

_add(
    app,
    calibrate.calibrate,
    "earmark calibrate birds.onnx clips/ -o calibrated.onnx",
    "earmark calibrate birds.onnx clips/ -o calibrated.onnx --precision 0.9",
)
_add(
    app,
    ensemble.ensemble,
    "earmark ensemble a.onnx b.onnx -o both.onnx",
    "earmark ensemble a.onnx b.onnx -o both.onnx --method fitted --data clips/",
)

_add(
    app,
    export.export,
    "earmark export everyday --to tflite",
    "earmark export birds.onnx --to onnx --precision int8 --calibrate-with clips/",
    "earmark export birds.onnx --to web",
)

models_app = _group()
app.add_typer(
    models_app,
    name="models",
    help="List, fetch, import, verify and remove models.",
    epilog=_examples("earmark models list"),
)
_add(models_app, models.list_models, "earmark models list", name="list")
_add(models_app, models.info, "earmark models info yamnet", "earmark models info yamnet --labels | grep -i bird")
_add(models_app, models.pull, "earmark models pull yamnet")
_add(
    models_app,
    models.import_model,
    "earmark models import yamnet_classification_int8.tflite",
    "earmark models import my-model.onnx --name ours",
    name="import",
)
_add(models_app, models.verify, "earmark models verify", "earmark models verify yamnet")
_add(models_app, models.remove, "earmark models remove yamnet-int8")

_add(app, models.verify, "earmark verify my-model.onnx", "earmark verify yamnet --json")
_add(app, demo.demo, "earmark demo")


def main() -> None:
    """Run the command line."""
    if sys.stderr is None:
        sys.stderr = StringIO()  # or messages would go among the results
    if sys.stdout is None:
        complain("standard output is closed: send it to a file, or to /dev/null")
        _leave(INPUT_FAILED)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no reason to stop
    app()
