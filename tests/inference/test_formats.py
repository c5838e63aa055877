import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.errors import AudioNotFoundError, OptionError
from earmark.inference.formats import FORMATS, Format, get_format, write_results
from earmark.inference.results import (
    ClipResult,
    EmbeddingResult,
    Event,
    EventsResult,
    Failure,
    Tag,
    TimelineResult,
)
from earmark.model.card import Label

RAIN = Label("/m/06mb1", "Rain")
CHILD = Label("/m/0ytgt", "Child speech, kid speaking")
LABELS = (RAIN, CHILD, Label("/m/0bt9lr", "Dog"), Label("/m/03m9d0z", "Wind"))
WEIRD_FILES = ["a, b.wav", "tab\there.wav", "two\nlines.wav", 'quo"te.wav', "Ångström 雨.flac", "cr\rlf\r\n.wav"]
NOT_UTF8 = b"caf\xe9.wav".decode("utf-8", "surrogateescape")  # as os.listdir gives it
FAILURE = Failure("gone.wav", AudioNotFoundError("gone.wav: no such file"))


def source(**changes):
    facts = {
        "file": "street/day 1.wav",
        "model": "yamnet",
        "model_version": "1",
        "calibrated": False,
        "seconds": 2.0,
        "parameters": {"start": 0.0, "allow": ["*"]},
    }
    return facts | changes


def clip(**changes):
    tags = (Tag(RAIN.name, RAIN.id, 0.93), Tag(CHILD.name, CHILD.id, 0.4112345678))
    return ClipResult(**(source(parameters={"top_k": 2}) | {"tags": tags} | changes))


def events(**changes):
    found = (
        Event(RAIN.name, RAIN.id, 0.0, 1.2075, float(np.float32(0.93))),
        Event(CHILD.name, CHILD.id, 0.7275, 2.0, 0.5),
    )
    return EventsResult(**(source() | {"events": found} | changes))


def timeline(**changes):
    scores = np.array([[0.1, 0.2, 0.3, 0.4], [0.9, 0.01, 0.1, 0.05], [0, 0, 0, 1]], dtype=np.float32)
    edges = np.array([0.0, 0.7275, 1.2075, 2.0])
    return TimelineResult(**(source() | {"labels": LABELS, "edges": edges, "scores": scores} | changes))


def embeddings(**changes):
    vectors = np.array([[0.5, -0.25, 3], [0, 1, 2]], dtype=np.float32)
    return EmbeddingResult(**(source() | {"edges": np.array([0.0, 0.7275, 2.0]), "embeddings": vectors} | changes))


ONE_OF_EACH = {"clip": clip(), "events": events(), "timeline": timeline(), "embeddings": embeddings()}


def written(form, *results):
    stream = io.StringIO()
    write_results(results, form, stream)
    return stream.getvalue()


def rows(text, delimiter=","):
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


class TestFormats:
    def test_names_and_suffixes(self):
        assert {form.name: form.suffix for form in FORMATS.values()} == {
            "table": ".txt",
            "json": ".json",
            "jsonl": ".jsonl",
            "csv": ".csv",
            "audacity": ".txt",
            "raven": ".selections.txt",
            "rttm": ".rttm",
            "sed-scores": ".tsv",
            "sed-events": ".tsv",
        }

    @pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
    @pytest.mark.parametrize("result", ONE_OF_EACH.values(), ids=list(ONE_OF_EACH))
    def test_a_format_writes_the_kinds_it_says_and_refuses_others(self, form: Format, result):
        if type(result) in form.kinds:
            assert written(form.name, result)
        else:
            with pytest.raises(OptionError, match=f"format '{form.name}' cannot hold .*; choose one of table, json,"):
                written(form.name, result)

    @pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
    def test_a_format_holds_many_recordings_or_says_which_do(self, form: Format):
        result = next(one for one in ONE_OF_EACH.values() if type(one) in form.kinds)
        if form.many:
            assert len(written(form.name, result, result)) > len(written(form.name, result))
        else:
            with pytest.raises(OptionError, match=r"one recording per file and street/day 1.wav is the second; .* csv"):
                written(form.name, result, result)

    def test_an_unknown_format_is_an_error_with_the_known_ones(self):
        with pytest.raises(OptionError, match="format 'xml' is unknown; choose one of table, json, jsonl, csv, audac"):
            get_format("xml")

    @pytest.mark.parametrize("form", sorted(FORMATS.keys() - {"json", "jsonl"}))
    def test_failures_are_left_out_of_all_but_json(self, form):
        result = next(one for one in ONE_OF_EACH.values() if type(one) in FORMATS[form].kinds)
        assert written(form, FAILURE, result, FAILURE) == written(form, result)

    @pytest.mark.parametrize("form", ["table", "jsonl", "csv", "rttm", "sed-events"])
    def test_a_result_is_written_before_the_next_is_made(self, form):
        stream = io.StringIO()
        seen = []

        def made():
            for _ in range(3):
                seen.append(len(stream.getvalue()))
                yield events()

        write_results(made(), form, stream)
        assert seen == sorted(set(seen))  # rising

    @pytest.mark.parametrize("form", FORMATS)
    def test_lines_end_in_a_newline_alone(self, form):
        result = next(one for one in ONE_OF_EACH.values() if type(one) in FORMATS[form].kinds)
        assert "\r" not in written(form, result)
        assert written(form, result).endswith("\n")


