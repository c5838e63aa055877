"""The house of CONTRIBUTING.md, held: who imports whom, what is heavy and where, what importing loads."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import earmark

SOURCE = Path(__file__).parents[1] / "src" / "earmark"

# Part of the house: the parts it may import. A part may always import itself. Direction is the rule, names may change.
MAY_IMPORT = {
    "errors": set(),
    "audio": {"errors"},
    "features": {"errors"},
    "model": {"errors", "audio", "features"},
    "inference": {"errors", "audio", "features", "model"},
    "library": {"errors", "audio", "features", "model", "inference"},
    "service": {"errors", "audio", "features", "model", "inference"},
    "data": {"errors", "audio"},
    "evaluation": {"errors", "audio", "features", "model", "inference", "data"},
    "training": {"errors", "audio", "features", "model", "inference", "data", "evaluation"},
    "export": {"errors", "audio", "features", "model", "inference", "data", "evaluation", "training"},
}
MAY_IMPORT["cli"] = set(MAY_IMPORT)
MAY_IMPORT["__main__"] = {"cli"}
MAY_IMPORT["__init__"] = set(MAY_IMPORT) - {"cli", "__main__"}

TORCH = {"torch", "torchaudio", "torchvision", "lightning", "transformers"}
TORCH_PLACES = ("features/layer.py", "training/", "export/", "model/huggingface.py")

# What a module may import at its top beside the standard library, numpy and earmark. All else waits until it is used.
# A module that exists to wrap one library may import it, and is itself imported in the function that needs it.
TOP_LEVEL = {
    "audio/ffmpeg.py": {"av"},
    "audio/sndfile.py": {"soundfile"},
    "features/nodes.py": {"onnx"},
    "features/layer.py": TORCH,
    "cli/": {"typer"},
    "training/": {*TORCH, "sklearn", "scipy", "onnx"},
    "export/": {*TORCH, "onnx"},
    "service/": {"fastapi", "starlette", "pydantic", "uvicorn", "httptools", "prometheus_client", "python_multipart"},
}

HEAVY = {"torch", "sklearn", "scipy", "matplotlib", "pandas", "librosa", "numba", "transformers", "lightning"}


@dataclass(frozen=True)
class Import:
    """One module that a source file imports, and whether the import runs when the file is imported."""

    file: str
    line: int
    module: str
    at_top: bool

    def __str__(self) -> str:
        return f"src/earmark/{self.file}:{self.line} imports {self.module}"


def imported_modules(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        assert node.module is not None
        # `from earmark import audio` imports earmark.audio, `from earmark.audio import decode` earmark.audio.decode.
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def guards_types(node: ast.AST) -> bool:
    """Whether `node` is an ``if TYPE_CHECKING:``, whose imports never run."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def walk_imports(node: ast.AST, file: str, *, at_top: bool = True) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield from (Import(file, child.lineno, module, at_top) for module in imported_modules(child))
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or guards_types(child)
        yield from walk_imports(child, file, at_top=at_top and not inside)


def source_files() -> list[str]:
    return sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


def imports_of(file: str) -> list[Import]:
    return list(walk_imports(ast.parse((SOURCE / file).read_text(encoding="utf-8")), file))


def part_of(dotted: str) -> str:
    """Return the part of the house of a module given below ``earmark``: the longest name that the table has."""
    names = dotted.split(".")
    whole = [".".join(names[:length]) for length in range(len(names), 0, -1)]
    return next((name for name in whole if name in MAY_IMPORT), names[0])


def in_places(file: str, places: tuple[str, ...]) -> bool:
    return any(file == place or (place.endswith("/") and file.startswith(place)) for place in places)


FILES = source_files()
IMPORTS = [found for file in FILES for found in imports_of(file)]


def test_the_walk_sees_the_source() -> None:
    assert "errors.py" in FILES
    assert any(found.module.startswith("numpy") and found.at_top for found in IMPORTS)
    assert any(not found.at_top for found in IMPORTS)


