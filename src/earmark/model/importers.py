"""How a published file becomes a one-file model: the importers, by the names that the registry uses."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from earmark.model.registry import Precision

__all__ = ["IMPORTERS", "Importer"]


class Importer(Protocol):
    """Makes a one-file model, card and test vectors inside, from the bytes of a published file."""

    def __call__(
        self, source: bytes, /, *, precision: Precision, name: str, calibration: Iterable[NDArray[np.float32]] = ()
    ) -> bytes:
        """Return the bytes of the ``.onnx`` file; raise ModelFormatError for a source it does not know."""
        ...  # pragma: no cover - a protocol


def _import_yamnet(
    source: bytes, /, *, precision: Precision, name: str, calibration: Iterable[NDArray[np.float32]] = ()
) -> bytes:
    from earmark.model.yamnet import import_yamnet  # brings onnx, which running a model does not need

    return import_yamnet(source, precision=precision, name=name, calibration=calibration)


IMPORTERS: Mapping[str, Importer] = {"yamnet": _import_yamnet}
"""Earmark's own."""
