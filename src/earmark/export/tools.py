"""What a format needs besides earmark, asked for before the work and not after it."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from earmark.errors import DeviceError, MissingExtraError
from earmark.export.outcome import Format

_PACKAGES = {
    "litert_torch": "litert-torch",
    "ai_edge_quantizer": "ai-edge-quantizer",
    "ai_edge_litert": "ai-edge-litert",
}


def require_tools(to: Format, runtime: str | os.PathLike[str] | None = None) -> None:
    """Raise where something is missing that a format needs.

    Raises
    ------
    MissingExtraError
        If a package of the extra ``tflite`` is.
    DeviceError
        If Node is, which verifies a page.
    OptionError, DownloadError
        If the runtime of a page is, or cannot be used.
    """
    if to == "tflite":
        missing = next((package for module, package in _PACKAGES.items() if find_spec(module) is None), None)
        if missing:
            raise MissingExtraError.for_extra("tflite", missing, "writing a .tflite file")
    if to == "web":
        from earmark.export.webruntime import web_runtime

        if shutil.which("node") is None:
            raise DeviceError(
                "a page is verified in Node before it is kept, and node is not on the PATH: install Node.js"
            )
        web_runtime(None if runtime is None else Path(runtime))