def test_every_part_is_in_the_table() -> None:
    parts = {part_of(file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")) for file in FILES}
    assert parts <= set(MAY_IMPORT), "a new part of the house belongs in MAY_IMPORT and in CONTRIBUTING.md"


def test_the_table_has_a_direction() -> None:
    """No part reaches itself through others: the table has no circle."""

    def reachable(part: str, seen: frozenset[str]) -> set[str]:
        assert part not in seen, f"circle through {part}"
        return set().union(*({below} | reachable(below, seen | {part}) for below in MAY_IMPORT[part]), set())

    for part in MAY_IMPORT:
        assert part not in reachable(part, frozenset())


@pytest.mark.parametrize("file", FILES)
def test_imports_run_one_way(file: str) -> None:
    here = part_of(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    inner = [found for found in imports_of(file) if found.module.startswith("earmark.")]
    wrong = [
        str(found)
        for found in inner
        if (part := part_of(found.module.removeprefix("earmark."))) != here
        and part in MAY_IMPORT
        and part not in MAY_IMPORT[here]
    ]
    assert not wrong, f"{here} may import {sorted(MAY_IMPORT[here]) or 'nothing'}"


def test_torch_only_where_it_is_allowed() -> None:
    torch = [found for found in IMPORTS if found.module.split(".")[0] in TORCH]
    assert not [str(found) for found in torch if not in_places(found.file, TORCH_PLACES)]


@pytest.mark.parametrize("file", FILES)
def test_nothing_heavy_at_the_top_of_a_module(file: str) -> None:
    allowed = {"numpy", "earmark"}.union(*(names for place, names in TOP_LEVEL.items() if in_places(file, (place,))))
    outside = [found for found in imports_of(file) if found.module.split(".")[0] not in sys.stdlib_module_names]
    assert not [str(found) for found in outside if found.at_top and found.module.split(".")[0] not in allowed]


@pytest.mark.parametrize("file", FILES)
def test_modules_can_be_read_in_one_sitting(file: str) -> None:
    lines = len((SOURCE / file).read_text(encoding="utf-8").splitlines())
    assert lines <= 400, f"{file} has {lines} lines: it holds more than one noun"


def modules_after(code: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter has loaded when `code` has run."""
    program = f"import json, sys\n{code}\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def command(*arguments: str) -> str:
    """Return a program that runs ``python -m earmark`` with these arguments and goes on."""
    return (
        f"import runpy; sys.argv = ['earmark', *{arguments!r}]\n"
        "try:\n    runpy.run_module('earmark', run_name='__main__')\n"
        "except SystemExit as stop:\n    assert not stop.code, stop.code"
    )


def test_import_earmark_is_light() -> None:
    loaded = modules_after("import earmark")
    assert not loaded & (HEAVY | {"onnx", "onnxruntime", "av", "soundfile", "soxr", "rich", "typer", "pooch", "numpy"})


def test_using_every_public_name_loads_no_framework() -> None:
    assert not modules_after("import earmark\nfor name in earmark.__all__: getattr(earmark, name)") & HEAVY


def test_help_loads_no_framework_and_no_runtime() -> None:
    assert not modules_after(command("classify", "--help")) & (HEAVY | {"onnx", "onnxruntime", "av", "soxr", "pooch"})


def test_public_names_are_complete_and_importable() -> None:
    assert len(set(earmark.__all__)) == len(earmark.__all__)
    assert set(earmark.__all__) <= set(dir(earmark))
    for name in earmark.__all__:
        assert getattr(earmark, name) is not None, name
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = earmark.no_such_name


def test_nothing_is_public_by_accident() -> None:
    visible = {name for name in dir(earmark) if not name.startswith("_")}
    parts = {path.stem for path in SOURCE.iterdir()}
    assert visible - parts <= set(earmark.__all__)
