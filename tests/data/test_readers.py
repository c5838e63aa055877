"""Labelled clips from folders, lists and published data sets."""

import shutil
from pathlib import Path

import pytest

from earmark.data.manifest import Clip, Manifest
from earmark.data.readers import read_manifest
from earmark.data.tables import split_labels
from earmark.errors import ManifestError, OptionError, TooFewClipsError
from tests.data.clips import write_classes, write_sound, write_text


def told(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    return {clip.path.name: clip.labels for clip in manifest.clips}


def only(manifest: Manifest) -> Clip:
    assert len(manifest) == 1
    return manifest.clips[0]


class TestFolders:
    def test_a_folder_for_each_class(self, tmp_path: Path) -> None:
        write_classes(tmp_path, "dog", "sea, waves", "Vögel im Wald")
        write_sound(tmp_path / "dog" / "deep" / "down" / "c.flac", 9)
        manifest = read_manifest(tmp_path)
        assert manifest.layout == "folder"
        assert manifest.labels == ("Vögel im Wald", "dog", "sea, waves")
        assert manifest.counts() == {"Vögel im Wald": 2, "dog": 3, "sea, waves": 2}
        assert [clip.path for clip in manifest.clips] == sorted(clip.path for clip in manifest.clips)
        manifest.require_trainable()

    @pytest.mark.parametrize("name", ["background", "Noise", "_negative", "_negative_rain", "_background_noise_"])
    def test_negatives(self, tmp_path: Path, name: str) -> None:
        write_classes(tmp_path, "dog", name)
        manifest = read_manifest(tmp_path)
        assert manifest.labels == ("dog",)
        assert [clip.labels for clip in manifest.clips].count(()) == 2

    def test_nothing_is_left_out_silently(self, tmp_path: Path) -> None:
        write_classes(tmp_path, "dog", "rain")
        write_text(tmp_path / "dog" / "notes.txt", "no sound")
        write_text(tmp_path / "dog" / ".DS_Store", "hidden")
        write_text(tmp_path / "rain" / "broken.wav", "no sound in here")
        write_text(tmp_path / "rain" / "zero.wav", "")
        write_sound(tmp_path / "loose.wav", 1)
        (tmp_path / "empty").mkdir()
        (tmp_path / ".hidden").mkdir()
        manifest = read_manifest(tmp_path)
        assert len(manifest) == 4
        assert manifest.ignored == 2
        reasons = {failure.path.name: failure.reason for failure in manifest.failures}
        assert sorted(reasons) == ["broken.wav", "empty", "loose.wav", "zero.wav"]
        assert "no sound or video file" in reasons["broken.wav"]
        assert "folders of the classes" in reasons["loose.wav"]

    def test_unchecked_files_stay(self, tmp_path: Path) -> None:
        write_classes(tmp_path, "dog", "rain")
        write_text(tmp_path / "rain" / "broken.wav", "no sound in here")
        assert len(read_manifest(tmp_path, check=False)) == 5

    def test_a_class_whose_only_clips_are_broken_is_still_named(self, tmp_path: Path) -> None:
        write_classes(tmp_path, "dog", "rain")
        write_text(tmp_path / "cat" / "broken.wav", "no sound in here")
        manifest = read_manifest(tmp_path)
        assert manifest.labels == ("cat", "dog", "rain")
        with pytest.raises(TooFewClipsError, match=r"'cat' \(0\)"):
            manifest.require_trainable()

    def test_splits_and_folds_by_their_names(self, tmp_path: Path) -> None:
        write_classes(tmp_path / "a" / "Train", "dog", "rain")
        write_classes(tmp_path / "a" / "test", "dog", "rain", clips=1)
        manifest = read_manifest(tmp_path / "a")
        assert manifest.labels == ("dog", "rain")
        assert [clip.split for clip in manifest.clips].count("train") == 4
        assert [clip.split for clip in manifest.clips].count("test") == 2
        write_classes(tmp_path / "b" / "fold1", "dog")
        write_classes(tmp_path / "b" / "fold2", "dog")
        assert [clip.fold for clip in read_manifest(tmp_path / "b").clips] == ["1", "1", "2", "2"]

    def test_recordings_of_one_thing(self, tmp_path: Path) -> None:
        write_sound(tmp_path / "pump" / "a.wav", 1)
        write_sound(tmp_path / "pump" / "b.wav", 2)
        manifest = read_manifest(tmp_path / "pump")
        assert (manifest.layout, manifest.labels, len(manifest)) == ("flat", ("pump",), 2)
        with pytest.raises(TooFewClipsError, match="no folder for each class"):
            manifest.require_trainable()

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match="holds no clips in folders"):
            read_manifest(tmp_path)
        with pytest.raises(ManifestError, match="there is no"):
            read_manifest(tmp_path / "absent")
        with pytest.raises(ManifestError, match="is one recording"):
            read_manifest(write_sound(tmp_path / "a.wav", 1))
        with pytest.raises(ManifestError, match=r"mine.onnx is a model where labelled clips are wanted"):
            read_manifest(tmp_path / "mine.onnx")
        with pytest.raises(OptionError, match="layout 'heap' is not known"):
            read_manifest(tmp_path, layout="heap")
        write_text(tmp_path / "dog" / "broken.wav", "no sound in here")
        with pytest.raises(ManifestError, match="none of the 1 clips"):
            read_manifest(tmp_path)

    def test_progress_is_told(self, tmp_path: Path) -> None:
        steps: list[tuple[int, int | None]] = []
        read_manifest(write_classes(tmp_path, "dog", "rain"), progress=lambda done, total: steps.append((done, total)))
        assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


