"""Novelty in every form of a result: there where the model gives it, and nowhere else."""

import csv
import io
import json

import numpy as np
import pytest

from earmark.inference.formats.arrays import write_npz, write_parquet
from earmark.inference.results import Event, Tag
from earmark.model.card import NONE_OF_THESE
from tests.inference.test_formats import clip, embeddings, events, rows, timeline, written

DOG = Tag("Dog", "/m/0bt9lr", 0.61)
REFUSED = clip(tags=(), novelty=0.97, none_of_these=True, closest=(DOG, Tag("Rain", "/m/06mb1", 0.2)))
KNOWN = clip(novelty=0.125)
UNKNOWN_EVENT = Event(NONE_OF_THESE.name, NONE_OF_THESE.id, 0.5, 1.5, 0.97)
FRAME_NOVELTY = np.array([0.1, 0.9, 0.5], np.float32)


def test_people_read_the_answer_and_what_is_closest():
    assert written("table", REFUSED).splitlines()[1:] == ["  none of these (novelty 0.97); closest: Dog 0.61"]
    alone = clip(tags=(), novelty=1.0, none_of_these=True)
    assert written("table", alone).splitlines()[1:] == ["  none of these (novelty 1.00)"]
    long = clip(tags=(), novelty=1.0, none_of_these=True, closest=(Tag("Bird vocalization, bird call " * 3, "x", 0.5),))
    assert max(map(len, written("table", long).splitlines())) <= 80
    assert written("table", KNOWN) == written("table", clip())


def test_a_line_of_json_has_all_of_it():
    data = json.loads(written("jsonl", REFUSED))
    assert data == REFUSED.to_dict()
    assert (data["tags"], data["novelty"], data["none_of_these"]) == ([], 0.97, True)
    assert data["closest"][0] == {"label": "Dog", "id": "/m/0bt9lr", "score": 0.61}
    assert json.loads(written("jsonl", KNOWN))["none_of_these"] is False


def test_a_refused_recording_is_a_row_of_its_own():
    known, more, refused = rows(written("csv", KNOWN, REFUSED))
    assert [row["novelty"] for row in (known, more, refused)] == ["0.125", "0.125", "0.97"]
    assert (refused["label"], refused["id"], refused["score"]) == ("none of these", "none_of_these", "0.97")
    assert list(known)[5:-2] == ["label", "id", "score", "novelty"]


@pytest.mark.parametrize("form", ["csv", "audacity", "raven", "rttm", "sed-events", "table", "jsonl"])
def test_every_form_of_events_has_unknown_sound(form):
    text = written(form, events(events=(UNKNOWN_EVENT,)))
    assert ("none_of_these" if form == "rttm" else "none of these") in text


def test_timelines_have_novelty_beside_the_scores():
    result = timeline(novelty=FRAME_NOVELTY, calibrated=True)
    assert [float(row["novelty"]) for row in rows(written("csv", result))] == pytest.approx(
        np.repeat([0.1, 0.9, 0.5], 4)
    )
    for form in ("json", "jsonl"):
        data = json.loads(written(form, result))
        assert data == result.to_dict()
        assert [frame["novelty"] for frame in data["frames"]] == pytest.approx([0.1, 0.9, 0.5])
    assert written("table", result).splitlines()[1:3] == [
        "   onset s  offset s  novelty  highest 2",
        "      0.00      0.73     0.10  0.40 Wind           0.30 Dog",
    ]
    assert written("sed-scores", result) == written("sed-scores", timeline())


def test_a_long_timeline_keeps_its_novelty_piece_by_piece():
    frames = 1000
    scores, novelty = np.random.default_rng(0).random((frames, 5), dtype=np.float32)[:, 1:], np.linspace(0, 1, frames)
    result = timeline(scores=scores, edges=np.arange(frames + 1) * 0.48, novelty=novelty.astype(np.float32))
    assert json.loads(written("jsonl", result)) == result.to_dict()


def test_embeddings_have_novelty_in_every_file(tmp_path):
    result = embeddings(novelty=np.array([0.25, 0.75], np.float32))
    header, *table = csv.reader(io.StringIO(written("csv", result)))
    assert [row[header.index("novelty")] for row in table] == ["0.25", "0.75"]
    write_npz([result, result], tmp_path / "a.npz")
    write_npz([embeddings()], tmp_path / "b.npz")
    with np.load(tmp_path / "a.npz") as data, np.load(tmp_path / "b.npz") as other:
        assert data["novelty"].tolist() == [0.25, 0.75, 0.25, 0.75]
        assert set(data) - set(other) == {"novelty"}


def test_embeddings_have_novelty_in_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_parquet([embeddings(novelty=np.array([0.25, 0.75], np.float32))], tmp_path / "a.parquet")
    write_parquet([embeddings()], tmp_path / "b.parquet")
    table, other = (parquet.read_table(tmp_path / f"{name}.parquet") for name in "ab")
    assert table["novelty"].to_pylist() == [0.25, 0.75]
    assert set(table.column_names) - set(other.column_names) == {"novelty"}
