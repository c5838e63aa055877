"""A model as a page: a folder that any static server gives to browsers, which then label sound by themselves."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from earmark.audio.browser import page_files
from earmark.errors import ModelFormatError, OutputError, VerificationError
from earmark.export.webnode import NodeBackend
from earmark.export.webruntime import BINARY, SCRIPT, SHA256, VERSION, WebRuntime, web_runtime
from earmark.model.backends import card_of, open_session
from earmark.model.card import CARD_KEY, ModelCard
from earmark.model.modelfile import read_card
from earmark.model.verify import Verification, content_digest, measure, require_passed

__all__ = ["NodeBackend", "WebRuntime", "require_free", "verify_web", "write_web"]

_NOT_OF_THE_PAGE = {"README.txt", "runtime-licence.txt", "verify.mjs"}
"""What lies among the files of the page and is no part of it as it is."""

_HEARING = (
    *("classify.js", "decode.js", "resample.js", "stream.js", "engine.js", "worker.js", "source.js"),
    *("drops.js", "microphone.js", "microphone-worklet.js"),
)
"""What makes answers of sound; the rest of the page anyone may change."""

_SCRIPT, _BINARY = "ort.wasm.bundle.min.js", "ort-wasm-simd-threaded.wasm"
"""The runtime's files in the folder. Not all servers know that .mjs is a script, and browsers then refuse it."""


def write_web(
    model: str | os.PathLike[str], folder: str | os.PathLike[str], *, runtime: str | os.PathLike[str] | None = None
) -> WebRuntime:
    """Write a folder with a page that labels sound in the browser: a file, or what the microphone hears.

    It needs no service and asks no other host for anything. The folder appears whole or not at all. That its answers
    are those of the model, `verify_web` shows.

    Parameters
    ----------
    model : path
        A model file, ``.onnx``.
    folder : path
        Made; may be there if it is empty.
    runtime : path, optional
        An installed copy of onnxruntime-web: ``node_modules/onnxruntime-web``, or its ``dist``. By default the one in
        the cache, else the one that npm fetches.

    Returns
    -------
    WebRuntime
        What was put into the folder, and whence.

    Raises
    ------
    ModelFormatError, CardError
        If the model cannot be read.
    OptionError
        If the runtime that is given cannot be used.
    DownloadError
        If npm is not there or fails.
    OutputError
        If the folder holds something already, or cannot be written.
    """
    model, folder = Path(model), Path(folder)
    card, text = _card_of(model)
    require_free(folder)
    found = web_runtime(None if runtime is None else Path(runtime))
    with _made_whole(folder) as draft:
        _write_page(draft, card, found)
        shutil.copyfile(model, draft / "model.onnx")
        (draft / "card.json").write_text(text, encoding="utf-8", newline="\n")
        _write_runtime(draft / "runtime", found)
    return found


def verify_web(folder: str | os.PathLike[str]) -> Verification:
    """Run the test vectors of a folder's card through the folder's own runtime, in Node.

    Parameters
    ----------
    folder : path
        As `write_web` made it.

    Returns
    -------
    Verification
        As `earmark.model.verify.verify` gives it.

    Raises
    ------
    DeviceError
        If Node is not there.
    ModelFormatError
        If the folder is no such one, or the runtime refuses the model.
    CardError
        If its card cannot be read, or has no test vectors.
    VerificationError
        If an output is missing, of another size, or differs by more than the card's tolerance; if a weight was changed,
        ``card.json`` is not the card inside the model, or a script that hears or the runtime is not what was written.
    """
    backend = NodeBackend(Path(folder))
    require_own_scripts(Path(folder))
    unchanged = _unchanged(Path(folder) / "model.onnx", backend.card)
    with backend:
        return require_passed(measure(backend, unchanged=unchanged), str(folder))