class TestLabelCells:
    @pytest.mark.parametrize(
        ("cells", "plural", "labels"),
        [
            (["a;b", "c"], False, [("a", "b"), ("c",)]),
            (["a | b"], False, [("a", "b")]),
            (["sea, waves"], False, [("sea, waves",)]),
            (["a,b", "c"], True, [("a", "b"), ("c",)]),
            (["sea, waves;dog", "cat, kitten"], True, [("sea, waves", "dog"), ("cat, kitten",)]),
            (['["a;b", "c"]', "d"], False, [("a;b", "c"), ("d",)]),
            (["[unclear]"], False, [("[unclear]",)]),
            (["[]", '["a"]'], False, [(), ("a",)]),
            (["", "background", "dog;noise", "a;a"], False, [(), (), ("dog",), ("a",)]),
        ],
    )
    def test_what_separates_labels(self, cells: list[str], plural: bool, labels: list[tuple[str, ...]]) -> None:
        assert split_labels(cells, plural=plural) == labels


class TestLists:
    @pytest.mark.parametrize(
        "text",
        [
            "path,label\na.wav,dog\nb.wav,rain\n",
            "Filename\tClass\na.wav\tdog\nb.wav\train\n",
            "file;species\r\na.wav;dog\r\nb.wav;rain\r\n",
            "\ufeffClip, Category\n a.wav , dog \n\nb.wav,rain\n",
            "target,fname,take\ndog,a,A\nrain,b,B\n",
        ],
    )
    def test_sensible_headings(self, tmp_path: Path, text: str) -> None:
        write_sound(tmp_path / "a.wav", 1)
        write_sound(tmp_path / "b.wav", 2)
        manifest = read_manifest(write_text(tmp_path / "list.csv", text))
        assert told(manifest) == {"a.wav": ("dog",), "b.wav": ("rain",)}
        assert manifest.layout == "csv"
        assert told(read_manifest(tmp_path)) == told(manifest), "a folder with a list is read by its list"

    @pytest.mark.parametrize("name", ["a", "a.wav", "a.flac", "sub/../a.flac"])
    @pytest.mark.parametrize("place", ["audio", "clips", "FSDKaggle.audio_train", "."])
    def test_files_beside_the_list(self, tmp_path: Path, place: str, name: str) -> None:
        (tmp_path / place / "sub").mkdir(parents=True)
        path = write_sound(tmp_path / place / "a.flac", 1)
        table = write_text(tmp_path / "list.csv", f"path,label\n{name},dog\n")
        assert only(read_manifest(table)).path.resolve() == path

    def test_files_elsewhere(self, tmp_path: Path) -> None:
        path = write_sound(tmp_path / "far" / "a.wav", 1)
        table = write_text(tmp_path / "lists" / "list.csv", "path,label\na.wav,dog\n")
        with pytest.raises(ManifestError, match=r"none of the 1 files .* --audio"):
            read_manifest(table)
        assert only(read_manifest(table, audio=tmp_path / "far")).path == path
        with pytest.raises(ManifestError, match="is no folder"):
            read_manifest(table, audio=tmp_path / "nowhere")
        table = write_text(tmp_path / "list.csv", f"path,label\n{path},dog\n")
        assert only(read_manifest(table)).path == path

    def test_a_stem_of_two_files_is_neither(self, tmp_path: Path) -> None:
        write_sound(tmp_path / "a.wav", 1)
        write_sound(tmp_path / "a.flac", 2)
        write_sound(tmp_path / "b.wav", 3)
        manifest = read_manifest(write_text(tmp_path / "list.csv", "path,label\na,dog\nb,rain\n"))
        assert [failure.path.name for failure in manifest.failures] == ["a"]
        assert manifest.labels == ("dog", "rain")

    def test_all_that_a_row_can_say(self, tmp_path: Path) -> None:
        write_sound(tmp_path / "a.wav", 1, seconds=2.0)
        rows = "path,label,fold,site,subset,start,end,manually_verified\na.wav,dog,1,pond,Training,0.5,1.5,1\n"
        clip = only(read_manifest(write_text(tmp_path / "list.csv", rows)))
        assert (clip.fold, clip.group, clip.split, clip.verified) == ("1", "pond", "train", True)
        assert (clip.start_seconds, clip.end_seconds) == (0.5, 1.5)

    def test_one_file_in_pieces(self, tmp_path: Path) -> None:
        write_sound(tmp_path / "a.wav", 1, seconds=2.0)
        rows = "path,label,begin,end_time\na.wav,dog,0,1\na.wav,rain,1,\na.wav,late,2.5,3\n"
        manifest = read_manifest(write_text(tmp_path / "list.csv", rows))
        assert [(clip.labels, clip.start_seconds, clip.end_seconds) for clip in manifest.clips] == [
            (("dog",), 0.0, 1.0),
            (("rain",), 1.0, None),
        ]
        assert "not before the end" in manifest.failures[0].reason
        assert not manifest.is_multi_label

    def test_rows_of_one_clip_are_one_clip(self, tmp_path: Path) -> None:
        write_sound(tmp_path / "a.wav", 1)
        rows = "path,label,fold\na.wav,dog,1\na.wav,rain,1\na.wav,dog,1\n"
        manifest = read_manifest(write_text(tmp_path / "list.csv", rows))
        assert only(manifest).labels == ("dog", "rain")
        assert manifest.is_multi_label
        with pytest.raises(ManifestError, match=r"line 3 .* fold '2' here and '1' above"):
            read_manifest(write_text(tmp_path / "list.csv", "path,label,fold\na.wav,dog,1\na.wav,rain,2\n"))

    def test_negatives(self, tmp_path: Path) -> None:
        for name in ("a", "b", "c"):
            write_sound(tmp_path / f"{name}.wav", ord(name))
        manifest = read_manifest(write_text(tmp_path / "list.csv", "path,label\na,dog\nb,\nc,background\n"))
        assert told(manifest) == {"a.wav": ("dog",), "b.wav": (), "c.wav": ()}
        (note,) = manifest.notes
        assert note.startswith(
            f"1 row has no label in {tmp_path / 'list.csv'}: taken as sound of none of the classes; "
        )
        assert manifest.select([0]).notes == manifest.notes
        assert read_manifest(write_text(tmp_path / "list.csv", "path,label\na,dog\nc,background\n")).notes == ()

    def test_columns_by_role(self, tmp_path: Path) -> None:
        write_sound(tmp_path / "a.wav", 1)
        table = write_text(tmp_path / "list.csv", "what,where,class\ndog,a.wav,animal\n")
        with pytest.raises(
            ManifestError, match=r"no column for path, only what, where, class: .* --columns path=HEADING "
        ):
            read_manifest(table)
        columns = {"path": "where", "label": "what"}
        assert only(read_manifest(table, columns=columns)).labels == ("dog",)
        with pytest.raises(ManifestError, match="no column 'who'"):
            read_manifest(table, columns={"path": "who"})
        with pytest.raises(OptionError, match="cannot be for 'colour'"):
            read_manifest(table, columns={"colour": "what"})
        shutil.copy(table, tmp_path / "only.csv")
        table.unlink()
        assert only(read_manifest(tmp_path, columns=columns)).labels == ("dog",), "they make a list of it"

    def test_the_one_column_left_over_is_proposed(self, tmp_path: Path) -> None:
        write_sound(tmp_path / "a.wav", 1)
        table = write_text(tmp_path / "list.csv", "file,bird song,fold\na.wav,wren,1\n")
        with pytest.raises(
            ManifestError, match=r"with --columns 'label=bird song' \(in Python columns={'label': 'bird so"
        ):
            read_manifest(table)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is empty"),
            ("path,label\n", "lists no clips"),
            ("path,label\n,dog\n", "line 2 .* names no file"),
            ("path,label,start\na.wav,dog,soon\n", "line 2 .* start is 'soon'"),
            ("path,label,start,end\na.wav,dog,2,1\n", "is impossible"),
            ("path,label,split\na.wav,dog,maybe\n", "split is 'maybe'.* train"),
            ("path,label,events\na.wav,dog,bark\n", "must be a JSON list"),
            ("a.wav,dog\nb.wav,rain\n", "no column for path and label"),
        ],
    )
    def test_lists_that_say_nothing_sensible(self, tmp_path: Path, text: str, message: str) -> None:
        write_sound(tmp_path / "a.wav", 1)
        with pytest.raises(ManifestError, match=message):
            read_manifest(write_text(tmp_path / "list.csv", text))

    def test_a_list_in_another_encoding(self, tmp_path: Path) -> None:
        (tmp_path / "list.csv").write_bytes("path,label\nVögel.wav,Vögel\n".encode("latin-1"))
        with pytest.raises(ManifestError, match="not text in UTF-8"):
            read_manifest(tmp_path / "list.csv")

    def test_several_lists(self, tmp_path: Path) -> None:
        write_sound(tmp_path / "a.wav", 1)
        write_text(tmp_path / "train.csv", "path,label\na.wav,dog\n")
        write_text(tmp_path / "test.csv", "path,label\na.wav,rain\n")
        write_text(tmp_path / "licences.csv", "file,licence\na.wav,CC0\n")
        with pytest.raises(ManifestError, match=r"several lists: give one of .*test.csv, .*train.csv$"):
            read_manifest(tmp_path)
        write_text(tmp_path / "manifest.csv", "path,label\na.wav,cat\n")
        assert only(read_manifest(tmp_path)).labels == ("cat",)
        write_classes(tmp_path, "sheep", "goat")
        assert read_manifest(tmp_path, layout="folder").labels == ("goat", "sheep")

    def test_a_folder_without_a_list(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match="holds no list of clips"):
            read_manifest(tmp_path, layout="csv")
        with pytest.raises(ManifestError, match="is not a list of the layout 'esc10'"):
            read_manifest(write_text(tmp_path / "list.csv", "path,label\na.wav,dog\n"), layout="esc10")