class TestJson:
    @pytest.mark.parametrize("result", [*ONE_OF_EACH.values(), FAILURE], ids=[*ONE_OF_EACH, "failure"])
    def test_a_line_is_to_dict(self, result):
        text = written("jsonl", result)
        assert text == json.dumps(result.to_dict(), ensure_ascii=False) + "\n"

    @pytest.mark.parametrize("result", [*ONE_OF_EACH.values(), FAILURE], ids=[*ONE_OF_EACH, "failure"])
    def test_a_document_of_one_is_an_object_and_of_more_an_array(self, result):
        assert json.loads(written("json", result)) == result.to_dict()
        assert json.loads(written("json", result, FAILURE, result)) == [
            result.to_dict(),
            {"file": "gone.wav", "error": "gone.wav: no such file", "kind": "AudioNotFoundError"},
            result.to_dict(),
        ]

    def test_nothing_is_an_empty_document(self):
        assert written("json") == "[]\n"
        assert written("jsonl") == ""

    def test_a_document_reads_well(self):
        assert written("json", clip(notes=("low-level: very quiet",))) == (
            "{\n"
            '  "file": "street/day 1.wav",\n'
            '  "model": "yamnet",\n'
            '  "model_version": "1",\n'
            '  "calibrated": false,\n'
            '  "seconds": 2.0,\n'
            '  "tags": [\n'
            '    {"label": "Rain", "id": "/m/06mb1", "score": 0.93},\n'
            '    {"label": "Child speech, kid speaking", "id": "/m/0ytgt", "score": 0.411235}\n'
            "  ],\n"
            '  "notes": [\n'
            '    "low-level: very quiet"\n'
            "  ],\n"
            '  "parameters": {"top_k": 2}\n'
            "}\n"
        )

    @pytest.mark.parametrize("file", [*WEIRD_FILES, NOT_UTF8])
    @pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
    def test_any_file_name_survives_any_stream(self, file, encoding):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
        write_results([clip(file=file)], "jsonl", stream)
        text = stream.buffer.getvalue().decode(encoding)
        assert text.count("\n") == 1
        assert json.loads(text)["file"] == file

    def test_text_beyond_ascii_is_kept(self):
        assert "Ångström 雨.flac" in written("jsonl", clip(file="Ångström 雨.flac"))

    def test_numbers_json_has_no_word_for_are_null(self):
        scores = np.array([[np.nan, 0.5, np.inf, 0]], dtype=np.float32)
        data = json.loads(written("jsonl", timeline(scores=scores, edges=np.array([0.0, 1.0]), seconds=float("nan"))))
        assert data["frames"] == [{"onset": 0.0, "offset": 1.0, "scores": [None, 0.5, None, 0.0]}]
        assert data["seconds"] is None

    def test_a_long_timeline_is_written_piece_by_piece(self):
        class Recorder(io.StringIO):
            longest = 0

            def write(self, text):
                self.longest = max(self.longest, len(text))
                return super().write(text)

        frames = 1000
        result = timeline(
            scores=np.random.default_rng(0).random((frames, 4), dtype=np.float32), edges=np.arange(frames + 1) * 0.48
        )
        for form in ("json", "jsonl"):
            stream = Recorder()
            write_results([result], form, stream)
            assert json.loads(stream.getvalue()) == result.to_dict()
            assert stream.longest < 200


