"""Labelled clips from wherever they are: folders, lists, data sets as they are published."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from earmark.data.audioset import is_segment_list, read_segments
from earmark.data.folders import find_sounds, is_flat, read_class_folders, read_flat_folder
from earmark.data.labeltracks import find_tracks, read_label_tracks
from earmark.data.listings import LISTINGS, choose_listing, read_listing
from earmark.data.manifest import Manifest
from earmark.data.probe import Progress, leave_out_unreadable
from earmark.data.tables import read_table
from earmark.data.whereabouts import is_sound
from earmark.errors import ManifestError, OptionError

__all__ = ["LAYOUTS", "as_manifest", "read_manifest"]

LAYOUTS = ("folder", "flat", *LISTINGS, "audioset", "tracks")
"""What `read_manifest` can be told to expect."""

_LISTS = ("*.csv", "*.tsv")
_PUBLISHED = ("meta/esc50.csv", "metadata/UrbanSound8K.csv")
_PREFERRED = "manifest.csv"
_MODELS = (".onnx", ".tflite")


def read_manifest(
    data: str | os.PathLike[str],
    *,
    layout: str | None = None,
    audio: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
    check: bool = True,
    progress: Progress | None = None,
) -> Manifest:
    """Read labelled clips.

    Parameters
    ----------
    data : str or os.PathLike
        A folder with a folder for each class, a list of clips (CSV or TSV), the folder of a data set that has one
        (ESC-50, UrbanSound8K...), a segment list of AudioSet, recordings with label tracks beside them, or a folder
        of recordings of one thing, which are one class under the folder's name.
    layout : str, optional
        One of `LAYOUTS`; by default, what `data` looks like.
    audio : str or os.PathLike, optional
        Where the sound files of a list are, if not beside it.
    columns : Mapping of str to str, optional
        Headings of a list by role (`earmark.data.tables.ROLES`), where they are not known by their names.
    check : bool
        Whether to open every file, and to leave out those that cannot be read.
    progress : callable, optional
        Gets how many files are checked, and how many there are.

    Returns
    -------
    Manifest
        Of at least one clip. Whether it is enough to learn from, `Manifest.require_trainable` says.

    Raises
    ------
    ManifestError
        If there is nothing there, or it cannot be understood, or not one file can be read.
    OptionError
        If there is no such layout or role.
    """
    if layout is not None and layout not in LAYOUTS:
        raise OptionError(f"layout {layout!r} is not known: give one of {', '.join(LAYOUTS)}, or none")
    path, audio_folder = Path(data), None if audio is None else Path(audio)
    if path.suffix.lower() in _MODELS:
        raise ManifestError(
            f"{path} is a model where labelled clips are wanted: give a folder of them, or a list; -o says where a new "
            "model goes"
        )
    if not path.exists():
        raise ManifestError(f"there is no {path}: give a folder of clips, or a list of them")
    manifest = replace(_read(path, layout, audio_folder, columns), source=os.fspath(data))
    if not check:
        return manifest
    checked = leave_out_unreadable(manifest, progress)
    if not checked.clips:
        raise ManifestError(
            f"none of the {len(manifest)} clips of {path} can be read; the first: {checked.failures[0].reason}"
        )
    return checked


def as_manifest(data: str | os.PathLike[str] | Manifest, **how: Any) -> Manifest:
    """Return clips that are a manifest already, or else read them; `how` is what `read_manifest` takes."""
    return data if isinstance(data, Manifest) else read_manifest(data, **how)


def _read(path: Path, layout: str | None, audio: Path | None, columns: Mapping[str, str] | None) -> Manifest:
    if layout == "folder":
        return read_class_folders(_folder(path, layout))
    if layout == "flat":
        return read_flat_folder(_folder(path, layout))
    if layout == "tracks":
        return read_label_tracks(_folder(path, layout), audio)
    listing = _find_list(path, columns, needed=layout is not None) if path.is_dir() else path
    if listing is not None:
        return _read_list(listing, layout, audio, columns)
    root = audio or path
    if find_tracks(path, find_sounds(root)[0]):
        return read_label_tracks(path, audio)
    return read_flat_folder(path) if is_flat(path) else read_class_folders(path)


def _read_list(path: Path, layout: str | None, audio: Path | None, columns: Mapping[str, str] | None) -> Manifest:
    if layout == "audioset" or (layout is None and is_segment_list(path)):
        return read_segments(path, audio=audio)
    if is_sound(path.name):
        raise ManifestError(f"{path} is one recording: give a folder of clips, or a list of them")
    table = read_table(path)
    return read_listing(table, layout=layout or choose_listing(table), audio=audio, columns=columns)


def _find_list(folder: Path, columns: Mapping[str, str] | None, *, needed: bool) -> Path | None:
    """Return the list of clips in a folder, None where there is none and none is needed.

    Raises
    ------
    ManifestError
        If there are several and none is called manifest.csv.
    """
    published = next((folder / name for name in _PUBLISHED if (folder / name).is_file()), None)
    if published:
        return published
    lists = [path for pattern in _LISTS for path in sorted(folder.glob(pattern)) if _is_list(path, columns)]
    if len(lists) > 1 and folder / _PREFERRED not in lists:
        raise ManifestError(f"{folder} holds several lists: give one of {', '.join(map(str, lists))}")
    if needed and not lists:
        raise ManifestError(f"{folder} holds no list of clips: give a CSV with the columns path and label")
    return folder / _PREFERRED if len(lists) > 1 else next(iter(lists), None)


def _is_list(path: Path, columns: Mapping[str, str] | None) -> bool:
    if path.name.startswith("."):
        return False
    if is_segment_list(path):
        return True
    try:
        return {"path", "label"} <= set(read_table(path).roles(columns))
    except ManifestError:
        return False


def _folder(path: Path, layout: str) -> Path:
    if not path.is_dir():
        raise ManifestError(f"{path} is no folder, and the layout {layout!r} is one")
    return path
