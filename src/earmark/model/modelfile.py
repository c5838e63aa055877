"""Writing and reading the one-file model: an ONNX graph with its card, test vectors and digest inside."""

import os
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from earmark.errors import OutputError
from earmark.model.backends import Outputs, Scores, card_of, open_session
from earmark.model.card import CARD_KEY, ModelCard
from earmark.model.verify import content_digest, make_vectors

if TYPE_CHECKING:
    import onnx


def seal(model: "onnx.ModelProto", card: ModelCard) -> bytes:
    """Return the bytes of a model file: the graph, and its card with test vectors that this graph gave just now.

    Parameters
    ----------
    model : onnx.ModelProto
        A graph that keeps the contract: ``waveform`` [batch, samples] in; ``clip`` [batch, classes], ``frames``
        [batch, frames, classes] out; ``embeddings`` and ``novelty`` at will.
    card : ModelCard
        Its test vectors and digest are replaced.

    Raises
    ------
    CardError
        If card and graph contradict each other.
    """
    _embed(model, replace(card, test_vectors=(), sha256=""))
    vectors = make_vectors(_Unsaved(model.SerializeToString()))
    sealed = replace(card, test_vectors=vectors, sha256="")
    _embed(model, replace(sealed, sha256=content_digest(model, sealed)))
    return bytes(model.SerializeToString())


class _Unsaved:
    """A backend of a model that is not a file yet."""

    def __init__(self, data: bytes) -> None:
        self._session = open_session(data)
        self.card = card_of(self._session, Path("the new model"))
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, waveforms: Scores) -> Outputs:
        return Outputs(**dict(zip(self._names, self._session.run(self._names, {"waveform": waveforms}), strict=True)))


def _embed(model: "onnx.ModelProto", card: ModelCard) -> None:
    """Put the card into the model's metadata in place of the one that was there."""
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key != CARD_KEY]
    del model.metadata_props[:]
    for key, value in (*kept, (CARD_KEY, card.to_json())):
        model.metadata_props.add(key=key, value=value)


def save(model: "onnx.ModelProto", card: ModelCard, path: str | os.PathLike[str]) -> Path:
    """Seal a model and write it; the file appears whole or not at all.

    Raises
    ------
    CardError
        If card and graph contradict each other.
    OutputError
        If the file cannot be written.
    """
    return write_whole(Path(path), seal(model, card))


def writable_model(path: str | os.PathLike[str]) -> Path:
    """Return the place for a model file; refuse a bad one before the work, not after it.

    Raises
    ------
    OutputError
        If the name does not end in ``.onnx``, its folder is missing, or it is a folder itself.
    """
    target = Path(path)
    if target.suffix.lower() != ".onnx":
        raise OutputError(f"{target} does not end in .onnx: a model file does; give {target.with_suffix('.onnx')}")
    if not target.parent.is_dir():
        raise OutputError(f"there is no folder {target.parent}: make it, or choose another place for the model")
    if target.is_dir():
        raise OutputError(f"{target} is a folder: give the name of a file")
    return target


def write_whole(path: Path, data: bytes) -> Path:
    """Write bytes under a temporary name beside `path`, then move them into place.

    Raises
    ------
    OutputError
        If the folder is missing, full or read-only.
    """
    temporary: Path | None = None
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(data)
        temporary.chmod(0o644)  # a temporary file is its owner's alone
        temporary.replace(path)
    except OSError as error:
        if temporary:
            temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another place") from error
    return path


def read_card(path: str | os.PathLike[str]) -> ModelCard:
    """Read the card of an ONNX model file, without the `onnx` package and without optimising the graph.

    Raises
    ------
    ModelFormatError
        If the file is damaged.
    CardError
        If it has no card, or one that contradicts the graph.
    """
    path = Path(path)
    return card_of(open_session(path, optimise=False), path)