class TestCsv:
    def test_tags(self):
        assert written("csv", clip(), clip(file="b.wav", tags=(), notes=("silence: x", "y"))) == (
            "file,model,model_version,calibrated,seconds,label,id,score,notes,parameters\n"
            'street/day 1.wav,yamnet,1,false,2.0,Rain,/m/06mb1,0.93,,"{""top_k"": 2}"\n'
            'street/day 1.wav,yamnet,1,false,2.0,"Child speech, kid speaking",/m/0ytgt,0.411235,,"{""top_k"": 2}"\n'
        )

    def test_events(self):
        text = written("csv", events(calibrated=True, notes=("clipping: x", "dc: y"), parameters={}))
        assert text == (
            "file,model,model_version,calibrated,seconds,label,id,onset,offset,score,notes,parameters\n"
            "street/day 1.wav,yamnet,1,true,2.0,Rain,/m/06mb1,0.0,1.2075,0.93,clipping: x | dc: y,{}\n"
            'street/day 1.wav,yamnet,1,true,2.0,"Child speech, kid speaking",/m/0ytgt,0.7275,2.0,0.5,'
            "clipping: x | dc: y,{}\n"
        )

    def test_a_timeline_has_a_row_for_each_frame_and_label(self):
        result = timeline()
        table = rows(written("csv", result))
        assert [row["label"] for row in table] == [label.name for label in LABELS] * 3
        assert [float(row["onset"]) for row in table[::4]] == result.edges[:-1].tolist()
        assert [float(row["offset"]) for row in table[::4]] == result.edges[1:].tolist()
        assert np.array_equal(np.float32([row["score"] for row in table]), result.scores.ravel())

    def test_embeddings_have_a_column_for_each_number(self):
        assert written("csv", embeddings(parameters={})) == (
            "file,model,model_version,calibrated,seconds,onset,offset,embedding_0,embedding_1,embedding_2,"
            "notes,parameters\n"
            "street/day 1.wav,yamnet,1,false,2.0,0.0,0.7275,0.5,-0.25,3.0,,{}\n"
            "street/day 1.wav,yamnet,1,false,2.0,0.7275,2.0,0.0,1.0,2.0,,{}\n"
        )

    @pytest.mark.parametrize(
        ("empty", "columns"),
        [(clip(tags=()), 10), (events(events=()), 12), (timeline(scores=np.zeros((0, 4)), edges=np.zeros(1)), 12)],
        ids=["clip", "events", "timeline"],
    )
    def test_a_recording_without_rows_still_gives_the_header(self, empty, columns):
        (header,) = csv.reader(io.StringIO(written("csv", empty)))
        assert len(header) == columns

    def test_parameters_are_json(self):
        parameters = {"allow": ["Child speech, kid speaking", "é"], "end": None, "gain": float("inf")}
        (row,) = rows(written("csv", clip(tags=clip().tags[:1], parameters=parameters)))
        assert json.loads(row["parameters"]) == parameters | {"gain": None}
        assert "é" in row["parameters"]

    def test_a_missing_number_is_an_empty_field(self):
        (row,) = rows(written("csv", clip(tags=(Tag("Rain", "r", float("nan")),), seconds=float("inf"))))
        assert (row["score"], row["seconds"]) == ("", "")

    def test_kinds_do_not_mix(self):
        with pytest.raises(OptionError, match="needs other CSV columns than the recordings before"):
            written("csv", clip(), events())

    @settings(max_examples=100, deadline=None)
    @given(st.text(st.characters(codec="utf-8", exclude_characters="\r")), st.text(max_size=20))
    def test_any_text_survives(self, file, label):
        label = label.replace("\r", "")
        (row,) = rows(written("csv", clip(file=file, tags=(Tag(label, "/m/1", 0.5),), notes=(file,))))
        assert (row["file"], row["label"], row["notes"], row["score"]) == (file, label, file, "0.5")

    def test_what_csv_cannot_hold_is_escaped(self):
        first, second = rows(written("csv", clip(file="cr\r.wav")))
        assert first["file"] == second["file"] == r"cr\r.wav"
        assert rows(written("csv", clip(file=NOT_UTF8)))[0]["file"] == r"caf\udce9.wav"


