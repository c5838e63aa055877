"""The first message of a stream: what the samples are, which model, which options."""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from earmark.audio.pcm import PcmFormat
from earmark.errors import OptionError
from earmark.service.options import not_allowed, unknown_option

Labels = Annotated[list[str], BeforeValidator(lambda given: [given] if isinstance(given, str) else given)]
"""Names, ids and wildcards; a string of them may have commas between, as in a query."""


class Opening(BaseModel):
    """What a client says before it sends sound.

    Attributes
    ----------
    sample_rate : int
        Hertz.
    format : {"s16le", "f32le"}
        16-bit integers or 32-bit floats, both little-endian.
    channels : int
        Interleaved; their mean is heard.
    model : str, optional
        By default the service's first.
    token : str, optional
        For a client that cannot send the header, as a browser cannot.
    scores : bool
        Whether the scores of every frame are sent.
    top : int, optional
        Send only so many of the highest scores of each frame.
    allow, deny, on, off, smoothing, min_duration, merge_gap, novelty, novelty_threshold
        As of ``POST /v1/events``.
    """

    model_config = ConfigDict(strict=True)

    sample_rate: int
    format: PcmFormat = "s16le"
    channels: int = 1
    model: str | None = None
    token: str | None = None
    scores: bool = True
    top: int | None = Field(None, ge=1)
    allow: Labels = []
    deny: Labels = []
    on: float | None = None
    off: float | None = None
    smoothing: float | None = None
    min_duration: float | None = None
    merge_gap: float | None = None
    novelty: Literal["reject", "ignore"] = "reject"
    novelty_threshold: float | None = None

    @classmethod
    def read(cls, text: str) -> "Opening":
        """Return what a message says.

        Raises
        ------
        OptionError, RefusedError
            If it is no JSON object, or one with a key or a value that is not allowed.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"the first message is not JSON ({error}): send an object such as {EXAMPLE}") from error
        if not isinstance(data, dict):
            raise OptionError(f"the first message is a JSON {type(data).__name__}: send an object such as {EXAMPLE}")
        for name in data:
            if name not in cls.model_fields:
                raise unknown_option(name, list(cls.model_fields))
        if "sample_rate" not in data:
            raise OptionError(f"the first message has no sample_rate: send an object such as {EXAMPLE}")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise not_allowed(error) from error


EXAMPLE = '{"sample_rate": 16000, "format": "s16le"}'
