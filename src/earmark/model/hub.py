"""Models by name: which are known, which are installed on this machine, and how they get here."""

import difflib
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from earmark.errors import (
    ChecksumError,
    DownloadError,
    ModelFormatError,
    ModelNotFoundError,
    OptionError,
    UnknownModelError,
)
from earmark.model.backends import load_backend
from earmark.model.cache import Cache, cache_folder, is_file, read_bytes
from earmark.model.download import PATIENCE, Patience, Progress, download
from earmark.model.importers import IMPORTERS, Importer
from earmark.model.inside import INSIDE, inside_file
from earmark.model.modelfile import read_card
from earmark.model.registry import MODEL_SUFFIXES, REGISTRY_PATH, KnownModel, Precision, check_name, read_registry
from earmark.model.status import ModelStatus, installed_status
from earmark.model.verify import verify

__all__ = ["Hub", "default_hub"]


class Hub:
    """The model inside, and those of one cache folder and one registry; several processes may share the folder.

    Parameters
    ----------
    cache_dir : str or os.PathLike, optional
        The cache folder; `cache_folder()` if None.
    registry : Path
        The JSON file of known models.
    importers : Mapping of str to Importer
        By the names that the registry uses; ``yamnet`` also tries every ``.tflite`` that the registry does not know.
    patience : Patience
        Time limits of downloads.
    inside : Path, optional
        The file of the model inside; `inside_file()` if None.
    """

    def __init__(
        self,
        cache_dir: str | os.PathLike[str] | None = None,
        *,
        registry: Path = REGISTRY_PATH,
        importers: Mapping[str, Importer] = IMPORTERS,
        patience: Patience = PATIENCE,
        inside: Path | None = None,
    ) -> None:
        self.cache = Cache(cache_folder() if cache_dir is None else Path(cache_dir))
        self._registry = registry
        self._importers = importers
        self._patience = patience
        self._inside = inside_file() if inside is None else inside

    @cached_property
    def known(self) -> Mapping[str, KnownModel]:
        """The models of the registry, by name."""
        return read_registry(self._registry)

    def resolve(self, model: str | os.PathLike[str]) -> Path:
        """Return the file of a model, given its name or its path.

        What has a path separator, or ends in ``.onnx`` or ``.tflite``, is a path; anything else is a name. A known
        model that is not installed, but whose published file somebody put into the cache, is imported first (seconds).
        An installed file is not hashed here: it was verified when it came. The model inside needs no cache.

        Raises
        ------
        ModelNotFoundError
            If there is no such file, no model of that name (UnknownModelError), a known one that is not on this
            machine, or the model inside in a source checkout that does not have it yet.
        ModelFormatError
            If the path is not of a kind that earmark reads.
        ChecksumError
            If somebody put another file into the cache than the published one.
        OptionError
            If the text can be neither a path nor a name.
        """
        text = os.fspath(model)
        if text.startswith("hf:"):
            raise ModelNotFoundError(
                f"{text!r}: models from Hugging Face come in a later version of earmark; "
                "for now give a name of `earmark models list`, or an .onnx or .tflite file"
            )
        if _is_path(text):
            return _existing_file(Path(text))
        if text == INSIDE:
            return self._existing_inside()
        if self.cache.has_model(text):
            return self.cache.model_path(text)
        known = self._find_known(text)
        source = self.cache.find_source(known.source)
        if source is None:
            raise ModelNotFoundError(
                f"model {text!r} is known but not on this machine: run `earmark models pull {text}`, "
                f"which fetches {known.source.url}; {self._by_hand(known)}"
            )
        return self._make(known, source)

    def pull(self, name: str, *, progress: Progress | None = None, force: bool = False) -> Path:
        """Install a known model: fetch what it is made from, convert, verify, move into place; return its file.

        Parameters
        ----------
        name : str
            A name of the registry. For the model inside there is nothing to do.
        progress : Progress, optional
            Called during the download with the bytes so far and in all.
        force : bool
            Make it anew although it is installed. A published file that is here, with the right hash, is used again.

        Raises
        ------
        ModelNotFoundError
            If the registry has no such name.
        DownloadError
            If the file cannot be fetched, with how to put it there by hand; ChecksumError if another file came.
        OutputError
            If the cache cannot be written.
        """
        if name == INSIDE:
            return self._existing_inside()
        if self.cache.has_model(name) and not force:
            return self.cache.model_path(name)
        known = self._find_known(name)
        try:
            source = self.cache.find_source(known.source)
        except ChecksumError:
            source = None  # the download takes its place
        return self._make(known, source or self._download(known, progress))

    def import_model(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        precision: Precision = "float32",
        calibration: Iterable[NDArray[np.float32]] = (),
        force: bool = False,
    ) -> ModelStatus:
        """Install a model from a file: YAMNet as ``.tflite``, or any ``.onnx`` with a card, which is verified.

        Parameters
        ----------
        path : str or os.PathLike
            The file. It is copied or converted and stays where it is.
        name : str, optional
            What to call it. By default the name in the card of an ``.onnx``; for a ``.tflite`` the registry's name if
            it is a published file, else its file name.
        precision : {"float32", "int8"}
            Of a ``.tflite``. An ``.onnx`` stays as it is.
        calibration : iterable of float32 waveforms, shape (samples,), at the model's rate
            Sound to measure activations on; int8 from a ``.tflite`` that carries no activation scales needs it.
        force : bool
            Replace another model of that name.

        Raises
        ------
        ModelNotFoundError
            If there is no such file.
        ModelFormatError, CardError, VerificationError
            If it is no model, has no card, or does not give what its card says.
        OptionError
            If the name cannot be used, or is taken by another model and `force` is not set, or is that of the model
            inside; or for another precision.
        """
        if precision not in get_args(Precision):
            raise OptionError(f"precision {precision!r} is not known; allowed: {', '.join(get_args(Precision))}")
        _spare_inside(os.fspath(path))
        path = _existing_file(Path(path))
        data, given = read_bytes(path), None
        if path.suffix.lower() == ".tflite":
            known = self._made_from(data, precision)
            name = check_name(name or (known.name if known else path.stem))
            data = self._importers[known.importer if known else "yamnet"](
                data, precision=precision, name=name, calibration=calibration
            )
        else:
            name = check_name(name or read_card(path).name)
            given = path.stem
        _spare_inside(name)
        if not force and self.cache.has_model(name) and read_bytes(self.cache.model_path(name)) != data:
            raise OptionError(
                f"the name {name!r} is taken by another installed model; give another name, or replace it with --force"
            )
        self._install(name, data, given=given)
        return self.status(name)

    def list_models(self) -> list[ModelStatus]:
        """Return the model inside, the known ones in the registry's order, then the others installed, by name."""
        first = (INSIDE, *self.known)
        others = [name for name in self.cache.model_names() if name not in first]
        return [self.status(name) for name in (*first, *others)]

    def status(self, name: str) -> ModelStatus:
        """Return what this machine knows of a model; raise ModelNotFoundError for a name that is not known to it."""
        if name == INSIDE:
            return self._inside_status()
        path = self.cache.model_path(name)
        if not self.cache.has_model(name):
            known = self._find_known(name)
            return ModelStatus(name, False, path, licence=known.source.licence, description=known.description)
        return installed_status(name, path)

    def info(self, model: str | os.PathLike[str]) -> dict[str, Any]:
        """Return all that is known of a model as JSON-ready data: its card without the test vectors, its file and size.

        Of a known model that is not installed it is what the registry says. `installed` tells the two apart.
        """
        text = os.fspath(model)
        if text in self.known and not self.cache.has_model(text):
            return {"installed": False, **asdict(self.known[text])}
        path = self.resolve(model)
        card = (read_card(path) if path.suffix == ".onnx" else load_backend(path).card).to_dict()
        del card["test_vectors"]
        place = {"inside": text == INSIDE, "path": str(path), "size_bytes": path.stat().st_size}
        return {"installed": True, **place, **card}

    def remove(self, name: str) -> None:
        """Delete an installed model, and the published file it was made from unless another installed one shares it.

        Raises
        ------
        ModelNotFoundError
            If no model of that name is installed. Files outside the cache are never touched.
        OptionError
            For the model inside.
        OutputError
            If the cache cannot be written.
        """
        _spare_inside(name)
        if not self.cache.has_model(name):
            raise ModelNotFoundError(f"model {name!r} is not installed; `earmark models list` shows which are")
        with self.cache.writing():
            self.cache.model_path(name).unlink(missing_ok=True)
            known = self.known.get(name)
            if known and not any(
                other.source == known.source and self.cache.has_model(other.name) for other in self.known.values()
            ):
                self.cache.source_path(known.source).unlink(missing_ok=True)

    def _existing_inside(self) -> Path:
        """Return the file of the model inside; raise ModelNotFoundError where a checkout does not have it yet."""
        if is_file(self._inside):
            return self._inside
        raise ModelNotFoundError(
            f"{INSIDE!r}, the model inside earmark, is not at {self._inside}: in a source checkout, "
            "`python -m everyday ship` makes it; or take another, as `--model yamnet` does"
        )

    def _inside_status(self) -> ModelStatus:
        try:
            return installed_status(INSIDE, self._existing_inside(), inside=True)
        except ModelNotFoundError as error:
            return ModelStatus(INSIDE, False, self._inside, problem=str(error), inside=True)

    def _find_known(self, name: str) -> KnownModel:
        """Return what the registry says of a name; raise UnknownModelError with what is nearest to it."""
        if name in self.known:
            return self.known[name]
        if beside := _with_suffix(Path(name)):
            raise UnknownModelError(f"no model called {name!r} is known, but there is a file {beside}: give it so")
        names = sorted({INSIDE, *self.known, *self.cache.model_names()} - {name})
        nearest = difflib.get_close_matches(name, names, cutoff=0.4) or names
        raise UnknownModelError(
            f"no model called {name!r} is known; nearest: {', '.join(nearest)}. A file needs its suffix: .onnx, .tflite"
        )

    def _made_from(self, source: bytes, precision: Precision) -> KnownModel | None:
        """Return the known model of that precision that is made from these bytes."""
        sha256 = hashlib.sha256(source).hexdigest()
        made = (known for known in self.known.values() if (known.source.sha256, known.precision) == (sha256, precision))
        return next(made, None)

    def _download(self, known: KnownModel, progress: Progress | None) -> bytes:
        """Fetch the published file into the cache and return it."""
        with self.cache.workshop() as folder:
            try:
                path = download(known.source, folder, patience=self._patience, progress=progress)
            except DownloadError as error:
                raise type(error)(f"{error}; {self._by_hand(known)}") from error
            data = path.read_bytes()
            _move(path, self.cache.source_path(known.source))
        return data

    def _by_hand(self, known: KnownModel) -> str:
        """Say how a published file gets here without a network."""
        source = known.source
        option = "" if known.precision == "float32" else f" --precision {known.precision}"
        return (
            f"without a network, fetch it elsewhere ({source.size_bytes} bytes, sha256 {source.sha256}) and either run "
            f"`earmark models import FILE{option}` or copy it to {self.cache.source_path(source)}"
        )

    def _make(self, known: KnownModel, source: bytes) -> Path:
        """Convert a published file and install the model."""
        importer = self._importers[known.importer]
        return self._install(known.name, importer(source, precision=known.precision, name=known.name))

    def _install(self, name: str, data: bytes, *, given: str | None = None) -> Path:
        """Put a model into the cache once it proves to give what its card says; errors call it `given`, else `name`."""
        path = self.cache.model_path(name)
        with self.cache.workshop() as folder:
            made = folder / f"{given or name}.onnx"
            made.write_bytes(data)
            verify(made)
            _move(made, path)
        return path