class TestAnnotations:
    def test_audacity(self):
        assert written("audacity", events()) == (
            "0.000000\t1.207500\tRain 0.93\n0.727500\t2.000000\tChild speech, kid speaking 0.50\n"
        )

    def test_raven(self):
        # Column names as Raven Pro writes them; 4000 Hz is below half the sample rate of any recording from 8 kHz up.
        assert written("raven", events()) == (
            "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\t"
            "Begin File\tLabel\tId\tScore\n"
            "1\tSpectrogram 1\t1\t0.000000\t1.207500\t0\t4000\tday 1.wav\tRain\t/m/06mb1\t0.930000\n"
            "2\tSpectrogram 1\t1\t0.727500\t2.000000\t0\t4000\tday 1.wav\t"
            "Child speech, kid speaking\t/m/0ytgt\t0.500000\n"
        )

    def test_rttm(self):
        assert written("rttm", events(), events(file="b.wav", events=events().events[:1])) == (
            "SPEAKER day_1 1 0.000000 1.207500 <NA> <NA> Rain 0.930000 <NA>\n"
            "SPEAKER day_1 1 0.727500 1.272500 <NA> <NA> Child_speech,_kid_speaking 0.500000 <NA>\n"
            "SPEAKER b 1 0.000000 1.207500 <NA> <NA> Rain 0.930000 <NA>\n"
        )

    @pytest.mark.parametrize(("form", "lines"), [("audacity", 0), ("raven", 1), ("rttm", 0)])
    def test_no_events_leave_the_header_if_there_is_one(self, form, lines):
        assert written(form, events(events=())).count("\n") == lines

    @given(st.text(min_size=1), st.text(min_size=1))
    def test_any_name_keeps_the_number_of_lines_and_fields(self, file, label):
        result = events(file=file, events=(Event(label, "/m/1", 0.5, 1.0, 0.5),))
        assert [line.count("\t") for line in written("audacity", result).split("\n")] == [2, 0]
        assert [line.count("\t") for line in written("raven", result).split("\n")] == [10, 10, 0]
        (rttm,) = written("rttm", result).splitlines()
        assert len(rttm.split()) == 10
        for form in ("audacity", "raven", "rttm"):
            written(form, result).encode("utf-8")

    def test_broken_names_are_escaped(self):
        result = events(file=NOT_UTF8, events=(Event("a\tb", "/m/1", 0.5, 1.0, 0.5),))
        assert written("audacity", result) == "0.500000\t1.000000\ta\\tb 0.50\n"
        assert r"caf\udce9.wav" in written("raven", result)


class TestSed:
    def test_scores(self):
        # Read back without complaint by sed_scores_eval 0.0.4 (read_sed_scores), as were all 521 names of AudioSet.
        assert written("sed-scores", timeline()) == (
            "onset\toffset\tRain\tChild speech, kid speaking\tDog\tWind\n"
            "0.0\t0.7275\t0.1\t0.2\t0.3\t0.4\n"
            "0.7275\t1.2075\t0.9\t0.01\t0.1\t0.05\n"
            "1.2075\t2.0\t0.0\t0.0\t0.0\t1.0\n"
        )

    def test_classes_that_share_a_name_go_by_their_ids(self):
        labels = (Label("a", "Dog"), Label("b", "Dog"), Label("c", "Cat"), Label("d", "Cow"))
        assert written("sed-scores", timeline(labels=labels)).startswith("onset\toffset\ta\tb\tc\td\n")

    def test_frames_stay_end_to_end_after_rounding(self):
        edges = np.cumsum(np.full(101, 0.1))
        table = rows(written("sed-scores", timeline(edges=edges, scores=np.zeros((100, 4)))), "\t")
        assert [row["offset"] for row in table[:-1]] == [row["onset"] for row in table[1:]]

    def test_events(self):
        # Read back by sed_scores_eval 0.0.4 (read_ground_truth_events): quiet.wav is there, without events.
        assert written("sed-events", events(), events(file="x/quiet.wav", events=())) == (
            "filename\tonset\toffset\tevent_label\n"
            "day 1.wav\t0.0\t1.2075\tRain\n"
            "day 1.wav\t0.7275\t2.0\tChild speech, kid speaking\n"
            "quiet.wav\t\t\t\n"
        )

    @pytest.mark.parametrize("file", WEIRD_FILES)
    def test_weird_file_names(self, file):
        table = rows(written("sed-events", events(file=file)), "\t")
        assert [row["filename"] for row in table] == [file.replace("\r", r"\r")] * 2


