"""A folder for each class."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from earmark.data.manifest import Clip, Manifest, UnreadableClip
from earmark.data.tables import is_negative
from earmark.data.whereabouts import is_sound
from earmark.errors import ManifestError

__all__ = ["SPLITS", "find_sounds", "is_flat", "read_class_folders", "read_flat_folder"]

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "validate", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""What data sets call the parts of their official division, in small letters."""

_FOLD = re.compile(r"fold[ _-]?(\d+)", re.IGNORECASE)


@dataclass
class _Found:
    """What was met on the way through the folders."""

    clips: list[Clip] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    failures: list[UnreadableClip] = field(default_factory=list)
    ignored: int = 0


def read_class_folders(root: Path) -> Manifest:
    """Read a folder whose folders are classes; sound at any depth inside one belongs to it.

    A folder's name is its label as it stands. Those named `background` or `noise`, and those whose names begin with
    ``_negative``, hold negatives. If all folders are named `train`, `test` and the like, or `fold1`, `fold2`..., the
    classes are the folders inside them.

    Raises
    ------
    ManifestError
        If there is no folder with sound in it.
    """
    found = _Found()
    for folder, fields in _class_parents(root):
        _read_classes(folder, fields, found)
    if not found.clips:
        raise ManifestError(
            f"{root} holds no clips in folders: give a folder with a folder of recordings for each class, or a CSV "
            "with the columns path and label"
        )
    return Manifest(
        clips=tuple(found.clips),
        labels=tuple(sorted(found.labels)),
        source=str(root),
        layout="folder",
        failures=tuple(found.failures),
        ignored=found.ignored,
    )


def is_flat(root: Path) -> bool:
    """Whether a folder holds recordings, and no folder."""
    return not _folders_in(root) and any(is_sound(path.name) for path in root.iterdir())


def read_flat_folder(root: Path) -> Manifest:
    """Read all recordings in a folder, at any depth, as one class of the folder's name.

    That is enough for what learns from one state alone; whatever tells classes apart refuses it.

    Raises
    ------
    ManifestError
        If there is no sound in it.
    """
    sounds, others, closed = find_sounds(root)
    if not sounds:
        raise ManifestError(f"{root} holds no recording: give a folder that does")
    name = root.resolve().name
    labels = () if is_negative(name) else (name,)
    return Manifest.of(
        (Clip(path, labels) for path in sounds), source=str(root), layout="flat", failures=tuple(closed), ignored=others
    )


def find_sounds(folder: Path) -> tuple[list[Path], int, list[UnreadableClip]]:
    """Return the sound files at any depth in a folder, sorted, how many others there are, and what may not be read.

    Hidden files and folders are left out of both.
    """
    sounds: list[Path] = []
    closed: list[UnreadableClip] = []
    others = 0

    def note(error: OSError) -> None:
        closed.append(UnreadableClip(Path(error.filename), f"the folder may not be searched: {error.strerror}"))

    for parent, folders, files in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = [name for name in sorted(files) if is_sound(name)]
        sounds += [Path(parent, name) for name in names]
        others += len(files) - len(names)
    return sorted(sounds, key=lambda path: PurePath(path).parts), others, closed


def _class_parents(root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the folders in which the classes are, with what their own names say of the clips."""
    folders = _folders_in(root)
    splits = [SPLITS.get(folder.name.casefold()) for folder in folders]
    folds = [_FOLD.fullmatch(folder.name) for folder in folders]
    if folders and all(splits) and all(_folders_in(folder) for folder in folders):
        yield from ((folder, {"split": split}) for folder, split in zip(folders, splits, strict=True))
    elif folders and all(folds):
        yield from ((folder, {"fold": match[1]}) for folder, match in zip(folders, folds, strict=True) if match)
    else:
        yield root, {}


def _read_classes(parent: Path, fields: dict[str, Any], found: _Found) -> None:
    """Add the clips of the classes in one folder."""
    for path in sorted(parent.iterdir()):
        if path.is_file() and is_sound(path.name):
            found.failures.append(UnreadableClip(path, "it lies beside the folders of the classes, in none of them"))
        elif path.is_file():
            found.ignored += 1
    for folder in _folders_in(parent):
        sounds, others, closed = find_sounds(folder)
        found.ignored += others
        found.failures += closed or [] if sounds else closed or [UnreadableClip(folder, "the folder holds no sound")]
        labels = () if is_negative(folder.name) else (folder.name,)
        found.clips += [Clip(path, labels, **fields) for path in sounds]
        found.labels.update(labels if sounds else ())


def _folders_in(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))
