"""The commands about models themselves: list, info, pull, import, verify, remove."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from earmark.cli.messages import INPUT_FAILED, report_failures
from earmark.cli.progress import ProgressBar, count_bytes
from earmark.errors import EarmarkError, ModelNotFoundError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from earmark.model.status import ModelStatus
    from earmark.model.verify import Verification

_WIDTH = 80
_NAMES_WIDTH = 15
_FEW_RULES = 10
_PROSE = ("description", "source", "training_data", "licence", "citation")

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="A name of `earmark models list`.")]
NameOrFile = Annotated[
    str, typer.Argument(metavar="MODEL", show_default=False, help="A name, an .onnx or a .tflite file.")
]


def list_models(as_json: Json = False) -> None:
    """Show the model inside earmark, and those that are known or installed."""
    from earmark.model.hub import default_hub

    for status in default_hub().list_models():
        if as_json:
            print(json.dumps(asdict(status) | {"path": str(status.path)}))
        else:
            print("\n".join(_status_lines(status)))


def info(
    model: NameOrFile,
    *,
    labels: Annotated[bool, typer.Option("--labels", help="List the labels: id and name, with a tab between.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a model is, hears, was made from and promises."""
    from earmark.model.hub import default_hub

    hub = default_hub()
    if labels:
        hub.resolve(model)  # a model that is not here has none, and the error says how to get it
    facts = hub.info(model)
    if as_json:
        print(json.dumps(facts))
    elif labels:
        print("\n".join(f"{label['id']}\t{label['name']}" for label in facts["labels"]))
    else:
        print("\n".join(_fact_lines(facts)))


def pull(
    name: Name, force: Annotated[bool, typer.Option("--force", help="Make it anew although it is installed.")] = False
) -> None:
    """Download a known model, check it, and install it."""
    from earmark.model.hub import default_hub

    hub = default_hub()
    with ProgressBar(count_bytes) as bar:
        hub.pull(name, progress=bar.update, force=force)
    print("\n".join(_status_lines(hub.status(name))))


def import_model(
    file: Annotated[
        str, typer.Argument(metavar="FILE", show_default=False, help="YAMNet as .tflite, or an .onnx with a card.")
    ],
    *,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="What to call it.")] = None,
    precision: Annotated[
        Literal["float32", "int8"], typer.Option("--precision", help="Arithmetic of a model made from a .tflite.")
    ] = "float32",
    calibrate_with: Annotated[
        str | None,
        typer.Option(
            "--calibrate-with",
            metavar="FOLDER",
            help="Recordings to measure activations on, for int8 from a file that does not carry their scales.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace another model of that name.")] = False,
) -> None:
    """Install a model from a file on this machine."""
    from earmark.model.hub import default_hub

    clips = _waveforms(calibrate_with) if calibrate_with else ()
    status = default_hub().import_model(file, name=name, precision=precision, calibration=clips, force=force)
    print("\n".join(_status_lines(status)))


