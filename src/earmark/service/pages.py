"""The page for people at ``/`` and the description of the interface at ``/docs``: files of the package, as they are.

No path that a client sends is ever opened: what there is to serve is read once, and looked up by its name.
"""

import hashlib
import io
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Header, HTTPException, Response

from earmark.audio.browser import page_files

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

EXAMPLE = "example.wav"
"""A minute of sound made from arithmetic, for who has no recording at hand."""

_EXAMPLE_SEED = 2026

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wav": "audio/wav",
}

_SWAGGER_FILES = ("swagger-ui.css", "swagger-ui-bundle.js")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page.

    Parameters
    ----------
    content : bytes
        All of it.
    media_type : str
        Of the answer's ``Content-Type``.
    tag : str
        Of the answer's ``ETag``, quotes included: another content has another.
    """

    content: bytes
    media_type: str
    tag: str

    def answer(self, known_tag: str | None) -> Response:
        """Return the file, or the word that what the browser has is still right."""
        headers = {"ETag": self.tag, "Cache-Control": "no-cache"}
        if known_tag == self.tag:
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)


KnownTag = Annotated[str | None, Header(alias="If-None-Match")]


@router.get("/")
async def page(known_tag: KnownTag = None) -> Response:
    """Return the page."""
    return _assets()["index.html"].answer(known_tag)


@router.get("/docs")
async def docs(known_tag: KnownTag = None) -> Response:
    """Return the page that shows the interface and lets one try it."""
    return _assets()["docs.html"].answer(known_tag)


@router.get(f"/static/{EXAMPLE}")
def example(known_tag: KnownTag = None) -> Response:
    """Return the example; no coroutine, for it takes half a second to make."""
    return _example().answer(known_tag)


@router.get("/static/{name:path}")
async def static(name: str, known_tag: KnownTag = None) -> Response:
    """Return a file of the pages by its name."""
    asset = _assets().get(name)
    if asset is None:
        raise HTTPException(404)
    return asset.answer(known_tag)


@cache
def _assets() -> dict[str, Asset]:
    """Read all files of the pages, by name."""
    own = page_files(files("earmark.service").joinpath("static"))
    swagger = {name: _swagger_folder().joinpath(name) for name in _SWAGGER_FILES}
    return {name: _asset(name, item.read_bytes()) for name, item in (own | swagger).items()}


@cache
def _example() -> Asset:
    import soundfile

    from earmark.audio.synthesis import SAMPLE_RATE_HZ, scene

    waveform, _ = scene(np.random.default_rng(_EXAMPLE_SEED))
    file = io.BytesIO()
    soundfile.write(file, waveform, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return _asset(EXAMPLE, file.getvalue())


def _asset(name: str, content: bytes) -> Asset:
    suffix = name[name.rindex(".") :]
    return Asset(content, _MEDIA_TYPES[suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _swagger_folder() -> Traversable:
    """Return the folder of the one release of Swagger UI that the package ``swagger-ui-bundle`` holds."""
    from earmark.errors import needs_extra

    with needs_extra("serve", "the page /docs"):
        releases = files("swagger_ui_bundle").joinpath("vendor").iterdir()
    return next(folder for folder in releases if folder.name.startswith("swagger-ui"))
