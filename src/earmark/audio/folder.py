"""Finding the recordings in a folder."""

import os
from collections.abc import Callable
from pathlib import PurePath

from earmark.errors import AudioError, AudioNotFoundError

__all__ = ["SUFFIXES", "find_recordings"]

_SOUND = "aac ac3 aif aifc aiff amr ape au caf flac m4a m4b mka mp2 mp3 oga ogg opus rf64 snd spx tta w64 wav wma wv"
_VIDEO = "3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg ogv webm wmv"

SUFFIXES = frozenset(f".{name}" for name in f"{_SOUND} {_VIDEO}".split())
"""What the names of sound and video files end in. Only folders are searched by it: what a file holds, its bytes say."""


def find_recordings(folder: str, *, on_error: Callable[[AudioError], None]) -> list[str]:
    """Return the sound and video files in a folder and the folders inside it, sorted; hidden ones are left out.

    Parameters
    ----------
    folder : str
        The paths returned begin with it as it is given.
    on_error : callable
        Gets an AudioError for each folder inside that may not be read; the search goes on.

    Raises
    ------
    AudioNotFoundError
        If there is none.
    """

    def unreadable(error: OSError) -> None:
        on_error(AudioError(f"{error.filename} may not be searched: {error.strerror}; check its permissions"))

    found = []
    for parent, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(parent, name) for name in files if _is_recording(name)]  # noqa: PTH118 - keeps "./"
    if not found:
        raise AudioNotFoundError(
            f"no recording in the folder {folder}: no file in it has a suffix of sound or video, such as .wav; "
            "give a file by its name to have it read whatever its suffix"
        )
    return sorted(found, key=lambda path: PurePath(path).parts)


def _is_recording(name: str) -> bool:
    return not name.startswith(".") and PurePath(name).suffix.lower() in SUFFIXES
