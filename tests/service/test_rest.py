"""The routes under /v1, held to what the library answers for the same sound."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from earmark.inference.changedrule import changed_rule
from earmark.inference.classifier import Classifier
from earmark.inference.formats import write_results
from earmark.inference.results import Result
from earmark.service.problems import KINDS
from tests.service.process import Running
from tests.service.sounds import RATE_HZ, form_of, noise, written

CLIP = noise(1.5)


class Upload(io.BytesIO):
    name = "upload"


@pytest.fixture(scope="module")
def tiny(tiny_models: list[Path]) -> Classifier:
    return Classifier.load(tiny_models[0])


@pytest.fixture(scope="module")
def novel(tiny_models: list[Path]) -> Classifier:
    return Classifier.load(tiny_models[1])


def error_of(answer: httpx.Response) -> dict[str, str]:
    """Return the error of an answer, which is of the one shape and has the status of its code."""
    (error,) = answer.json().values()
    assert set(error) == {"code", "message", "hint"}
    assert answer.status_code == KINDS[error["code"]].status
    assert answer.headers["content-type"] == "application/json"
    return error


class TestAnswers:
    def test_classify(self, client: httpx.Client, tiny: Classifier) -> None:
        answer = client.post("/v1/classify", content=CLIP)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == tiny.classify(Upload(CLIP)).to_dict()

    def test_events(self, client: httpx.Client, tiny: Classifier) -> None:
        answer = client.post("/v1/events?on=0.52&off=0.5&smoothing=0.3&min_duration=0.2&merge_gap=0.1", content=CLIP)
        rule = changed_rule(
            tiny.card.decision,
            on=0.52,
            off=0.5,
            smoothing_seconds=0.3,
            min_duration_seconds=0.2,
            merge_gap_seconds=0.1,
        )
        expected = tiny.events(Upload(CLIP), rule=rule).to_dict()
        assert answer.json() == json.loads(json.dumps(expected))
        assert answer.json()["parameters"]["rule"]["merge_gap_seconds"] == 0.1

    def test_timeline(self, client: httpx.Client, tiny: Classifier) -> None:
        answer = client.post("/v1/timeline?allow=Tone&allow=*oiseau,Silence&deny=Silence", content=CLIP)
        expected = tiny.timeline(Upload(CLIP), allow=["Tone", "*oiseau", "Silence"], deny=["Silence"]).to_dict()
        assert answer.json() == expected
        assert [label["label"] for label in answer.json()["labels"]] == ["Tone", "Chant d'oiseau"]

    def test_embed(self, client: httpx.Client, tiny: Classifier) -> None:
        answer = client.post("/v1/embed", content=CLIP)
        assert answer.json() == tiny.embed(Upload(CLIP)).to_dict()

    def test_options_of_classify(self, client: httpx.Client, novel: Classifier) -> None:
        options: dict[str, Any] = {
            "top_k": 2,
            "threshold": 0.1,
            "allow": ["Tone", "Noise, hiss"],
            "deny": ["Silence"],
            "start": 0.2,
            "end": 1.1,
            "aggregate": "max",
            "novelty": "reject",
            "novelty_threshold": 0.9,
        }
        answer = client.post("/v1/classify", params={**options, "model": "novel"}, content=CLIP)
        assert answer.json() == novel.classify(Upload(CLIP), **options).to_dict()

    def test_an_option_of_a_list_may_hold_several_with_commas(self, client: httpx.Client) -> None:
        answer = client.post("/v1/classify?allow=noise,hiss,tone", content=CLIP)
        assert {tag["label"] for tag in answer.json()["tags"]} == {"Tone", "Noise, hiss"}

    def test_the_threshold_of_the_card(self, client: httpx.Client, tiny: Classifier) -> None:
        answer = client.post("/v1/classify?threshold=card", content=CLIP)
        assert answer.json() == tiny.classify(Upload(CLIP), threshold="card").to_dict()

    def test_unknown_sound(self, client: httpx.Client, novel: Classifier) -> None:
        loud = written(0.9 * np.sign(np.random.default_rng(3).standard_normal(2 * RATE_HZ)), RATE_HZ)
        refused = client.post("/v1/classify?model=novel", content=loud).json()
        assert refused == novel.classify(Upload(loud)).to_dict()
        assert refused["none_of_these"]
        assert client.post("/v1/classify?model=novel&novelty=ignore", content=loud).json()["tags"]

    def test_a_model_by_the_name_it_was_started_with(self, client: httpx.Client) -> None:
        assert client.post("/v1/classify?model=tiny", content=CLIP).json()["model"] == "tiny"

    @pytest.mark.parametrize(
        ("task", "form", "media_type"),
        [
            ("classify", "csv", "text/csv"),
            ("events", "csv", "text/csv"),
            ("events", "audacity", "text/plain"),
            ("events", "raven", "text/tab-separated-values"),
            ("events", "rttm", "text/plain"),
            ("events", "sed-events", "text/tab-separated-values"),
            ("timeline", "csv", "text/csv"),
            ("timeline", "sed-scores", "text/tab-separated-values"),
            ("embed", "csv", "text/csv"),
        ],
    )
    def test_formats(self, task: str, form: str, media_type: str, client: httpx.Client, tiny: Classifier) -> None:
        method: Callable[..., Result] = getattr(tiny, task)
        expected = io.StringIO()
        write_results([method(Upload(CLIP))], form, expected)
        answer = client.post(f"/v1/{task}?format={form}", content=CLIP)
        assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert answer.text == expected.getvalue()

    def test_wav(self, client: httpx.Client) -> None:
        import soundfile

        stereo = written(np.full((48_000, 2), [0.5, 0.25]), 48_000, form="FLAC")
        answer = client.post("/v1/wav?start=0.25", content=stereo)
        assert answer.headers["content-type"] == "audio/wav"
        samples, rate_hz = soundfile.read(io.BytesIO(answer.content), dtype="int16")
        assert (rate_hz, samples.shape) == (16_000, (12_000,))
        assert abs(int(np.median(samples)) - round(0.375 * 2**15)) <= 1

    def test_a_large_answer_comes_through_a_file(self, client: httpx.Client, running: Running) -> None:
        answer = client.post("/v1/wav", content=noise(40, form="OGG"))
        assert int(answer.headers["content-length"]) == len(answer.content) == 44 + 40 * 32_000


class TestUploads:
    @pytest.mark.parametrize(
        "media_type", ["audio/wav", "video/mp4", "application/octet-stream", "application/x-www-form-urlencoded", "x"]
    )
    def test_a_body_of_any_content_type(self, media_type: str, client: httpx.Client, tiny: Classifier) -> None:
        answer = client.post("/v1/classify", content=CLIP, headers={"content-type": media_type})
        assert answer.json() == tiny.classify(Upload(CLIP)).to_dict()

    @pytest.mark.parametrize("field", ["audio", "file", "whatever"])
    def test_a_form(self, field: str, client: httpx.Client, tiny: Classifier) -> None:
        answer = client.post("/v1/classify", files={field: ("x.wav", CLIP)})
        assert answer.json() == tiny.classify(Upload(CLIP)).to_dict()

    def test_options_in_the_form(self, client: httpx.Client, tiny: Classifier) -> None:
        answer = client.post("/v1/classify?start=0.5", files={"audio": CLIP}, data={"top_k": "1", "model": "tiny"})
        assert answer.json() == tiny.classify(Upload(CLIP), start=0.5, top_k=1).to_dict()

    def test_a_large_file(self, client: httpx.Client, tiny: Classifier) -> None:
        large = noise(40)
        assert client.post("/v1/classify", content=large).json() == tiny.classify(Upload(large)).to_dict()
        assert client.post("/v1/classify", files={"a": large}).json() == tiny.classify(Upload(large)).to_dict()

    def test_a_body_in_pieces(self, client: httpx.Client, tiny: Classifier) -> None:
        pieces = (CLIP[start : start + 1000] for start in range(0, len(CLIP), 1000))
        assert client.post("/v1/classify", content=pieces).json() == tiny.classify(Upload(CLIP)).to_dict()

    @pytest.mark.parametrize("form", ["FLAC", "OGG", "MP3"])
    def test_other_files(self, form: str, client: httpx.Client) -> None:
        answer = client.post("/v1/classify", content=noise(2, form=form))
        assert answer.json()["seconds"] == pytest.approx(2, abs=0.1)


class TestRefusals:
    @pytest.mark.parametrize(
        ("query", "code", "said"),
        [
            ("topk=3", "unknown_parameter", "'topk' is not known; did you mean 'top_k'"),
            ("colour=red", "unknown_parameter", "'colour' is not known; those that are: "),
            ("top_k=few", "bad_option", "top_k='few' is not allowed"),
            ("top_k=-1", "bad_option", "top_k='-1' is not allowed"),
            ("top_k=1&top_k=2", "bad_option", "top_k is given twice"),
            ("threshold=1.5", "bad_option", "threshold='1.5' is not allowed"),
            ("threshold=nan", "bad_option", "threshold='nan' is not allowed"),
            ("start=-1", "bad_option", "start='-1' is not allowed"),
            ("start=inf", "bad_option", "start='inf' is not allowed"),
            ("start=1e308", "bad_option", "start=1e+308 s must be 0 or more, and at most 1000000000 s"),
            ("start=1e308&end=1e308", "bad_option", "start=1e+308 s must be 0 or more"),
            ("end=1e305", "bad_option", "end=1e+305 s must lie after start=0.0 s, and at most at 1000000000 s"),
            ("start=1&end=0.5", "bad_option", "end=0.5 s must lie after start=1.0 s"),
            ("start=9", "bad_option", "start=9 s is not before the end of upload, which lasts 1.500 s"),
            ("format=xml", "bad_option", "format='xml' is not allowed"),
            ("allow=Tonne", "unknown_label", "no label matches 'Tonne'; nearest: 'Tone'"),
            ("allow=", "bad_option", "allow='' is not allowed"),
            ("allow=,", "bad_option", "allow or deny is empty"),
            ("deny=*", "bad_option", "leave no label"),
            ("model=other", "unknown_model", "'other' is not served here; those that are: tiny, novel"),
            ("novelty_threshold=0.5", "bad_option", "'tiny' gives none"),
            ("model=novel&novelty=ignore&novelty_threshold=0.5", "bad_option", "contradict each other"),
        ],
    )
    def test_of_options(self, query: str, code: str, said: str, client: httpx.Client) -> None:
        error = error_of(client.post(f"/v1/classify?{query}", content=CLIP))
        assert error["code"] == code
        assert said in error["message"]

    @pytest.mark.parametrize("name", ["smoothing", "min_duration", "merge_gap"])
    def test_of_too_many_seconds(self, name: str, client: httpx.Client) -> None:
        error = error_of(client.post(f"/v1/events?{name}=1e308", content=CLIP))
        assert error["code"] == "bad_option"
        assert f"{name}_seconds is 1e+308: it must be" in error["message"]

    @pytest.mark.parametrize("span", ["start=1e308", "end=1e305", "start=1e308&end=1e305"])
    def test_of_a_span_beyond_all_sound(self, span: str, client: httpx.Client) -> None:
        assert error_of(client.post(f"/v1/wav?{span}", content=CLIP))["code"] == "bad_option"

    def test_of_a_rule_that_contradicts_itself(self, client: httpx.Client) -> None:
        error = error_of(client.post("/v1/events?on=0.2&off=0.5", content=CLIP))
        assert error["code"] == "bad_option"
        assert "on=0.2, off=0.5" in error["message"]

    def test_options_of_another_task(self, client: httpx.Client) -> None:
        assert error_of(client.post("/v1/timeline?on=0.5", content=CLIP))["code"] == "unknown_parameter"
        assert error_of(client.post("/v1/wav?model=tiny", content=CLIP))["code"] == "unknown_parameter"

    def test_of_an_option_in_the_form(self, client: httpx.Client) -> None:
        error = error_of(client.post("/v1/classify", files={"audio": CLIP}, data={"top-k": "1"}))
        assert (error["code"], "'top_k'" in error["message"]) == ("unknown_parameter", True)

    @pytest.mark.parametrize(
        ("data", "code", "said"),
        [
            (b"no sound in here", "not_audio", "upload is no sound or video file"),
            (b"<html>", "not_audio", "upload is no sound"),
            (CLIP[:20], "not_audio", "upload is no sound"),
            (CLIP[:44], "empty_audio", "upload holds no samples"),
            (written(np.array([0.1, np.nan]), RATE_HZ, subtype="FLOAT"), "non_finite", "upload holds 1 NaN"),
        ],
        ids=["text", "page", "half a header", "header alone", "not a number"],
    )
    def test_of_what_is_no_sound(self, data: bytes, code: str, said: str, client: httpx.Client) -> None:
        error = error_of(client.post("/v1/classify", content=data))
        assert error["code"] == code
        assert said in error["message"]

    def test_of_nothing(self, client: httpx.Client) -> None:
        assert error_of(client.post("/v1/classify"))["code"] == "no_file"
        assert error_of(client.post("/v1/classify", content=b""))["code"] == "no_file"
        body, media_type = form_of(fields={"top_k": "1"})
        assert error_of(client.post("/v1/classify", content=body, headers={"content-type": media_type}))["code"] == (
            "no_file"
        )
        assert error_of(client.post("/v1/classify", files={"audio": b""}))["code"] == "empty_audio"

    def test_of_several_files(self, client: httpx.Client) -> None:
        error = error_of(client.post("/v1/classify", files=[("a", CLIP), ("b", CLIP)]))
        assert error["code"] == "several_files"
        assert "/v1/batch" in error["hint"]

    @pytest.mark.parametrize(
        ("media_type", "body"),
        [
            ("multipart/form-data", b"--x\r\n"),
            ("multipart/form-data; boundary=", b"--x\r\n"),
            ("multipart/form-data; boundary=x", b"no boundary"),
            ("multipart/form-data; boundary=x", form_of(CLIP)[0]),
            ("multipart/form-data; boundary=xyz", form_of(CLIP)[0][:-4]),
            ("multipart/form-data; boundary=xyz", form_of(CLIP, fields={"top_k": "1" * 70_000})[0]),
            ("multipart/form-data; boundary=xyz", form_of(CLIP, fields={f"f{n}": "1" for n in range(200)})[0]),
            (f"multipart/form-data; boundary={'x' * 400}", b""),
        ],
    )
    def test_of_a_form_that_is_none(self, media_type: str, body: bytes, client: httpx.Client) -> None:
        answer = client.post("/v1/classify", content=body, headers={"content-type": media_type})
        assert error_of(answer)["code"] == "bad_form"

    def test_of_a_route_or_method_that_is_not_there(self, client: httpx.Client) -> None:
        assert error_of(client.get("/v1/nothing"))["code"] == "not_found"
        answer = client.get("/v1/classify")
        assert error_of(answer)["code"] == "method_not_allowed"
        assert answer.headers["allow"] == "POST"

    def test_of_a_file_on_the_server(self, client: httpx.Client, tiny_models: list[Path]) -> None:
        """A path or an address is bytes like others, and no sound."""
        for text in (str(tiny_models[0]), "file:///etc/passwd", "concat:/etc/passwd", "#EXTM3U\nfile:///etc/passwd"):
            assert error_of(client.post("/v1/classify", content=text.encode()))["code"] == "not_audio"


class TestFacts:
    def test_models(self, client: httpx.Client) -> None:
        listed = client.get("/v1/models").json()
        assert listed["default"] == "tiny"
        assert [model["name"] for model in listed["models"]] == ["tiny", "novel"]
        assert [model["has_novelty"] for model in listed["models"]] == [False, True]
        assert listed["models"][0]["labels"] == 5
        assert listed["limits"]["upload_bytes"] == 200 * 2**20

    def test_model(self, client: httpx.Client, novel: Classifier) -> None:
        facts = client.get("/v1/models/novel").json()
        assert facts["labels"] == [{"label": label.name, "id": label.id} for label in novel.card.labels]
        assert facts["decision"]["on"] == novel.card.decision.on
        assert facts["novelty_threshold"] == 0.5
        assert facts["frame_hop_seconds"] == novel.card.frame_hop_seconds

    def test_unknown_model(self, client: httpx.Client) -> None:
        assert error_of(client.get("/v1/models/other"))["code"] == "unknown_model"
        assert error_of(client.get("/v1/models/..%2F..%2Fetc"))["code"] in ("unknown_model", "not_found")

    def test_health(self, client: httpx.Client) -> None:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {"status": "ready"}

    def test_metrics_move(self, client: httpx.Client, running: Running) -> None:
        route = 'route="/v1/classify"'
        names = {
            "answered": f'earmark_requests_total{{{route},status="200"}}',
            "timed": f"earmark_request_seconds_count{{{route}}}",
            "sound": 'earmark_sound_seconds_total{model="tiny"}',
            "errors": 'earmark_errors_total{code="not_audio"}',
        }
        before = {what: running.metric(name) for what, name in names.items()}
        client.post("/v1/classify", content=CLIP)
        client.post("/v1/classify", content=b"no sound in here")
        moved = {what: running.metric(name) - before[what] for what, name in names.items()}
        assert moved == {"answered": 1, "timed": 2, "sound": pytest.approx(1.5), "errors": 1}
        assert running.metric("earmark_queue_jobs") == running.metric("earmark_busy_workers") == 0
