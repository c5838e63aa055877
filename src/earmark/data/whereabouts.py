"""Where the sound files of a list are: lists name them in many ways."""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath

from earmark.audio.folder import SUFFIXES
from earmark.errors import ManifestError

__all__ = ["Whereabouts", "is_sound"]

_AUDIO_FOLDERS = frozenset({"wav", "wavs", "flac", "clips", "recordings", "sounds", "files"})
_LIST_FOLDERS = ("meta", "annotation", "label", "list", "ground_truth", "segments")


class Whereabouts:
    """Finds the files that a list names.

    A name is looked up as it is, beside the list, in a folder of sound beside the list (`audio`, `wav`, `clips`,
    anything with "audio" in its name), and beside the folder of the list if that is one for lists, such as `meta`.
    A name without a suffix, or with that of another sound format, is found by its stem.

    Parameters
    ----------
    listing : Path
        The file of the list.
    audio : Path, optional
        The only folder to look in.

    Raises
    ------
    ManifestError
        If `audio` is no folder.
    """

    def __init__(self, listing: Path, audio: Path | None = None) -> None:
        if audio is not None and not audio.is_dir():
            raise ManifestError(f"{audio} is no folder: give the folder that the sound files of {listing} are in")
        self._listing, self._audio = listing, audio
        self._sounds_by_stem = lru_cache(maxsize=None)(_sounds_by_stem)

    @cached_property
    def folders(self) -> tuple[Path, ...]:
        """Where it looks, in order."""
        return (self._audio,) if self._audio else tuple(_folders(self._listing.parent))

    def find(self, name: str) -> Path | None:
        """Return the file of that name, None if there is none or several could be meant."""
        place = PurePosixPath(name.replace("\\", "/"))
        named = (folder / place for folder in self.folders)
        exact = next((path for path in named if path.is_file()), None)
        return exact or self.find_stem(place.parent, place.stem if _is_sound_suffix(place.suffix) else place.name)

    def find_stem(self, parent: PurePosixPath, stem: str) -> Path | None:
        """Return the one sound file of that stem in that folder below one of `folders`."""
        for folder in self.folders:
            found = self._sounds_by_stem(folder / parent).get(stem, ())
            if len(found) == 1:
                return found[0]
        return None


def is_sound(name: str) -> bool:
    """Whether a file of this name is sound or video, and not hidden."""
    return not name.startswith(".") and _is_sound_suffix(os.path.splitext(name)[1])  # noqa: PTH122 - called very often


def _is_sound_suffix(suffix: str) -> bool:
    return suffix.lower() in SUFFIXES


def _folders(beside: Path) -> Iterator[Path]:
    yield beside
    yield from _audio_folders(beside)
    parent = beside.absolute().parent
    if any(name in beside.absolute().name.casefold() for name in _LIST_FOLDERS):
        yield parent
        yield from _audio_folders(parent)


def _audio_folders(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        name = path.name.casefold()
        if (name in _AUDIO_FOLDERS or "audio" in name) and path.is_dir():
            yield path


def _sounds_by_stem(folder: Path) -> dict[str, Sequence[Path]]:
    found: dict[str, list[Path]] = {}
    for name in sorted(os.listdir(folder)) if folder.is_dir() else ():  # noqa: PTH208 - names are enough
        if is_sound(name):
            found.setdefault(PurePosixPath(name).stem, []).append(folder / name)
    return dict(found)
