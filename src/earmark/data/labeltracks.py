"""Recordings with label tracks beside them: Audacity's, or selection tables of Raven."""

from pathlib import Path

from earmark.data.folders import find_sounds
from earmark.data.manifest import Clip, LabelledEvent, Manifest, UnreadableClip
from earmark.data.stronglabels import is_label_track, read_events
from earmark.errors import ManifestError

__all__ = ["find_tracks", "read_label_tracks"]


def find_tracks(root: Path, sounds: list[Path]) -> dict[Path, list[Path]]:
    """Return the label tracks of each recording that has any.

    A track is a .txt that begins with the recording's stem and a dot: ``street.txt`` or
    ``street.Table.1.selections.txt`` for ``street.wav``. It lies beside it or anywhere else in the folder, unless a
    recording of that stem beside the track has it already.
    """
    tracks = sorted(path for path in root.rglob("*.txt") if not path.name.startswith(".") and is_label_track(path))
    by_stem: dict[str, list[Path]] = {}
    for sound in sounds:
        by_stem.setdefault(sound.stem, []).append(sound)
    found: dict[Path, list[Path]] = {}
    for track in tracks:
        for sound in _meant(track, by_stem):
            found.setdefault(sound, []).append(track)
    return found


def _meant(track: Path, by_stem: dict[str, list[Path]]) -> list[Path]:
    """Return the recording a track is for: beside it if there is one, else the only one of that stem."""
    parts = track.name.split(".")
    stems = [".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]
    candidates = next((by_stem[stem] for stem in stems if stem in by_stem), [])
    beside = [sound for sound in candidates if sound.parent == track.parent]
    return beside or (candidates if len(candidates) == 1 else [])


def read_label_tracks(root: Path, audio: Path | None = None) -> Manifest:
    """Read the recordings in a folder and the label tracks that belong to them.

    A recording with an empty track is a negative; one without a track is left out and listed.

    Parameters
    ----------
    root : Path
        The folder of the tracks, and of the recordings if `audio` is not given.
    audio : Path, optional
        The folder of the recordings.

    Raises
    ------
    ManifestError
        If there is no recording with a track, or a track is malformed.
    """
    sounds, others, failures = find_sounds(audio or root)
    tracks = find_tracks(root, sounds)
    if not tracks:
        raise ManifestError(
            f"{root} holds no recording with a label track: put the .txt of Audacity or Raven beside each recording, "
            "under the same name"
        )
    clips = [_clip(sound, tracks[sound]) for sound in sounds if sound in tracks]
    bare = [UnreadableClip(sound, "it has no label track") for sound in sounds if sound not in tracks]
    used = len({track for several in tracks.values() for track in several}) if audio is None else 0
    return Manifest.of(
        clips, source=str(root), layout="tracks", failures=(*failures, *bare), ignored=max(others - used, 0)
    )


def _clip(sound: Path, tracks: list[Path]) -> Clip:
    events: set[LabelledEvent] = set()
    for track in tracks:
        found = read_events(track)
        named = {name: several for name, several in found.items() if Path(name).stem == sound.stem}
        # A table for many recordings names them; one for this recording may name it by an old name.
        events.update(*(named or found).values())
    ordered = tuple(sorted(events, key=lambda event: (event.onset_seconds, event.offset_seconds, event.label)))
    return Clip(sound, tuple(dict.fromkeys(event.label for event in ordered)), events=ordered)
