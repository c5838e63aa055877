"""The room on disk for what clients send, shared by all requests."""

from pathlib import Path

from earmark.service.problems import refusal
from earmark.service.settings import Settings

__all__ = ["Room"]


class Room:
    """A folder, and how many bytes of uploads may lie in it.

    Parameters
    ----------
    folder : Path
        Private to the service.
    most_bytes : int
        Of all uploads together.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self._most = self._left = most_bytes

    @classmethod
    def of(cls, settings: Settings, folder: Path) -> "Room":
        """Return room for as many uploads of the largest size as workers can have and may wait for one."""
        limits = settings.limits
        return cls(folder, (settings.workers + limits.queue) * limits.upload_bytes)

    def take(self, count: int) -> None:
        """Take so many bytes; raise RefusedError if there are not so many left."""
        if count > self._left:
            said = f"The uploads of all clients may take {self._most} bytes on disk, and take them."
            raise refusal("no_space", said)
        self._left -= count

    def give_back(self, count: int) -> None:
        """Let others have what was taken."""
        self._left += count
