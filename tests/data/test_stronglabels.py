"""When something is heard: CSV, Audacity, Raven, alone and beside their recordings."""

from io import StringIO
from pathlib import Path

import pytest

from earmark.data.manifest import LabelledEvent
from earmark.data.readers import read_manifest
from earmark.data.stronglabels import read_events
from earmark.errors import ManifestError
from earmark.inference.formats import write_results
from earmark.inference.results import Event, EventsResult
from tests.data.clips import write_sound, write_text

BARKS = (LabelledEvent("Dog", 0.5, 1.25), LabelledEvent("Rain, heavy", 1.0, 2.0))

AUDACITY = "1.000000\t2.000000\tRain, heavy\n0.500000\t1.250000\tDog\n\\\t200.0\t3000.0\n"
RAVEN = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"
    "1\tWaveform 1\t1\t0.5\t1.25\t0\t4000\tDog\n"
    "1\tSpectrogram 1\t1\t0.5\t1.25\t0\t4000\tDog\n"
    "2\tWaveform 1\t1\t1.0\t2.0\t0\t4000\tRain, heavy\n"
)
DCASE = "filename\tonset\toffset\tevent_label\na.wav\t0.5\t1.25\tDog\na.wav\t1\t2\tRain, heavy\nb.wav\t\t\t\n"


def test_audacity(tmp_path: Path) -> None:
    assert read_events(write_text(tmp_path / "street.txt", AUDACITY)) == {"street": BARKS}
    commas = write_text(tmp_path / "old.txt", "0,5\t1,25\tDog\n")
    assert read_events(commas) == {"old": (BARKS[0],)}
    assert read_events(write_text(tmp_path / "quiet.txt", "")) == {"quiet": ()}
    with pytest.raises(ManifestError, match=r"line 2 of .* with tabs"):
        read_events(write_text(tmp_path / "bad.txt", "0.5\t1.0\tDog\nand then a cat\n"))
    with pytest.raises(ManifestError, match=r"line 1 of .* is impossible"):
        read_events(write_text(tmp_path / "bad.txt", "1.5\t1.0\tDog\n"))


def test_raven(tmp_path: Path) -> None:
    assert read_events(write_text(tmp_path / "street.Table.1.selections.txt", RAVEN)) == {"street": BARKS}
    species = RAVEN.replace("Annotation", "Species")
    assert read_events(write_text(tmp_path / "a.txt", species)) == {"a": BARKS}
    own = write_text(tmp_path / "a.txt", RAVEN.replace("Annotation", "Rufname"))
    with pytest.raises(ManifestError, match="lists no events"):
        read_events(own)
    assert read_events(own, columns={"label": "Rufname"}) == {"a": BARKS}


def test_raven_over_a_sequence_of_files(tmp_path: Path) -> None:
    table = (
        "Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tFile Offset (s)\tLabel\n"
        "1\t0.5\t1.25\ta.wav\t0.5\tDog\n2\t61.0\t62.0\tb.wav\t1.0\tRain, heavy\n"
    )
    assert read_events(write_text(tmp_path / "all.txt", table)) == {"a.wav": BARKS[:1], "b.wav": BARKS[1:]}


def test_csv(tmp_path: Path) -> None:
    expected = {"a.wav": BARKS, "b.wav": ()}
    assert read_events(write_text(tmp_path / "events.tsv", DCASE)) == expected
    comma = DCASE.replace("Rain, heavy", '"Rain, heavy"').replace("\t", ",")
    assert read_events(write_text(tmp_path / "events.csv", comma)) == expected
    with pytest.raises(ManifestError, match=r"line 2 .* onset is 'soon'"):
        read_events(write_text(tmp_path / "events.csv", "filename,onset,offset,event_label\na.wav,soon,1,Dog\n"))


@pytest.mark.parametrize(("form", "label"), [("audacity", "Dog 0.80"), ("raven", "Dog")])
def test_what_earmark_writes_comes_back(tmp_path: Path, form: str, label: str) -> None:
    event = Event(id="/m/0bt9lr", label="Dog", onset=0.5, offset=1.25, score=0.8)
    result = EventsResult(file="a.wav", model="tiny", model_version="1", calibrated=False, seconds=5.0, events=(event,))
    stream = StringIO()
    write_results([result], form, stream)
    (events,) = read_events(write_text(tmp_path / "a.txt", stream.getvalue())).values()
    assert events == (LabelledEvent(label, 0.5, 1.25),)


def test_a_manifest_of_events(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_sound(tmp_path / "audio" / f"{name}.wav", ord(name), seconds=2.0)
    manifest = read_manifest(write_text(tmp_path / "events.tsv", DCASE))
    assert manifest.layout == "strong"
    assert manifest.labels == ("Dog", "Rain, heavy")
    assert [clip.labels for clip in manifest.clips] == [("Dog", "Rain, heavy"), ()]
    assert [clip.events for clip in manifest.clips] == [BARKS, ()]
    assert manifest.has_events
    assert manifest.is_multi_label
    pieces = read_manifest(tmp_path / "events.tsv", layout="csv")
    assert [clip.start_seconds for clip in pieces.clips] == [0.5, 1.0, None], "unless they are said to be clips"


@pytest.mark.parametrize("text", [AUDACITY, RAVEN])
@pytest.mark.parametrize("place", ["a.txt", "a.Table.1.selections.txt", "a.wav.txt", "labels/a.txt"])
def test_tracks_beside_recordings(tmp_path: Path, text: str, place: str) -> None:
    write_sound(tmp_path / "a.wav", 1, seconds=2.0)
    write_sound(tmp_path / "quiet.wav", 2)
    write_sound(tmp_path / "unheard.wav", 3)
    write_text(tmp_path / place, text)
    write_text(tmp_path / "quiet.txt", "")
    write_text(tmp_path / "README.txt", "These are recordings.")
    manifest = read_manifest(tmp_path)
    assert manifest.layout == "tracks"
    assert {clip.path.name: clip.events for clip in manifest.clips} == {"a.wav": BARKS, "quiet.wav": ()}
    assert [(failure.path.name, failure.reason) for failure in manifest.failures] == [
        ("unheard.wav", "it has no label track")
    ]
    assert manifest.ignored == 1


def test_tracks_apart_from_recordings(tmp_path: Path) -> None:
    write_sound(tmp_path / "sound" / "a.wav", 1, seconds=2.0)
    write_text(tmp_path / "labels" / "a.txt", AUDACITY)
    manifest = read_manifest(tmp_path / "labels", audio=tmp_path / "sound")
    assert [clip.events for clip in manifest.clips] == [BARKS]
    with pytest.raises(ManifestError, match="no recording with a label track"):
        read_manifest(tmp_path / "sound", layout="tracks")


def test_recordings_of_one_stem_have_the_tracks_beside_them(tmp_path: Path) -> None:
    for place in ("june", "july"):
        write_sound(tmp_path / place / "a.wav", 1, seconds=2.0)
        write_text(tmp_path / place / "a.txt", f"0\t1\t{place}\n")
    manifest = read_manifest(tmp_path)
    assert {clip.path.parent.name: clip.labels for clip in manifest.clips} == {"june": ("june",), "july": ("july",)}
