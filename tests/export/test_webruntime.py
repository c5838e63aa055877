"""Where the runtime of a page comes from: given, cached, or fetched by npm."""

import re
import shutil
import tarfile
from pathlib import Path

import pytest

from earmark.errors import (
    ChecksumError,
    DownloadError,
    EarmarkError,
    OptionError,
)
from earmark.export import webruntime
from earmark.export.web import write_web
from earmark.export.webruntime import PACKAGE, VERSION, web_runtime


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (None, "is no onnxruntime-web: its package.json cannot be read; give node_modules/onnxruntime-web after `npm"),
        ("[]", "is no onnxruntime-web: its package.json cannot be read"),
        ('{"name": "left-pad", "version": "1.3.0"}', "is the package 'left-pad': give the folder of onnxruntime-web"),
        (
            f'{{"name": "{PACKAGE}", "version": "1.13.1"}}',
            "is onnxruntime-web 1.13.1, too old for models of operator set 18 and for the page: it takes 1.21 or later",
        ),
        (f'{{"name": "{PACKAGE}", "version": "1.21.0-dev"}}', "lacks dist/ort.wasm.bundle.min.mjs: install it again"),
    ],
)
def test_what_is_given_and_is_no_runtime(package: str | None, message: str, tmp_path: Path) -> None:
    if package is not None:
        (tmp_path / "package.json").write_text(package)
    with pytest.raises(OptionError, match=f"^runtime .* {re.escape(message)}"):
        web_runtime(tmp_path)


def test_the_second_time_no_npm_is_needed(
    cache: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARMARK_CACHE", str(cache))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert write_web(tiny_model, tmp_path / "page").origin == "cache"


def fake_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put an npm first on the path that does as told."""
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def packed(folder: Path, source: Path, *, names: tuple[str, ...] = tuple(webruntime.SHA256)) -> Path:
    """Return a package with files as npm brings it."""
    path = folder / "package.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name in names:
            archive.add(source / name, f"package/dist/{name}")
    return path


def test_a_damaged_copy_in_the_cache_is_fetched_again(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    package = packed(tmp_path, installed / "dist")
    fake_npm(tmp_path, monkeypatch, f"echo $* >> {tmp_path}/asked; cp {package} x.tgz")
    first = web_runtime()
    assert (first.origin, web_runtime().origin) == ("npm", "cache")
    first.binary.write_bytes(first.binary.read_bytes()[:-1])
    again = web_runtime()
    assert again.origin == "npm"
    assert again.binary.read_bytes() == (installed / "dist" / again.binary.name).read_bytes()
    asked = f"pack {PACKAGE}@{VERSION} --ignore-scripts --loglevel=error"
    assert (tmp_path / "asked").read_text().splitlines() == [asked, asked]
    assert not list((tmp_path / "cache" / "partial").iterdir())


OFFLINE = """npm error code ENOTFOUND
npm error syscall getaddrinfo
npm error network request to https://registry.invalid/x failed, reason: getaddrinfo ENOTFOUND registry.invalid
npm error network This is a problem related to network connectivity."""
NO_VERSION = """npm ERR! code ETARGET
npm ERR! notarget No matching version found.
npm ERR! A complete log of this run can be found in: /somewhere"""


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (f"cat >&2 <<'END'\n{OFFLINE}\nEND\nexit 1", r"npm reached no registry for .* \(ENOTFOUND\): try again with a"),
        (f"cat >&2 <<'END'\n{NO_VERSION}\nEND\nexit 1", r"could not fetch .* \(No matching version found.\)"),
        ("echo Segmentation fault >&2; exit 139", r"could not fetch .* \(Segmentation fault\): see `npm view"),
        ("exit 0", r"could not fetch .* \(it said nothing\): see .*, or give the folder of an installed copy as runt"),
        ("echo no archive > x.tgz", "npm fetched an .* without the files of a page .*: look which registry"),
    ],
)
def test_npm_fails(script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    fake_npm(tmp_path, monkeypatch, script)
    with pytest.raises(DownloadError, match=message) as raised:
        web_runtime()
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "cache" / "runtimes").exists()


def test_npm_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DownloadError, match=f"fetching {PACKAGE} {VERSION} needs npm, which is not on the PATH: inst"):
        web_runtime()


def test_npm_cannot_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    fake_npm(tmp_path, monkeypatch, "")
    (tmp_path / "npm").write_text("#!/no/such/shell\n")
    with pytest.raises(DownloadError, match=r"npm cannot be run \(No such file or directory\): install Node.js again"):
        web_runtime()


def test_npm_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(webruntime, "_MOST_SECONDS", 0.2)
    fake_npm(tmp_path, monkeypatch, "exec sleep 20")
    with pytest.raises(DownloadError, match=r"npm did not fetch .* within 0.2 s: try again later"):
        web_runtime()


@pytest.mark.parametrize(
    ("kept", "error", "message"),
    [
        (("ort.wasm.bundle.min.mjs",), DownloadError, "without the files of a page .*ort-wasm-simd-threaded.wasm"),
        (None, ChecksumError, "whose ort.wasm.bundle.min.mjs is not the one expected: look which registry"),
    ],
)
def test_npm_brings_another_package(
    kept: tuple[str, ...] | None,
    error: type[EarmarkError],
    message: str,
    installed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "dist"
    shutil.copytree(installed / "dist", source)
    if kept is None:
        (source / "ort.wasm.bundle.min.mjs").write_text("throw 'something else';")
    package = packed(tmp_path, source, names=kept or tuple(webruntime.SHA256))
    fake_npm(tmp_path, monkeypatch, f"cp {package} x.tgz")
    with pytest.raises(error, match=message):
        web_runtime()
    assert not (tmp_path / "cache" / "runtimes").exists() or not list((tmp_path / "cache" / "runtimes").iterdir())
