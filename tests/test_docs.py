"""README and docs, held to what earmark does: every command and program in them runs, output shown is output given.

A fenced block of ``sh`` holds commands, one of ``console`` commands after ``$ `` and what they print, one of ``python``
a program. The blocks of a page run in its order, in one folder of real sounds; the programs share their names. Three
comments, on the line before a block, say otherwise: ``<!-- not run: REASON -->``, ``<!-- exit: STATUS -->``, and
``<!-- extra: tflite -->`` or ``<!-- extra: npm -->`` for what needs more than the extra dev: without it the block is
passed over, and ``make test-tflite`` has it. Ports of the pages become ports that are free, so that nothing else on
this machine can answer in a service's place.
"""

import contextlib
import io
import math
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import earmark

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"(?:^<!--[ ]*(?P<mark>not[ ]run|exit|extra):[ ]*(?P<value>.*?)[ ]*-->\n+)?"
    r"^(?P<indent>[ ]*)```(?P<language>sh|console|python)\b[^\n]*\n(?P<text>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
BAR = re.compile(r"[▏▎▍▌▋▊▉█]+")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
PORT = re.compile(r"\b876[0-9]\b")
SCORE_TOLERANCE = 0.02
HAVE = {"tflite": find_spec("litert_torch") is not None, "npm": shutil.which("npm") is not None}
"""Which of the things that some blocks need are here."""


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str | None
    status: int
    extra: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def runs(self) -> bool:
        """Whether the block is to run, and can be run here."""
        return self.not_run is None and (not self.extra or HAVE[self.extra])

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield what to run, and the output shown: a block of ``sh`` as one script, of ``console`` each command."""
        if self.language == "sh":
            yield self.text, ""
            return
        lines = self.text.replace("\\\n", " ").splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            yield lines[start].removeprefix("$ "), "\n".join(lines[start + 1 : end])


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        mark, value = match["mark"], match["value"]
        body = re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        found.append(
            Block(
                page=page,
                line=text.count("\n", 0, match.start("text")) + 1,
                language=match["language"],
                text=body,
                not_run=value if mark == "not run" else None,
                status=int(value) if mark == "exit" else 0,
                extra=value if mark == "extra" else "",
            )
        )
    return found


BLOCKS = {page: blocks_of(page) for page in PAGES}
RUNNING = [page for page in PAGES if any(block.not_run is None for block in BLOCKS[page])]


def same(shown: str, given: str) -> bool:
    """Whether two lines say the same: the same words, numbers within the tolerance of a score, bars of any length."""
    words = [NUMBER.sub("#", BAR.sub("", line)).split() for line in (shown, given)]
    if words[0] != words[1]:
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(given), strict=True)
    return all(math.isclose(float(a), float(b), abs_tol=SCORE_TOLERANCE) for a, b in pairs)


def matches(shown: list[str], given: list[str]) -> bool:
    """Whether the lines shown are those given; a line ``...`` stands for any number of them."""
    if not shown:
        return not given
    if shown[0].strip() == "...":
        return any(matches(shown[1:], given[skipped:]) for skipped in range(len(given) + 1))
    return bool(given) and same(shown[0], given[0]) and matches(shown[1:], given[1:])


def test_output_is_compared() -> None:
    assert matches(["Rain  0.91 ██▌"], ["Rain 0.905  ██▍"])
    assert matches(["a", "...", "d 1"], ["a", "b", "c", "d 1"])
    assert not matches(["Rain 0.91"], ["Rain 0.85"])
    assert not matches(["Rain 0.91"], ["Rain 0.91", "Dog 0.2"])
    assert not matches(["Rain 0.91"], ["Dog 0.91"])


def test_blocks_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "text\n\n<!-- exit: 2 -->\n```console\n$ earmark \\\n  one\nshown\n$ earmark two\n```\n\n"
        "- a list\n\n    ```sh\n    earmark three\n    ```\n\n"
        "<!-- not run: no microphone here -->\n\n```sh\nearmark listen\n```\n",
        encoding="utf-8",
    )
    first, second, third = blocks_of(page)
    assert list(first.commands()) == [("earmark    one", "shown"), ("earmark two", "")]
    assert (first.status, first.line) == (2, 5)
    assert list(second.commands()) == [("earmark three\n", "")]
    assert third.not_run == "no microphone here"


def test_blocks_that_do_not_run_say_why(record_property: Any) -> None:
    idle = [block for blocks in BLOCKS.values() for block in blocks if block.not_run is not None]
    for block in idle:
        record_property(str(block), block.not_run)
        print(f"not run: {block}: {block.not_run}")
    assert not [str(block) for block in idle if len(str(block.not_run)) < len("network")]
    running = sum(len(blocks) for blocks in BLOCKS.values()) - len(idle)
    untested = [block for block in idle if "bench" not in block.text]  # benchmarks have tests of their own
    assert running > 4 * len(untested), "most of what the docs show must be shown to work"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not [link for link in LINK.findall(text) if not (page.parent / link).exists()]


def test_every_command_is_shown_in_the_docs() -> None:
    from typer.main import get_command

    from earmark.cli.app import app

    guide = [page for page in PAGES if page.name != "commands.md"]  # which shows them all, being made from them
    shown = "\n".join(block.text for page in guide for block in BLOCKS[page])
    commands = get_command(app).commands.items()
    names = [f"{name} {inner}".strip() for name, command in commands for inner in getattr(command, "commands", [""])]
    assert not [name for name in names if f"earmark {name}" not in shown]


def test_every_format_is_described() -> None:
    from earmark.inference.formats import FORMATS

    page = (ROOT / "docs" / "guide" / "formats.md").read_text(encoding="utf-8")
    assert not [name for name in FORMATS if f"`{name}`" not in page]


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^::: (\S+)", page, re.MULTILINE))
    homes = {name: getattr(earmark, name) for name in earmark.__all__ if name != "__version__"}
    assert not [
        name for name, value in homes.items() if not documented & {value.__module__, f"{value.__module__}.{name}"}
    ]


@pytest.fixture(scope="session")
def gallery(
    tmp_path_factory: pytest.TempPathFactory, shared: Path, everyday: Path, yamnet: Path, yamnet_int8: Path
) -> Path:
    """Make the folder of sounds that the docs speak of, and a cache that holds YAMNet; the model inside is there."""
    if sys.platform == "win32" or not all(map(shutil.which, ("bash", "ffmpeg", "sox"))):
        pytest.skip("the commands of the docs are for bash, and make sounds with ffmpeg and sox")
    folder = tmp_path_factory.mktemp("docs")
    make_sounds(folder / "sounds", shared / "data" / "esc50" / "audio")
    shutil.copy(shared / "models" / "yamnet" / "yamnet_classification_int8.tflite", folder / "sounds")
    shutil.copy(yamnet, folder / "sounds" / "my-model.onnx")
    (folder / "cache" / "models").mkdir(parents=True)
    for model in (yamnet, yamnet_int8):
        shutil.copy(model, folder / "cache" / "models")
    return folder


def make_sounds(folder: Path, clips: Path) -> None:
    """Write the recordings and the labelled clips of the docs, from ESC-50's clips in the public domain (CC0)."""
    import soundfile
    import soxr

    names = ("1-32318-A-0", "2-70939-A-42", "1-17367-A-10", "1-56907-A-46")
    dog, siren, rain, bells = (soundfile.read(clips / f"{name}.flac")[0] for name in names)
    (folder / "recordings" / "june").mkdir(parents=True)
    for name, samples in {
        "street.wav": np.concatenate([rain, dog, siren, rain]),
        "rain.flac": rain,
        "dog.mp3": dog,
        "recordings/monday.wav": bells,
        "recordings/tuesday.flac": siren,
        "recordings/june/first.ogg": rain,
    }.items():
        soundfile.write(folder / name, samples, 16_000)
    soundfile.write(folder / "phone.wav", np.clip(6 * soxr.resample(dog, 16_000, 8_000), -1, 1), 8_000)
    (folder / "broken.wav").write_bytes(b"no sound in here")
    (folder / "street.csv").write_text(
        "filename,onset,offset,event_label\nstreet.wav,5,10,Dog\nstreet.wav,10,15,Siren\n"
    )
    make_clips(folder, {"dog": dog, "rain": rain, "siren": siren, "background": bells})
    picture = ["-f", "lavfi", "-i", "color=size=64x64:rate=5", "-shortest"]
    for name, options in {"voice.m4a": [], "film.mp4": picture}.items():
        command = ["ffmpeg", "-v", "error", "-i", folder / "street.wav", *options, folder / name]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)


