"""What every decoder offers to the reader."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from earmark.audio.doctor import Finding

__all__ = ["Decoder"]


class Decoder(Protocol):
    """Decodes one recording, once, from one sample to another.

    Attributes
    ----------
    rate_hz, channels : int
        Of the source.
    container, codec : str
        In lower case, such as ``wav`` and ``pcm_16``.
    claimed_seconds : float or None
        What the header says, None if it says nothing exact. Some know it only after the last block.
    slack_seconds : float
        By how much an intact recording may fall short of the claim.
    position : int
        The sample after the last one that was decoded, those before `start` included.
    broken : bool
        Whether decoding ended at a damage, or the container lacks its end. Final after the last block.
    findings : tuple of Finding
        What the container tells beside its length.
    """

    rate_hz: int
    channels: int
    container: str
    codec: str
    claimed_seconds: float | None
    slack_seconds: float
    position: int
    broken: bool
    findings: tuple[Finding, ...]

    @property
    def samples(self) -> int | None:
        """How many there are up to the end or the first damage; None if only decoding can tell."""
        ...

    def blocks(self, start: int, stop: int | None, block_samples: int) -> Iterator[NDArray[np.float32]]:
        """Yield samples `start` to `stop` (None: to the end) in blocks of shape (samples, channels), never empty.

        It ends early where the recording ends or is damaged.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...