class TestPublished:
    def test_esc50(self, shared: Path) -> None:
        manifest = read_manifest(shared / "data" / "esc50", check=False)
        assert (manifest.layout, len(manifest), len(manifest.labels)) == ("esc50", 2000, 50)
        assert set(manifest.counts().values()) == {40}
        first = manifest.clips[0]
        assert (first.labels, first.fold, first.group) == (("dog",), "1", "100032")
        ten = read_manifest(shared / "data" / "esc50" / "meta" / "esc50.csv", layout="esc10", check=False)
        assert (ten.layout, len(ten), len(ten.labels)) == ("esc10", 400, 10)

    def test_esc50_with_the_suffixes_of_the_original(self, tmp_path: Path) -> None:
        write_sound(tmp_path / "audio" / "1-100032-A-0.flac", 1)
        head = "filename,fold,target,category,esc10,src_file,take\n"
        write_text(tmp_path / "meta" / "esc50.csv", f"{head}1-100032-A-0.wav,1,0,dog,True,100032,A\n")
        assert only(read_manifest(tmp_path)).labels == ("dog",)

    def test_fsdkaggle2018(self, shared: Path) -> None:
        manifest = read_manifest(shared / "data" / "instruments")
        assert (manifest.layout, len(manifest), len(manifest.labels)) == ("fsdkaggle2018", 300, 10)
        assert not manifest.failures

    def test_fsdkaggle2018_as_it_is_published(self, tmp_path: Path) -> None:
        for name in ("00044347", "001ca53d"):
            write_sound(tmp_path / "FSDKaggle2018.audio_train" / f"{name}.wav", int(name, 16))
        rows = "fname,label,manually_verified,freesound_id,license\n00044347.wav,Hi-hat,0,28739,Attribution\n"
        table = tmp_path / "FSDKaggle2018.meta" / "train_post_competition.csv"
        manifest = read_manifest(write_text(table, f"{rows}001ca53d.wav,Saxophone,1,358827,Attribution\n"))
        assert manifest.layout == "fsdkaggle2018"
        assert [clip.verified for clip in manifest.clips] == [False, True]
        assert [clip.group for clip in manifest.clips] == ["28739", "358827"]

    def test_urbansound8k(self, tmp_path: Path) -> None:
        for name, fold in (("100032-3-0-0.wav", 5), ("100263-2-0-117.wav", 6)):
            write_sound(tmp_path / "audio" / f"fold{fold}" / name, fold)
        rows = (
            "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
            "100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark\n"
            "100263-2-0-117.wav,100263,58.5,62.5,1,6,2,children_playing\n"
        )
        write_text(tmp_path / "metadata" / "UrbanSound8K.csv", rows)
        manifest = read_manifest(tmp_path)
        assert manifest.layout == "urbansound8k"
        assert [clip.fold for clip in manifest.clips] == ["5", "6"]
        assert [clip.group for clip in manifest.clips] == ["100032", "100263"]
        assert manifest.labels == ("children_playing", "dog_bark")
        assert {clip.start_seconds for clip in manifest.clips} == {None}, "its times are those of another recording"

    def test_speech(self, shared: Path) -> None:
        manifest = read_manifest(shared / "data" / "speech", check=False)
        assert manifest.counts() == {"music": 40, "silence": 40, "speech": 490}
        assert len(set(manifest.groups())) == 4


