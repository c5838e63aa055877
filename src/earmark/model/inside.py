"""The model inside: it comes with earmark, so that the first question is answered at once and without a network."""

from importlib.resources import files
from pathlib import Path

__all__ = ["INSIDE", "inside_file"]

INSIDE = "everyday"
"""Its name."""


def inside_file() -> Path:
    """Return where its file lies in the package. A source checkout in which nobody has made it yet has none."""
    return Path(str(files("earmark.model") / "weights" / f"{INSIDE}.onnx"))
