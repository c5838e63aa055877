"""Write docs/reference/commands.md from the commands themselves; with --check, only say whether it is current."""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from earmark.cli.app import app

PAGE = Path(__file__).parent / "reference" / "commands.md"
NOT_RUN = {
    "earmark listen": "<!-- not run: needs a microphone -->\n",
    "earmark models pull": "<!-- not run: needs a network -->\n",
    "earmark train": "<!-- not run: trains a network for minutes -->\n",
    "earmark crossval": "<!-- not run: trains many models; the tutorial runs it -->\n",
    "earmark calibrate": "<!-- not run: needs the model that train makes; the tutorial runs it -->\n",
    "earmark serve": "<!-- not run: would run until Ctrl-C; the guide runs it in the background -->\n",
    "earmark export": "<!-- not run: needs the extra tflite, npm and a model of one's own; the guide runs it -->\n",
    "earmark ensemble": "<!-- not run: needs models of one's own; the tutorial runs it -->\n",
}
"""What keeps tests/test_docs.py from running a command's examples."""

HEADER = """\
<!-- Written by docs/generate_reference.py from the commands themselves: `make reference`. Do not edit. -->

# Commands

Every command answers `--help`. It exits with 0 when all went well, 1 when some input failed, 2 when it was called
the wrong way, 130 when Ctrl-C stopped it. Ctrl-C is how `listen` ends, so there it exits with 0.
"""


def table(heading: str, records: list[tuple[str, str]]) -> str:
    """Lay out pairs of a signature and its meaning; nothing for no pairs."""
    rows = [f"| `{cell(signature)}` | {cell(meaning)} |" for signature, meaning in records]
    return "\n".join([f"| {heading} | |", "|---|---|", *rows]) if rows else ""


def cell(text: str) -> str:
    """Return text that a table cell can hold."""
    return " ".join(text.split()).replace("|", "\\|")


def prose(text: str) -> str:
    """Return a command's help as Markdown; what is indented in it are commands to type."""
    paragraphs = inspect.cleandoc(text.replace("\b", "")).split("\n\n")
    return "\n\n".join(re.sub(r"((?:^  .*\n?)+)", commands, part, flags=re.MULTILINE).strip() for part in paragraphs)


def commands(match: re.Match[str]) -> str:
    """Return indented lines as a block of shell commands."""
    return f"\n```sh\n{inspect.cleandoc(match[1])}\n```\n"


def section(name: str, command: Any, level: int) -> Iterator[str]:
    """Yield the parts of one command, then those of the commands inside it."""
    context = command.make_context(name, [], resilient_parsing=True)
    yield f"{'#' * level} {name}"
    yield f"```text\n{context.get_usage().removeprefix('Usage: ')}\n```"
    yield prose(command.help or "")
    records: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and "--help" not in parameter.opts:
            signature, meaning = record
            records[parameter.param_type_name].append(
                (signature.replace(" <list[str]>", "").replace(" <str>", ""), meaning)
            )
    yield table("argument", records["argument"])
    yield table("option", records["option"])
    yield prose(command.epilog or "").replace("```sh", f"{NOT_RUN.get(name, '')}```sh")
    for inner, subcommand in getattr(command, "commands", {}).items():
        if not subcommand.hidden:
            yield from section(f"{name} {inner}", subcommand, level + (level > 1))


def page() -> str:
    """Return the whole page."""
    parts = (part for part in section("earmark", get_command(app), 2) if part)
    return "\n\n".join([HEADER.rstrip(), *parts]) + "\n"


def main() -> int:
    """Write or check the page; return the exit status."""
    current = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(current, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == current:
        return 0
    print(f"{PAGE.name} does not say what the commands say: run `make reference`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
