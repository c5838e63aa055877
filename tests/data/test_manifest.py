"""The manifest: targets, groups, selection, what can be learnt from, and CSV that comes back the same."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark.data.manifest import Clip, LabelledEvent, Manifest, UnreadableClip
from earmark.data.readers import read_manifest
from earmark.data.tables import is_negative
from earmark.errors import ManifestError, OutputError, TooFewClipsError
from tests.data.clips import write_sound


def manifest_of(*labels: tuple[str, ...], **fields: object) -> Manifest:
    clips = [Clip(Path(f"{number}.wav"), several) for number, several in enumerate(labels)]
    return Manifest.of(clips, source="here", layout="csv", **fields)


def test_targets_are_ones_and_negatives_zeros() -> None:
    manifest = manifest_of(("b",), ("a", "b"), ())
    assert manifest.labels == ("a", "b")
    assert manifest.targets().dtype == np.float32
    assert manifest.targets().tolist() == [[0, 1], [1, 1], [0, 0]]
    assert len(manifest) == 3
    assert manifest.has_negatives
    assert manifest.is_multi_label
    assert not manifest.has_events
    assert manifest.counts() == {"a": 1, "b": 2}


def test_several_labels_make_it_multi_label_unless_told() -> None:
    assert not manifest_of(("a",), ("b",)).is_multi_label
    assert manifest_of(("a",), ("b",), multi_label=True).is_multi_label


def test_a_selection_keeps_labels_and_task() -> None:
    manifest = manifest_of(("a",), ("b", "c"), ("a",))
    chosen = manifest.select(np.array([2, 0]))
    assert [clip.path.name for clip in chosen.clips] == ["2.wav", "0.wav"]
    assert chosen.labels == ("a", "b", "c")
    assert chosen.is_multi_label, "the task is that of the whole"


def test_a_group_is_the_file_where_none_is_named() -> None:
    clips = (Clip(Path("a.wav"), ("x",), group="pond"), Clip(Path("b.wav"), ("x",)))
    assert Manifest.of(clips, source="", layout="csv").groups().tolist() == ["pond", "b.wav"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([("dog",)] * 4, "fewer than two classes .only 'dog'"),
        ([()], "fewer than two classes .none"),
        ([("dog",), ("dog",), ("sea, waves",)], r"fewer than two clips: 'sea, waves' \(1\)"),
    ],
)
def test_what_nothing_can_be_learnt_from(labels: list[tuple[str, ...]], message: str) -> None:
    with pytest.raises(TooFewClipsError, match=message):
        manifest_of(*labels).require_trainable()


def test_a_class_and_what_it_is_not_are_two_things() -> None:
    manifest_of(("dog",), ("dog",), ()).require_trainable()


def test_what_was_lost_is_said() -> None:
    manifest = manifest_of(("a",), failures=(UnreadableClip(Path("b.wav"), "broken"),))
    with pytest.raises(TooFewClipsError, match="1 file could not be read"):
        manifest.require_trainable()


@pytest.mark.parametrize(("start", "end"), [(-1.0, None), (2.0, 1.0), (1.0, 1.0), (0.0, math.inf), (math.nan, None)])
def test_impossible_parts(start: float, end: float | None) -> None:
    with pytest.raises(ManifestError, match="is impossible"):
        Clip(Path("a.wav"), ("x",), start_seconds=start, end_seconds=end)


@pytest.mark.parametrize(("onset", "offset"), [(-0.1, 1.0), (1.0, 0.5), (0.0, math.inf), (math.nan, 1.0)])
def test_impossible_events(onset: float, offset: float) -> None:
    with pytest.raises(ManifestError, match="is impossible"):
        LabelledEvent("x", onset, offset)


def test_labels_contradict() -> None:
    with pytest.raises(ManifestError, match="label twice"):
        Clip(Path("a.wav"), ("x", "x"))
    with pytest.raises(ManifestError, match="its list lacks: b"):
        Manifest((Clip(Path("a.wav"), ("b",)),), ("a",), "here", "csv")
    with pytest.raises(ManifestError, match="sorted and unique"):
        Manifest((), ("b", "a"), "here", "csv")


def test_the_digest_is_of_the_list_and_not_of_its_place(tmp_path: Path) -> None:
    def digest(root: str, label: str = "x", fold: str | None = None) -> str:
        clips = [Clip(tmp_path / root / "a" / "1.wav", (label,), fold=fold), Clip(tmp_path / root / "b" / "1.wav", ())]
        return Manifest.of(clips, source=root, layout="folder").digest()

    assert digest("here") == digest("there")
    assert len({digest("here"), digest("here", "y"), digest("here", fold="1")}) == 3


def test_csv_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        manifest_of(("a",)).to_csv(tmp_path / "no" / "folder.csv")


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda name: name.strip() == name and not is_negative(name)
)
EVENTS = st.tuples(NAMES, st.floats(0, 10), st.floats(0, 10)).map(
    lambda event: LabelledEvent(event[0], *sorted(event[1:]))
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    labels=st.lists(NAMES, max_size=3, unique=True),
    fold=st.none() | st.sampled_from(["1", "10", "a b"]),
    group=st.none() | NAMES,
    split=st.none() | st.sampled_from(["train", "validation", "test"]),
    start=st.none() | st.floats(0, 0.1),
    verified=st.none() | st.booleans(),
    events=st.none() | st.lists(EVENTS, max_size=3).map(tuple),
)
def test_csv_comes_back_the_same(tmp_path: Path, **fields: object) -> None:
    path = tmp_path / "sub" / "größe, 1.wav"
    if not path.exists():
        write_sound(path, 1)
    start = fields.pop("start")
    clip = Clip(path, tuple(fields.pop("labels")), start_seconds=start, **fields)  # type: ignore[arg-type]
    manifest = Manifest.of([clip], source="here", layout="folder")
    again = read_manifest(manifest.to_csv(tmp_path / "list.csv"), check=False)
    assert again.clips == manifest.clips
    assert again.digest() == manifest.digest()


def test_a_name_for_reports() -> None:
    clip = Clip(Path("a.wav"), ())
    assert clip.name == "a.wav"
    assert replace(clip, start_seconds=1.5).name == "a.wav [1.5- s]"
    assert replace(clip, end_seconds=2.0).name == "a.wav [0-2 s]"
