"""Splits: no source on both sides, every class on both, the same for the same seed; leaks found and told."""

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data import splits
from earmark.data.manifest import Clip, Manifest
from earmark.data.splits import Split, cross_folds, hold_out, leaks, require_no_leaks
from earmark.errors import LeakError, ManifestError, OptionError, TooFewClipsError


def manifest_of(rows: Sequence[tuple[str, str]], **fields: Sequence[str | None]) -> Manifest:
    """Return a manifest from labels (split at commas) and groups, and further fields of the clips."""
    clips = [
        Clip(
            Path(f"{index}.wav"),
            tuple(label for label in labels.split(",") if label),
            group=group or None,
            **{name: values[index] for name, values in fields.items()},
        )
        for index, (labels, group) in enumerate(rows)
    ]
    return Manifest.of(clips, source="clips", layout="test")


def balanced(classes: int = 3, sources: int = 6, clips: int = 2) -> Manifest:
    """Return a manifest with so many classes, sources of each and clips of each source."""
    return manifest_of([(f"c{c}", f"{c}/{s}") for c in range(classes) for s in range(sources) for _ in range(clips)])


def labels_in(manifest: Manifest, indices: np.ndarray) -> set[str]:
    return {label or "negative" for index in indices for label in manifest.clips[index].labels or ("",)}


def assert_partition(manifest: Manifest, folds: Sequence[Split]) -> None:
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(manifest)))
    groups = manifest.groups()
    everything = labels_in(manifest, np.arange(len(manifest)))
    for fold in folds:
        assert sorted([*fold.train, *fold.test]) == list(range(len(manifest)))
        assert not set(groups[fold.train]) & set(groups[fold.test])
        assert labels_in(manifest, fold.train) == everything
        assert len(fold.test)
        assert fold.train.dtype == fold.test.dtype == np.int64


rows_of_one_label = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=50).map(
    lambda rows: [(label, f"{label}{group}") for label, group in rows]
)
rows_of_several = st.lists(
    st.tuples(
        st.sets(st.sampled_from("abcd"), max_size=3).map(lambda some: ",".join(sorted(some))), st.integers(0, 14)
    ),
    min_size=1,
    max_size=60,
).map(lambda rows: [(labels, f"g{group}") for labels, group in rows])


def sources_of(manifest: Manifest) -> dict[str, set[str]]:
    sources = defaultdict(set)
    for clip, group in zip(manifest.clips, manifest.groups(), strict=True):
        for label in clip.labels or ("negative",):
            sources[label].add(str(group))
    return sources


@given(rows_of_one_label, st.integers(0, 3))
@settings(deadline=None)
def test_folds_of_one_label(rows: list[tuple[str, str]], seed: int) -> None:
    manifest = manifest_of(rows)
    sources = sources_of(manifest)
    if min(map(len, sources.values())) < 2:
        with pytest.raises(TooFewClipsError, match="1 source"):
            cross_folds(manifest, seed=seed)
        return
    folds = cross_folds(manifest, seed=seed)
    assert_partition(manifest, folds)
    assert len(folds) == min(5, max(map(len, sources.values())))
    for label, groups in sources.items():
        tested_in = sum(label in labels_in(manifest, fold.test) for fold in folds)
        assert tested_in == min(len(groups), len(folds))


@given(rows_of_several, st.integers(0, 3))
@settings(deadline=None)
def test_folds_of_several_labels(rows: list[tuple[str, str]], seed: int) -> None:
    manifest = manifest_of(rows)
    try:
        folds = cross_folds(manifest, count=2, seed=seed)
    except TooFewClipsError:
        return
    assert_partition(manifest, folds)


@given(rows_of_several, st.sampled_from([0.1, 0.15, 0.3, 0.5]))
@settings(deadline=None)
def test_holding_out(rows: list[tuple[str, str]], fraction: float) -> None:
    manifest = manifest_of(rows)
    try:
        split = hold_out(manifest, fraction=fraction)
    except TooFewClipsError:
        return
    assert sorted([*split.train, *split.test]) == list(range(len(manifest)))
    assert not leaks(manifest, [split])
    assert labels_in(manifest, split.train) == labels_in(manifest, np.arange(len(manifest)))


@given(rows_of_one_label)
@settings(deadline=None)
def test_holding_out_some_of_every_class_with_two_sources(rows: list[tuple[str, str]]) -> None:
    manifest = manifest_of(rows)
    two = {label for label, groups in sources_of(manifest).items() if len(groups) > 1}
    if not two:
        with pytest.raises(TooFewClipsError, match="no clip can be held out"):
            hold_out(manifest)
        return
    assert labels_in(manifest, hold_out(manifest).test) == two