def require_own_scripts(folder: Path) -> None:
    """Raise VerificationError where what Node is to run is not what was written: it may do anything.

    A runtime of another version than the one that earmark knows is taken as it is: it was given by hand.
    """
    own = _page_files()
    digests = {name: hashlib.sha256(own[name].read_bytes()).hexdigest() for name in _HEARING}
    version = folder / "runtime" / "VERSION.txt"
    if version.is_file() and version.read_text(encoding="utf-8", errors="replace") == _version_line(VERSION):
        digests |= {f"runtime/{_SCRIPT}": SHA256[SCRIPT], f"runtime/{_BINARY}": SHA256[BINARY]}
    for name, sha256 in digests.items():
        path = folder / name
        if not path.is_file():
            raise VerificationError(f"{path} is missing, so that the page hears nothing; export the page again")
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise VerificationError(f"{path} was changed since it was written, and is not run; export the page again")


def _version_line(version: str) -> str:
    return f"onnxruntime-web {version}\n"


def _unchanged(model: Path, card: ModelCard) -> bool | None:
    if read_card(model) != card:
        return False
    if not card.sha256:
        return None
    import onnx

    return content_digest(onnx.load(model), card) == card.sha256


def _card_of(model: Path) -> tuple[ModelCard, str]:
    """Return the card of a model file, and its text as it is in there."""
    if model.suffix.lower() != ".onnx":
        raise ModelFormatError(f"{model} is no .onnx file: browsers run those alone; give the model in that form")
    if not model.is_file():
        raise ModelFormatError(f"no model file at {model}; check the path, or see `earmark models list`")
    session = open_session(model, optimise=False)
    return card_of(session, model), session.get_modelmeta().custom_metadata_map[CARD_KEY]


def require_free(folder: Path) -> None:
    """Raise OutputError where a page cannot be written: in a folder that holds something, or beside no folder."""
    if folder.is_dir():
        if any(folder.iterdir()):
            raise OutputError(f"{folder} is not empty: give a new folder, or empty this one")
    elif folder.exists() or folder.is_symlink():
        raise OutputError(f"{folder} is a file: give a new folder")
    elif not folder.absolute().parent.is_dir():
        raise OutputError(f"there is no folder {folder.absolute().parent}: make it, or choose another place")


@contextmanager
def _made_whole(folder: Path) -> Iterator[Path]:
    """Give a folder under a temporary name beside `folder`, and move it there at the end."""
    draft: Path | None = None
    try:
        draft = Path(tempfile.mkdtemp(dir=folder.absolute().parent, prefix=f".{folder.name}."))
        yield draft
        draft.chmod(0o755)  # a temporary folder is its owner's alone, and a server may be somebody else
        if folder.is_dir():
            folder.rmdir()
        draft.rename(folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}; choose another place") from error
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)


def _write_page(folder: Path, card: ModelCard, runtime: WebRuntime) -> None:
    """Write the page's own files, and the two that say what the folder is: to people, and to Node."""
    for name, file in _page_files().items():
        if name not in _NOT_OF_THE_PAGE:
            (folder / name).write_bytes(file.read_bytes())
    facts = {
        "name": card.name,
        "version": card.version,
        "licence": card.licence,
        "labels": str(len(card.labels)),
        "sample_rate": str(card.sample_rate),
        "runtime": runtime.version,
    }
    facts = {key: " ".join(value.split()) for key, value in facts.items()}  # a card may say what it wants
    (folder / "README.txt").write_text(Template(_text("README.txt")).substitute(facts), encoding="utf-8")
    package = {"private": True, "type": "module", "main": "classify.js"}  # older Node takes .js for CommonJS
    (folder / "package.json").write_text(json.dumps(package, indent=2) + "\n", encoding="utf-8")


def _write_runtime(folder: Path, runtime: WebRuntime) -> None:
    folder.mkdir()
    shutil.copyfile(runtime.script, folder / _SCRIPT)
    shutil.copyfile(runtime.binary, folder / _BINARY)
    licence = runtime.licence.read_text(encoding="utf-8") if runtime.licence else _text("runtime-licence.txt")
    (folder / "LICENSE.txt").write_text(licence, encoding="utf-8")
    (folder / "VERSION.txt").write_text(_version_line(runtime.version), encoding="utf-8")


def _text(name: str) -> str:
    return _page_files()[name].read_text(encoding="utf-8")


def _page_files() -> dict[str, Traversable]:
    return page_files(files("earmark.export").joinpath("webpage"))
