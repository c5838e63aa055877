"""What the commands say about themselves, held to what the library has."""

import inspect
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from earmark import __version__
from earmark.cli import options
from earmark.cli.app import app
from earmark.inference.classifier import DEFAULT_MODEL, Classifier
from earmark.inference.formats import FORMATS
from earmark.inference.results import ClipResult, EmbeddingResult, EventsResult, TimelineResult
from earmark.model.card import DecisionRule
from tests.cli.command import Here, earmark


def commands_of(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield (*names, name), command
        if hasattr(command, "commands"):
            yield from commands_of(command, *names, name)


COMMANDS = dict(commands_of(get_command(app)))


def test_the_commands_that_are_promised() -> None:
    top = {names[0] for names in COMMANDS if len(names) == 1}
    hearing = {"classify", "events", "timeline", "embed", "listen", "show", "check"}
    learning = {"data", "train", "crossval", "evaluate", "calibrate", "ensemble"}
    assert top == hearing | learning | {"models", "verify", "export", "demo", "serve"}
    inner = {names[1] for names in COMMANDS if len(names) == 2}
    assert inner == {"list", "info", "pull", "import", "verify", "remove"}


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_help_ends_with_an_example_that_parses(names: tuple[str, ...], here: Here) -> None:
    done = here(*names, "--help")
    assert (done.status, done.err) == (0, "")
    help_text, _, examples = done.out.rpartition("Example")
    assert help_text.startswith(f"Usage: earmark {' '.join(names)} ")
    assert max(map(len, done.out.splitlines())) <= 80
    lines = [line.strip() for line in examples.splitlines()[1:] if line.strip()]
    assert lines
    for line in lines:
        words = shlex.split(line.rpartition("earmark ")[2], comments=True)
        words = words[: next((index for index, word in enumerate(words) if word in (">", "|")), None)]
        assert tuple(words[: len(names)]) == names
        if not hasattr(COMMANDS[names], "commands"):
            COMMANDS[names].make_context("earmark", words[len(names) :])


def test_the_program_itself(tmp_path: Path) -> None:
    done = earmark("--version", cwd=tmp_path)
    assert (done.status, done.out, done.err) == (0, f"earmark {__version__}\n", "")
    helped = earmark("--help", cwd=tmp_path)
    assert (helped.status, helped.err) == (0, "")
    assert all(f"  {names[0]} " in helped.out for names in COMMANDS)
    assert "..." not in helped.out.partition("Commands:")[2], "no command's first line is cut"
    alone = earmark(cwd=tmp_path)
    assert alone.status == 2
    assert "Commands:" in alone.out + alone.err


@pytest.mark.parametrize(
    ("name", "kind"),
    [("classify", ClipResult), ("events", EventsResult), ("timeline", TimelineResult), ("embed", EmbeddingResult)],
)
def test_formats_in_the_help_are_those_of_the_library(name: str, kind: type) -> None:
    (option,) = (option for option in COMMANDS[name,].params if "--format" in option.opts)
    said = option.help.partition(";")[0].lower().replace(" or ", ", ").split(", ")
    assert said == [form.name for form in FORMATS.values() if kind in form.kinds]


@pytest.mark.parametrize("name", ["classify", "events", "timeline", "embed"])
def test_options_are_those_of_the_library(name: str) -> None:
    params = {option.name: option for option in COMMANDS[name,].params}
    for argument in list(inspect.signature(getattr(Classifier, name)).parameters.values())[2:]:
        option = params[argument.name]
        assert f"--{argument.name.replace('_', '-')}" in option.opts
        if argument.name not in ("allow", "deny"):
            assert option.default == argument.default, argument.name
    if name == "events":
        numbers = {field.removesuffix("_seconds") for field in DecisionRule.__dataclass_fields__} - {"classes"}
        assert numbers <= set(params)


def test_the_default_model_is_that_of_the_library() -> None:
    assert options.DEFAULT_MODEL == DEFAULT_MODEL