def test_made_folds_are_stratified() -> None:
    manifest = balanced(classes=4, sources=10, clips=2)
    for fold in cross_folds(manifest):
        assert Counter(manifest.clips[index].labels[0] for index in fold.test) == dict.fromkeys(manifest.labels, 4)


def test_several_labels_are_spread_as_the_whole(rng: np.random.Generator) -> None:
    present = rng.random((400, 6)) < np.array([0.5, 0.3, 0.2, 0.1, 0.05, 0.03])
    rows = [(",".join(f"c{c}" for c in np.flatnonzero(row)), "") for row in present]
    manifest = manifest_of(rows)
    targets = manifest.targets()
    for fold in cross_folds(manifest):
        assert len(fold.test) == pytest.approx(80, abs=4)
        np.testing.assert_allclose(targets[fold.test].sum(axis=0), targets.sum(axis=0) / 5, atol=2)
    aside = hold_out(manifest, fraction=0.2).test
    assert len(aside) == pytest.approx(80, abs=8)
    np.testing.assert_allclose(targets[aside].sum(axis=0), targets.sum(axis=0) / 5, atol=6)


def test_the_same_seed_gives_the_same_folds() -> None:
    manifest = balanced()
    first, again, other = (cross_folds(manifest, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a.test, b.test) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.test, b.test) for a, b in zip(first, other, strict=True))
    assert np.array_equal(hold_out(manifest, seed=3).test, hold_out(manifest, seed=3).test)


def test_holding_out_takes_about_the_fraction() -> None:
    manifest = balanced(classes=5, sources=20, clips=1)
    split = hold_out(manifest, fraction=0.2)
    assert Counter(manifest.clips[index].labels[0] for index in split.test) == dict.fromkeys(manifest.labels, 4)


def test_negatives_are_a_class_of_their_own() -> None:
    rows = [("a", ""), ("b", "")] * 10 + [("", "")] * 10
    manifest = manifest_of(rows)
    for fold in cross_folds(manifest):
        assert Counter(manifest.clips[index].labels for index in fold.test) == {("a",): 2, ("b",): 2, (): 2}
    with pytest.raises(TooFewClipsError, match="'negatives' in clips: all clips come from 1 source"):
        cross_folds(manifest_of([("a", ""), ("b", "")] * 3 + [("", "")]))


def test_a_rare_class_does_not_cost_the_others_their_folds() -> None:
    manifest = manifest_of([("a", "")] * 20 + [("rare", "")] * 2)
    folds = cross_folds(manifest)
    assert len(folds) == 5
    assert sum("rare" in labels_in(manifest, fold.test) for fold in folds) == 2


def test_few_sources_are_named() -> None:
    with pytest.raises(TooFewClipsError, match="'lone' in clips: all clips come from 1 source"):
        cross_folds(manifest_of([("a", "")] * 5 + [("lone", "same")] * 5))
    with pytest.raises(TooFewClipsError, match="10 folds are not possible: 'a' has the most sources in clips, 4"):
        cross_folds(manifest_of([("a", "")] * 4 + [("b", "")] * 3), count=10)
    with pytest.raises(TooFewClipsError, match="no 2 folds of clips have every class"):
        cross_folds(manifest_of([("a", "1"), ("a", "2"), ("b", "2"), ("b", "3"), ("c", "3"), ("c", "1")]), count=2)
    with pytest.raises(TooFewClipsError, match="no clips to divide"):
        cross_folds(manifest_of([]))
    with pytest.raises(OptionError, match="count=1 folds"):
        cross_folds(balanced(), count=1)
    with pytest.raises(OptionError, match=r"fraction=0\.6 is not allowed"):
        hold_out(balanced(), fraction=0.6)