class TestTable:
    def test_tags(self):
        notes = ("silence: there is nothing to hear; check that the right channel was recorded, and the microphone on",)
        assert written("table", clip(notes=notes)) == (
            "street/day 1.wav  yamnet 1  2.00 s  (scores not calibrated)\n"
            "  Rain                        0.93  ███████████████████████████▉\n"
            "  Child speech, kid speaking  0.41  ████████████▍\n"
            "  note: silence: there is nothing to hear; check that the right channel was\n"
            "        recorded, and the microphone on\n"
        )

    def test_events(self):
        assert written("table", events(calibrated=True)) == (
            "street/day 1.wav  yamnet 1  2.00 s\n"
            "   onset s  offset s  score\n"
            "      0.00      1.21   0.93  █████████▎  Rain\n"
            "      0.73      2.00   0.50  █████       Child speech, kid speaking\n"
        )

    def test_a_timeline_shows_the_highest_three(self):
        assert written("table", timeline(calibrated=True)) == (
            "street/day 1.wav  yamnet 1  2.00 s\n"
            "   onset s  offset s  highest 3\n"
            "      0.00      0.73  0.40 Wind           0.30 Dog            0.20 Child speech…\n"
            "      0.73      1.21  0.90 Rain           0.10 Dog            0.05 Wind\n"
            "      1.21      2.00  1.00 Wind           0.00 Rain           0.00 Child speech…\n"
        )

    def test_embeddings_show_their_shape(self):
        assert written("table", embeddings(calibrated=True)) == (
            "street/day 1.wav  yamnet 1  2.00 s\n  2 frames × 3 numbers, 0.00 to 2.00 s\n"
        )

    def test_nothing_heard_is_said(self):
        assert written("table", clip(tags=())).splitlines()[1:] == ["  no tags"]
        assert written("table", events(events=())).splitlines()[1:] == ["  no events"]

    def test_a_line_between_recordings(self):
        assert written("table", clip(), clip()) == written("table", clip()) + "\n" + written("table", clip())

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
    def test_a_stream_without_blocks_gets_ascii(self, encoding):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
        label = "A name of more than forty characters, é 雨, and then some"
        write_results([clip(file="雨.wav", tags=(Tag(label, "x", 0.5),), calibrated=True)], "table", stream)
        write_results([embeddings(calibrated=True)], "table", stream)
        e_acute = r"\xe9" if encoding == "ascii" else "é"
        assert stream.buffer.getvalue().decode(encoding) == (
            r"\u96e8.wav  yamnet 1  2.00 s" + "\n"
            f"  A name of more than forty characters, {e_acute}~  0.50  ###############\n"
            "street/day 1.wav  yamnet 1  2.00 s\n"
            "  2 frames x 3 numbers, 0.00 to 2.00 s\n"
        )

    @pytest.mark.parametrize("result", [clip(), events(), timeline()], ids=["clip", "events", "timeline"])
    def test_eighty_columns_are_enough(self, result):
        long = Label("x", "Bird vocalization, bird call, bird song, " * 3)
        loud = {
            ClipResult: {"tags": (Tag(long.name, long.id, 1.0),)},
            EventsResult: {"events": (Event(long.name, long.id, 86399.99, 86400.0, 1.0),)},
            TimelineResult: {"labels": (long,) * 4, "edges": np.array([0, 80000, 86399.99, 86400])},
        }[type(result)]
        lines = written("table", type(result)(**(source(notes=("x " * 200,)) | _content(result) | loud))).splitlines()
        assert max(map(len, lines)) == 80

    def test_numbers_that_are_none_are_dashes(self):
        text = written("table", clip(tags=(Tag("Rain", "r", float("nan")),), seconds=float("nan")))
        assert "nan" not in text
        assert text.splitlines()[1] == "  Rain  -"

    def test_control_characters_do_not_reach_the_terminal(self):
        text = written("table", clip(file="\x1b[31mred\n.wav", tags=(Tag("a\x07b", "x", 0.5),)))
        assert text.startswith(r"\x1b[31mred\n.wav  yamnet")
        assert r"a\x07b" in text


def _content(result):
    names = ("tags", "events", "labels", "edges", "scores")
    return {name: getattr(result, name) for name in names if hasattr(result, name)}