def verify(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Names, .onnx or .tflite files, pages of `earmark export`; by default all that are installed.",
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Prove that models answer as they did when they were made.

    A model's card holds test signals and the answers to them; they are run again, each file by its own runtime, and
    compared.
    """
    from earmark.inference.results import Failure
    from earmark.model.hub import default_hub

    hub = default_hub()
    failures = []
    check = _verified if models else _verified_file
    models = models or [status.name for status in hub.list_models() if status.installed]
    if not models:
        raise ModelNotFoundError("no model is installed: give a file, or see `earmark models list`")
    for model in models:
        try:
            outcome = check(model)
            print(json.dumps(outcome.to_dict()) if as_json else _outcome_line(outcome))
        except EarmarkError as error:
            failures.append(Failure(model, error))
            if as_json:
                print(json.dumps(failures[-1].to_dict()))
    report_failures(failures, len(models))
    if failures:
        raise typer.Exit(INPUT_FAILED)


def _verified(model: str) -> "Verification":
    """Verify a model, or the page that one was exported to."""
    if (Path(model) / "card.json").is_file():
        from earmark.export.web import verify_web

        return verify_web(model)
    return _verified_file(model)


def _verified_file(model: str) -> "Verification":
    from earmark.model.hub import default_hub
    from earmark.model.verify import verify as verify_file

    return verify_file(default_hub().resolve(model))


def remove(name: Name) -> None:
    """Delete an installed model."""
    from earmark.model.hub import default_hub

    default_hub().remove(name)
    print(f"{name} is removed")


def _waveforms(folder: str) -> "Iterator[NDArray[np.float32]]":
    """Yield the sound of the recordings in a folder, as YAMNet takes it."""
    from earmark.audio.decode import read_audio
    from earmark.audio.folder import find_recordings

    def stop(error: EarmarkError) -> None:
        raise error

    for path in find_recordings(folder, on_error=stop):
        yield read_audio(path, 16_000)[0]


def _status_lines(status: "ModelStatus") -> Iterator[str]:
    if status.problem:
        yield f"{status.name}  cannot be used: {status.problem}"
    elif not status.installed:
        yield f"{status.name}  not installed: earmark models pull {status.name}"
    else:
        inside = "  inside earmark" if status.inside else ""
        yield f"{status.name} {status.version}  {status.label_count} labels  {_megabytes(status.size_bytes)}{inside}"
    yield from textwrap.wrap(status.description, _WIDTH, initial_indent="  ", subsequent_indent="  ")


def _fact_lines(facts: dict[str, Any]) -> Iterator[str]:
    """Yield what `Hub.info` knows and people want to know, each with its name before it."""
    indent = " " * _NAMES_WIDTH
    layout = textwrap.TextWrapper(_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    for name, value in _readable(facts).items():
        yield from layout.wrap(f"{name:{_NAMES_WIDTH}}{value}")


def _readable(facts: dict[str, Any]) -> dict[str, str]:
    if not facts["installed"]:
        source = facts["source"]
        return {
            "name": facts["name"],
            "installed": f"no: earmark models pull {facts['name']}",
            "description": facts["description"],
            "made from": f"{source['url']} ({_megabytes(source['size_bytes'])})",
            "licence": source["licence"],
            "citation": source["citation"],
        }
    rule = facts["decision"]
    seconds = {name.removesuffix("_seconds").replace("_", " "): rule[name] for name in rule if "_seconds" in name}
    return {
        "name": f"{facts['name']} {facts['version']}",
        "file": f"{facts['path']} ({_megabytes(facts['size_bytes'])}{', inside earmark' if facts['inside'] else ''})",
        "labels": f"{len(facts['labels'])}, {facts['task']}: list them with --labels",
        "scores": "calibrated probabilities" if facts["calibrated"] else "not calibrated: compare within a label only",
        "takes": f"{facts['sample_rate']} Hz, mono",
        "frames": f"{facts['frame_length_seconds']:g} s long, one every {facts['frame_hop_seconds']:g} s",
        "embeddings": f"{facts['embedding_size']} numbers a frame" if facts["embedding_size"] else "none",
        "events": f"on {rule['on']:g}, off {rule['off']:g}"
        + "".join(f", {name} {value:g} s" for name, value in seconds.items() if value),
        **_own_thresholds(facts),
        **{name.replace("_", " "): facts[name] for name in _PROSE if facts[name]},
    }


def _own_thresholds(facts: dict[str, Any]) -> dict[str, str]:
    """Return from which score on a label, and from which novelty on none of them, is the answer."""
    rules = facts["decision"]["classes"]
    names = {label["id"]: label["name"] for label in facts["labels"]}
    found = {}
    if len(rules) > _FEW_RULES:
        on = [rule["on"] for rule in rules.values()]
        found["thresholds"] = f"{len(rules)} labels have their own, on {min(on):g} to {max(on):g}: --json lists them"
    elif rules:
        told = (f"{names[key]} on {rule['on']:g}, off {rule['off']:g}" for key, rule in rules.items())
        found["thresholds"] = "; ".join(told)
    if "novelty_threshold" in facts:
        found["none of these"] = f"from a novelty of {facts['novelty_threshold']:g} on"
    return found


def _outcome_line(outcome: "Verification") -> str:
    weights = {True: ", unchanged since it was made", None: "", False: ", changed"}[outcome.unchanged]
    return (
        f"{outcome.model} {outcome.version}  passes: outputs differ by {outcome.largest:.2g}, "
        f"allowed {outcome.tolerance:.2g}; best class the same for {outcome.agreement:.0%}{weights}"
    )


def _megabytes(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else f"{size_bytes / 1e6:.1f} MB"
