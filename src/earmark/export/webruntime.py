"""The runtime of a page: onnxruntime-web, fetched once by the user's own npm and kept in the cache, or given.

Of its 130 MB a page needs two files: the script, and the WebAssembly that computes on the processor.
"""

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from earmark.errors import ChecksumError, DownloadError, OptionError
from earmark.model.cache import Cache, cache_folder, is_file

__all__ = ["LEAST_VERSION", "PACKAGE", "VERSION", "WebRuntime", "web_runtime"]

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
"""What npm is asked for."""
LEAST_VERSION = (1, 21)
"""The first that has its script in one file; operator set 18, which models are written in, it had learnt before."""

SCRIPT, BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
SHA256 = {  # of VERSION; npm compares the whole package with what its registry says, whichever that is
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    BINARY: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
_INSTALL = f"npm install {PACKAGE}@{VERSION}"
_OR_GIVE = "or give the folder of an installed copy as runtime"
_MOST_SECONDS = 600

# npm tells a failure in some twenty lines: codes first, the reason, then advice and where its log is.
_NPM_ERROR = re.compile(r"^npm (?:error|ERR!) ?(.*)$")
_NPM_CODE = re.compile(r"^code (\S+)$")
_NPM_NO_REASON = re.compile(r"^(code|errno|syscall|path|dest) |^A complete log|^\s*$|^\s+at |^[{}]")
_NPM_TOPIC = re.compile(r"^(?:notarget|network|[45]\d\d) ")
_UNREACHED = {"ECONNREFUSED", "ECONNRESET", "EAI_AGAIN", "ENETUNREACH", "ENOTCACHED", "ENOTFOUND", "ETIMEDOUT"}


@dataclass(frozen=True, slots=True)
class WebRuntime:
    """The files of onnxruntime-web that a page needs.

    Parameters
    ----------
    folder : Path
        Where they lie: in the cache, or the `dist` of an installed copy.
    version : str
        Such as ``1.30.0``.
    origin : {"cache", "npm", "given"}
        Whether it was there already, npm fetched it just now, or the caller named it.
    """

    folder: Path
    version: str
    origin: Literal["cache", "npm", "given"]

    @property
    def script(self) -> Path:
        """The ES module."""
        return self.folder / SCRIPT

    @property
    def binary(self) -> Path:
        """The WebAssembly: SIMD, for any number of threads and so for one."""
        return self.folder / BINARY

    @property
    def licence(self) -> Path | None:
        """The text of its licence; None where the package has only its name, MIT, as it does now."""
        places = (place / name for place in (self.folder, self.folder.parent) for name in ("LICENSE", "LICENSE.txt"))
        return next((path for path in places if self.origin == "given" and is_file(path)), None)


def web_runtime(given: Path | None = None) -> WebRuntime:
    """Return the runtime: the one that is given, else the one in the cache, else the one that npm fetches.

    Parameters
    ----------
    given : Path, optional
        A folder ``node_modules/onnxruntime-web``, or its ``dist``.

    Raises
    ------
    OptionError
        If what is given is no onnxruntime-web, lacks a file, or is too old.
    DownloadError
        If npm is not there, reaches nobody, or fails.
    ChecksumError
        If what it fetched is not the package that earmark was tested with.
    OutputError
        If the cache cannot be written.
    """
    if given is not None:
        return _given(given)
    cache = Cache(cache_folder())
    folder = cache.folder / "runtimes" / f"{PACKAGE}-{VERSION}"
    if all(is_file(folder / name) and _sha256(folder / name) == sha256 for name, sha256 in SHA256.items()):
        return WebRuntime(folder, VERSION, "cache")
    _fetch(cache, folder)
    return WebRuntime(folder, VERSION, "npm")


def _given(path: Path) -> WebRuntime:
    root = path.parent if path.name == "dist" and not is_file(path / "package.json") else path
    try:
        package = json.loads((root / "package.json").read_text(encoding="utf-8"))
        name, version = str(package["name"]), str(package["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OptionError(
            f"runtime {path} is no {PACKAGE}: its package.json cannot be read; "
            f"give node_modules/{PACKAGE} after `{_INSTALL}`, or leave runtime out"
        ) from error
    if name != PACKAGE:
        raise OptionError(f"runtime {path} is the package {name!r}: give the folder of {PACKAGE}, or leave runtime out")
    if _parts(version) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise OptionError(
            f"runtime {path} is {PACKAGE} {version}, too old for models of operator set 18 and for the page: "
            f"it takes {least} or later; `{_INSTALL}`, or leave runtime out"
        )
    missing = [file for file in SHA256 if not is_file(root / "dist" / file)]
    if missing:
        raise OptionError(f"runtime {path} lacks dist/{missing[0]}: install it again with `{_INSTALL}`")
    return WebRuntime(root / "dist", version, "given")


def _parts(version: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fetch(cache: Cache, folder: Path) -> None:
    """Let npm fetch the package, and keep the two files of it, whole or not at all."""
    npm = shutil.which("npm")
    if npm is None:
        raise DownloadError(
            f"fetching {PACKAGE} {VERSION} needs npm, which is not on the PATH: install Node.js once, {_OR_GIVE}"
        )
    with cache.workshop() as workshop:
        _unpack(_pack(npm, workshop), kept := workshop / "kept")
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():  # its files are not the right ones
            folder.rename(workshop / "old")
        kept.rename(folder)


def _pack(npm: str, folder: Path) -> Path:
    """Return the package as npm fetched it, by the user's own settings, into `folder`."""
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--loglevel=error"]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, no input
            command, cwd=folder, check=False, capture_output=True, text=True, errors="replace", timeout=_MOST_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise DownloadError(
            f"npm did not fetch {PACKAGE} {VERSION} within {_MOST_SECONDS} s: try again later, {_OR_GIVE}"
        ) from error
    except OSError as error:
        raise DownloadError(f"{npm} cannot be run ({error.strerror}): install Node.js again, {_OR_GIVE}") from error
    packages = sorted(folder.glob("*.tgz"))
    if done.returncode or not packages:
        raise DownloadError(_npm_failure(done.stderr or done.stdout))
    return packages[0]


def _npm_failure(output: str) -> str:
    """Say in a sentence why npm failed, out of all that it said."""
    told = [match[1] for line in output.splitlines() if (match := _NPM_ERROR.match(line))]
    codes = [match[1] for line in told if (match := _NPM_CODE.match(line))]
    reasons = [_NPM_TOPIC.sub("", line).strip() for line in told if not _NPM_NO_REASON.match(line)]
    if codes and codes[0] in _UNREACHED:
        return f"npm reached no registry for {PACKAGE} {VERSION} ({codes[0]}): try again with a network, {_OR_GIVE}"
    reason = reasons[0] if reasons else next(iter(output.strip().splitlines()[-1:]), "it said nothing")
    return f"npm could not fetch {PACKAGE} {VERSION} ({reason}): see `npm view {PACKAGE}@{VERSION}`, {_OR_GIVE}"


def _unpack(package: Path, folder: Path) -> None:
    """Write the files that a page needs, by their names alone: nothing else of an archive is trusted."""
    folder.mkdir()
    try:
        with tarfile.open(package, "r:gz") as archive:
            for name, sha256 in SHA256.items():
                member = archive.extractfile(f"package/dist/{name}")
                (folder / name).write_bytes(member.read() if member else b"")
                if _sha256(folder / name) != sha256:
                    raise ChecksumError(
                        f"npm fetched an {PACKAGE} {VERSION} whose {name} is not the one expected: look which registry "
                        f"`npm config get registry` names, {_OR_GIVE}"
                    )
    except (KeyError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DownloadError(
            f"npm fetched an {PACKAGE} {VERSION} without the files of a page ({str(error).strip(chr(34))}): "
            f"look which registry `npm config get registry` names, {_OR_GIVE}"
        ) from error