def default_hub() -> Hub:
    """Return the hub of the cache folder that the environment names now, and the registry that comes with earmark."""
    return Hub()


def _spare_inside(name: str) -> None:
    """Refuse to put another model in the place of the one inside, or to delete it."""
    if name == INSIDE:
        raise OptionError(
            f"{INSIDE!r} is the model inside earmark: it is always there, and is neither imported nor removed; "
            "give another name"
        )


def _is_path(text: str) -> bool:
    """Tell a path from a name by its looks alone."""
    return text.lower().endswith(MODEL_SUFFIXES) or os.sep in text or (os.altsep is not None and os.altsep in text)


def _existing_file(path: Path) -> Path:
    """Return the path of a model file that is there."""
    if path.suffix.lower() in MODEL_SUFFIXES and is_file(path):
        return path
    if os.path.exists(path):  # noqa: PTH110 - as in `is_file`
        raise ModelFormatError(f"{path} is not a model: give a file that ends in .onnx or .tflite")
    if beside := _with_suffix(path):
        raise ModelNotFoundError(f"no model file at {path}, but there is {beside}: give it so")
    raise ModelNotFoundError(f"no model file at {path}; check the path, or see `earmark models list` for names")


def _with_suffix(path: Path) -> Path | None:
    """Return the model file that is meant by a path whose suffix was left out, if there is one."""
    return next((file for suffix in MODEL_SUFFIXES if is_file(file := Path(f"{path}{suffix}"))), None)


def _move(path: Path, target: Path) -> None:
    """Give a finished file its final name in one step."""
    target.parent.mkdir(exist_ok=True)
    path.replace(target)