def test_official_folds_are_used() -> None:
    rows = [("a", ""), ("b", "")] * 11
    manifest = manifest_of(rows, fold=[str(index // 2 + 1) for index in range(22)])
    folds = cross_folds(manifest)
    assert [fold.name for fold in folds] == [str(number) for number in range(1, 12)]  # 2 before 10
    assert folds[1].test.tolist() == [2, 3]
    assert_partition(manifest, folds)
    assert len(cross_folds(manifest, count=11)) == 11
    with pytest.raises(OptionError, match="clips has 11 official folds"):
        cross_folds(manifest, count=5)


def test_official_folds_that_cannot_be_used() -> None:
    rows = [("a", ""), ("b", "")] * 2
    with pytest.raises(ManifestError, match="every clip of clips is in fold '1'"):
        cross_folds(manifest_of(rows, fold=["1"] * 4))
    with pytest.raises(TooFewClipsError, match="without the '1' part of clips no clip of 'a'"):
        cross_folds(manifest_of(rows, fold=["1", "2", "1", "2"]))
    partly = manifest_of(rows, fold=["1", "2", None, None])
    assert [fold.name for fold in cross_folds(partly)] == ["1", "2"]
    assert_partition(partly, cross_folds(partly))


@pytest.fixture
def leaking() -> Manifest:
    rows = [("a", f"rec{index % 7}") for index in range(14)] + [("b", "own1"), ("b", "own2")]
    return manifest_of(rows, fold=["1"] * 7 + ["2"] * 7 + ["1", "2"])


def test_a_leak_is_refused_and_told(leaking: Manifest) -> None:
    with pytest.raises(
        LeakError, match=r"7 sources are .* of clips: 'rec0' \(1, 2\), .*'rec4' \(1, 2\), \.\.\.; scores"
    ):
        cross_folds(leaking)
    folds = cross_folds(leaking, force=True)
    assert [(leak.source, leak.split, leak.train, leak.test) for leak in leaks(leaking, folds)][:2] == [
        ("rec0", "1", 1, 1),
        ("rec1", "1", 1, 1),
    ]
    (note,) = require_no_leaks(leaking, folds, force=True)
    assert note.startswith("The split leaks and was forced, so the figures are too good: 7 sources")
    assert require_no_leaks(leaking, cross_folds(balanced())[:0]) == ()


def test_official_validation_and_test() -> None:
    marks = ["train", "validation", "test", None] * 2
    manifest = manifest_of([("a", "")] * 4 + [("b", "")] * 4, split=marks)
    aside = hold_out(manifest)
    assert aside.test.tolist() == [1, 5]
    assert aside.train.tolist() == [0, 3, 4, 7]  # never a test clip
    official = splits.test_split(manifest)
    assert official is not None
    assert official.test.tolist() == [2, 6]
    assert official.train.tolist() == [0, 1, 3, 4, 5, 7]
    assert splits.test_split(balanced()) is None
    with pytest.raises(TooFewClipsError, match="without the 'test' part of clips no clip of 'a'"):
        splits.test_split(manifest_of([("a", ""), ("b", "")], split=["test", "train"]))


def test_no_class_is_all_held_out() -> None:
    manifest = manifest_of([("a", "1"), ("b", "1"), ("a", "2"), ("b", "3"), ("lone", "4")])
    for seed in range(10):
        split = hold_out(manifest, seed=seed)
        assert labels_in(manifest, split.train) == {"a", "b", "lone"}
        assert labels_in(manifest, split.test) == {"a", "b"}


@pytest.fixture
def esc50(shared: Path) -> Manifest:
    with (shared / "data/esc50/meta/esc50.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    clips = [Clip(Path(row["filename"]), (row["category"],), row["fold"], row["src_file"]) for row in rows]
    return Manifest.of(clips, source="esc50", layout="esc50")


def test_the_official_folds_of_esc50_divide_four_recordings(esc50: Manifest) -> None:
    """They keep the clips of one recording and one class together: four recordings have two classes, in two folds."""
    folds = cross_folds(esc50)
    (note,) = require_no_leaks(esc50, folds)
    assert note.startswith("4 sources are on both sides")
    assert "'131943' (2, 3), '134049' (2, 3), '209698' (4, 5), '234879'" in note
    assert note.endswith("which does not flatter.")
    assert not any(leak.flatters for leak in leaks(esc50, folds))
    assert [len(fold.test) for fold in folds] == [400] * 5
    divided = {leak.source for leak in leaks(esc50, folds)}
    clips = [clip for clip in esc50.clips if clip.group in divided]
    assert len(clips) == 9
    folds_of: defaultdict[tuple[str | None, str], set[str | None]] = defaultdict(set)
    for clip in clips:
        folds_of[clip.group, clip.labels[0]].add(clip.fold)
    assert all(len(names) == 1 for names in folds_of.values())


def test_folds_made_for_esc50(esc50: Manifest) -> None:
    clips = [Clip(clip.path, clip.labels, group=clip.group) for clip in esc50.clips]
    manifest = Manifest.of(clips, source="esc50", layout="csv")
    folds = cross_folds(manifest)
    assert_partition(manifest, folds)
    for fold in folds:
        counts = Counter(clips[index].labels[0] for index in fold.test)
        assert set(counts.values()) <= {6, 7, 8, 9, 10}
        assert len(counts) == 50
