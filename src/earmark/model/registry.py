"""The models earmark knows by name: what each is made from and where that lies on the network (`registry.json`)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from earmark.errors import ModelFormatError, OptionError

__all__ = [
    "MODEL_SUFFIXES",
    "REGISTRY_PATH",
    "KnownModel",
    "Precision",
    "SourceFile",
    "check_name",
    "is_name",
    "read_registry",
]

REGISTRY_PATH = Path(__file__).parent / "weights" / "registry.json"
"""The registry that comes with earmark."""

REGISTRY_FORMAT = 1

MODEL_SUFFIXES = (".onnx", ".tflite")
"""What a model file's name ends in."""

Precision = Literal["float32", "int8"]
"""Arithmetic of an imported model."""

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One published file that models are made from.

    Parameters
    ----------
    name : str
        Its file name in the cache.
    url : str
        Where it is published: http or https.
    sha256 : str
        64 hexadecimal digits, lower case. Whatever has another hash is refused.
    size_bytes : int
        Its length.
    licence, citation : str
        For people.
    """

    name: str
    url: str
    sha256: str
    size_bytes: int
    licence: str
    citation: str

    def __post_init__(self) -> None:
        _require(_FILE_NAME.fullmatch(self.name), "name", self.name, "letters, digits and . _ -")
        _require(re.match(r"https?://", self.url), "url", self.url, "an http or https address")
        _require(re.fullmatch(r"[0-9a-f]{64}", self.sha256), "sha256", self.sha256, "64 lower-case hexadecimal digits")
        _require(self.size_bytes > 0, "size_bytes", self.size_bytes, "a positive number")


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that can be had by its name.

    Parameters
    ----------
    name : str
        What `--model` takes.
    source : SourceFile
        What it is made from.
    importer : str
        Which importer makes it, such as ``yamnet``.
    precision : {"float32", "int8"}
        Handed to the importer.
    description : str
        One sentence.
    """

    name: str
    source: SourceFile
    importer: str
    precision: Precision
    description: str

    def __post_init__(self) -> None:
        check_name(self.name)
        allowed = get_args(Precision)
        _require(self.precision in allowed, "precision", self.precision, " or ".join(allowed))


def is_name(name: str) -> bool:
    """Tell whether `name` may name a model.

    A name becomes a file name, so it holds no path, and has no suffix that would make it look like one.
    """
    return _FILE_NAME.fullmatch(name) is not None and not name.lower().endswith(MODEL_SUFFIXES)


def check_name(name: str) -> str:
    """Return `name` where it may name a model; raise OptionError where it may not."""
    if is_name(name):
        return name
    raise OptionError(
        f"{name!r} cannot name a model: use 1 to 100 letters, digits and . _ - (first a letter or digit), "
        "without .onnx or .tflite at the end"
    )


def read_registry(path: Path = REGISTRY_PATH) -> dict[str, KnownModel]:
    """Read the known models, by name, in the order of the file.

    Parameters
    ----------
    path : Path
        A JSON file with the keys ``format``, ``sources`` and ``models``.

    Raises
    ------
    ModelFormatError
        If it is not JSON, or a key or value is missing, unknown or out of range.
    """
    try:
        return _known_models(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelFormatError(f"{path} is not a registry of models: {error}") from error


def _known_models(data: Mapping[str, Any]) -> dict[str, KnownModel]:
    """Build the models from the registry's JSON form; the dataclasses refuse unknown and missing keys."""
    _require(set(data) == {"format", "sources", "models"}, "keys", sorted(data), "format, models, sources")
    _require(data["format"] == REGISTRY_FORMAT, "format", data["format"], str(REGISTRY_FORMAT))
    sources = {name: SourceFile(name=name, **entry) for name, entry in data["sources"].items()}
    models = {}
    for name, entry in data["models"].items():
        source = entry.get("source")
        _require(source in sources, f"source of {name}", source, ", ".join(sources))
        models[name] = KnownModel(name=name, **{**entry, "source": sources[source]})
    return models


def _require(holds: object, what: str, value: object, allowed: str) -> None:
    if not holds:
        raise ValueError(f"{what} is {value!r}; allowed: {allowed}")