def make_clips(folder: Path, sounds: dict[str, np.ndarray[Any, Any]]) -> None:
    """Cut sounds at 16 kHz into seconds: two folders of labelled clips, to learn from and to calibrate with."""
    import soundfile

    for part, offset_seconds in {"clips": 0.0, "validation": 0.5}.items():
        for label, samples in sounds.items():
            (folder / part / label).mkdir(parents=True)
            for second in range(4):
                start = round((second + offset_seconds) * 16_000)
                soundfile.write(folder / part / label / f"{second}.wav", samples[start : start + 16_000], 16_000)


@pytest.fixture
def workshop(gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a fresh copy of the sounds, with earmark on the path and YAMNet in the cache."""
    folder = tmp_path / "sounds"
    shutil.copytree(gallery / "sounds", folder)
    shutil.copytree(gallery / "cache", tmp_path / "cache")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name, value in {"COLUMNS": "100", "NO_COLOR": "1", "PYTHONUTF8": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    return folder


def with_free_ports(blocks: list[Block]) -> list[Block]:
    """Return blocks with ports of this machine in place of those that the page speaks of."""
    shown = sorted({port for block in blocks for port in PORT.findall(block.text)})
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in shown]
        free = {port: str(own.getsockname()[1]) for port, own in zip(shown, held, strict=True)}
    return [replace(block, text=PORT.sub(lambda match: free[match[0]], block.text)) for block in blocks]


def run_commands(block: Block) -> None:
    for command, shown in block.commands():
        shell = ["bash", "-e", "-o", "pipefail", "-c", command]
        done = subprocess.run(
            shell, check=False, capture_output=True, encoding="utf-8", stdin=subprocess.DEVNULL, timeout=120
        )
        assert done.returncode == block.status, f"{block}: {command}\n{done.stdout}{done.stderr}"
        given = done.stdout if done.returncode == 0 else done.stdout + done.stderr
        if shown and not matches(shown.rstrip().splitlines(), given.rstrip().splitlines()):
            pytest.fail(f"{block} shows another output than this:\n$ {command}\n{given}", pytrace=False)


def run_program(block: Block, names: dict[str, Any]) -> None:
    """Run a block in this process; its line numbers are those of the page."""
    program = compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")
    with contextlib.redirect_stdout(io.StringIO()):
        exec(program, names)


@pytest.mark.shared
@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_the_page_shows_works(page: Path, workshop: Path) -> None:
    names: dict[str, Any] = {"__name__": "__docs__"}
    for block in with_free_ports(BLOCKS[page]):
        if block.runs and block.language == "python":
            run_program(block, names)
        elif block.runs:
            run_commands(block)
