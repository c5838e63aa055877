"""What a worker answered, in memory or in a file of the service's own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Reply"]

_PIECE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker answered.

    Parameters
    ----------
    body : bytes or Path
        The answer, or the service's own file with it, which the receiver discards.
    size : int
        Its bytes.
    media_type : str
        Its content type.
    seconds : float
        How much sound it is about.
    """

    body: bytes | Path
    size: int
    media_type: str
    seconds: float

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """Yield the answer from one of its bytes on, a file in pieces that are small beside it."""
        if isinstance(self.body, bytes):
            yield self.body[start:]
            return
        with self.body.open("rb") as file:
            file.seek(start)
            while piece := file.read(_PIECE_BYTES):
                yield piece

    def discard(self) -> None:
        """Delete the file, if there is one."""
        if isinstance(self.body, Path):
            self.body.unlink(missing_ok=True)