SEGMENTS = """\
# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=2, num_segs=2
# YTID, start_seconds, end_seconds, positive_labels
--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
-0mjrMposBM, 1.000, 1.500, "/m/09x0r"
-gone, 0.000, 10.000, "/m/0bt9lr"
"""


class TestAudioSet:
    @pytest.mark.parametrize(
        "stem", ["--PJHxphWEs", "--PJHxphWEs_30", "Y--PJHxphWEs_30.000", "--PJHxphWEs_30000_40000"]
    )
    def test_segments(self, tmp_path: Path, stem: str) -> None:
        write_sound(tmp_path / "audio" / f"{stem}.flac", 1)
        write_sound(tmp_path / "audio" / "-0mjrMposBM.wav", 2, seconds=3.0)
        manifest = read_manifest(write_text(tmp_path / "eval_segments.csv", SEGMENTS))
        assert manifest.layout == "audioset"
        assert manifest.labels == ("/m/09x0r", "/m/0bt9lr", "/t/dd00088")
        assert manifest.is_multi_label
        cut, whole = manifest.clips
        assert (cut.labels, cut.group, cut.start_seconds) == (("/m/09x0r", "/t/dd00088"), "--PJHxphWEs", None)
        assert (whole.start_seconds, whole.end_seconds) == (1.0, 1.5), "a video that is longer than its segment is cut"
        assert [failure.path.name for failure in manifest.failures] == ["-gone"]
        assert len(read_manifest(tmp_path)) == 2

    def test_names_for_ids(self, tmp_path: Path) -> None:
        write_sound(tmp_path / "--PJHxphWEs.wav", 1)
        classes = 'index,mid,display_name\n0,/m/09x0r,Speech\n1,/t/dd00088,"Gush"\n'
        write_text(tmp_path / "class_labels_indices.csv", classes)
        manifest = read_manifest(write_text(tmp_path / "segments.csv", SEGMENTS))
        assert only(manifest).labels == ("Speech", "Gush")

    def test_malformed(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match=r"line 7 .* must be YTID"):
            read_manifest(write_text(tmp_path / "segments.csv", SEGMENTS + "abc, 1.0\n"))
        with pytest.raises(ManifestError, match="no sound of"):
            read_manifest(write_text(tmp_path / "segments.csv", SEGMENTS))


def test_a_link_to_a_class_elsewhere(tmp_path: Path) -> None:
    write_classes(tmp_path / "far", "dog", "rain")
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "dog").symlink_to(tmp_path / "far" / "dog")
    shutil.copytree(tmp_path / "far" / "rain", tmp_path / "near" / "rain")
    assert read_manifest(tmp_path / "near").counts() == {"dog": 2, "rain": 2}
