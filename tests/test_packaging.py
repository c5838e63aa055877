"""The package as users get it: the wheel alone, in an environment of its own, with nothing from this tree."""

import json
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import soundfile

import earmark

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MINUTES = 60


def run(command: Sequence[str | Path], **options: object) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    environment["PIP_COMPILE"] = "0"  # a few modules are compiled as they are imported, not thousands as they come
    return subprocess.run(
        [str(word) for word in command],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=10 * MINUTES,
        **options,  # type: ignore[call-overload]
    )


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where pip reaches no package index; in CI that is a failure."""
    folder = tmp_path_factory.mktemp("index")
    probe = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--retries=1"]
    done = run([*probe, "--dest", folder, "hatchling"])
    if done.returncode != 0 and not os.environ.get("CI"):
        pytest.skip(f"pip reaches no package index: {done.stderr.strip().splitlines()[-1:]}")


@pytest.fixture(scope="module")
def wheel(index: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT])
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_version_is_said_once() -> None:
    assert earmark.__version__ == version("earmark") == PROJECT["version"]


def test_the_wheel_holds_what_it_should(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"earmark/py.typed", "earmark/__main__.py", "earmark/model/weights/registry.json"} <= names
    assert "earmark/evaluation/page.html" in names
    assert {Path(name).name for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}
    assert {Path(name).parts[0] for name in names} == {"earmark", f"earmark-{PROJECT['version']}.dist-info"}
    assert wheel.stat().st_size < 5_000_000


def test_the_wheel_holds_the_model_inside(wheel: Path, everyday: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(f"earmark/model/weights/{everyday.name}") == everyday.read_bytes()
        assert "earmark/model/weights/everyday-credits.csv" in archive.namelist()


def test_the_wheel_alone_classifies(wheel: Path, tiny_model: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    installed = run([programs / "python", "-m", "pip", "install", "--quiet", wheel])
    assert installed.returncode == 0, installed.stderr
    assert run([programs / "python", "-m", "pip", "check"]).returncode == 0
    assert PROJECT["version"] in run([programs / "earmark", "--version"]).stdout
    assert "classify" in run([programs / "earmark", "--help"]).stdout

    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 48_000), 16_000)
    done = run([programs / "earmark", "classify", "noise.wav", "--model", tiny_model, "--json"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["file"], result["model"], result["seconds"]) == ("noise.wav", "tiny", 3.0)
    assert result["tags"]
