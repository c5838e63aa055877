"""What clients of IBM's MAX Audio Classifier 1.2.0 send, and what they rely on in its answers."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import soundfile
from hypothesis import HealthCheck, settings

from earmark.inference.classifier import Classifier
from earmark.model.audioset import audioset_labels
from earmark.service.max_api import description
from tests.service.process import Running, serving
from tests.service.sounds import RATE_HZ, noise, silence, written

CLIP = noise(12.0)
WAV = "audio/wav"


def predict(
    client: httpx.Client, sound: bytes = CLIP, media_type: str = WAV, field: str = "audio", **given: Any
) -> httpx.Response:
    return client.post("/model/predict", files={field: ("clip.wav", sound, media_type)}, **given)


def predictions(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    found: list[dict[str, Any]] = answer.json()["predictions"]
    return found


def message(answer: httpx.Response) -> str:
    assert answer.status_code == 400
    assert answer.json()["status"] == "error"
    said: str = answer.json()["message"]
    return said


class TestPredict:
    def test_the_five_best_by_falling_probability(self, client: httpx.Client, tiny_models: list[Path]) -> None:
        found = predictions(predict(client))
        assert len(found) == 5
        assert all(set(one) == {"label_id", "label", "probability"} for one in found)
        assert [one["probability"] for one in found] == sorted((one["probability"] for one in found), reverse=True)
        tags = Classifier.load(tiny_models[0]).classify(CLIP, top_k=5, threshold=0.0, end=9.6).tags
        assert [(one["label_id"], one["probability"]) for one in found] == [
            (tag.id, round(tag.score, 6)) for tag in tags
        ]

    def test_ten_rows_of_the_clip_are_analysed(self, client: httpx.Client) -> None:
        longer = noise(40.0)
        shorter = written(_samples(longer)[: round(9.6 * RATE_HZ)], RATE_HZ)
        assert predictions(predict(client, longer)) == predictions(predict(client, shorter))

    @pytest.mark.parametrize("place", ["params", "data"])
    def test_the_start_time(self, place: str, client: httpx.Client) -> None:
        found = predictions(predict(client, **{place: {"start_time": "1.92"}}))
        rest = written(_samples(CLIP)[round(1.92 * RATE_HZ) :], RATE_HZ)
        assert found == predictions(predict(client, rest))

    def test_the_start_time_is_rounded_down_to_a_row(self, client: httpx.Client) -> None:
        start = predictions(predict(client, params={"start_time": 0.96}))
        assert predictions(predict(client, params={"start_time": 1.9})) == start

    @pytest.mark.parametrize("start", ["0", "0.5", "-0.5", ""])
    def test_the_first_row(self, start: str, client: httpx.Client) -> None:
        given = {"params": {"start_time": start}} if start else {}
        assert predictions(predict(client, **given)) == predictions(predict(client))

    @pytest.mark.parametrize("start", ["12.1", "1000", "1e300", "1.7e308", "-0.96", "-5"])
    def test_a_start_time_outside_the_clip(self, start: str, client: httpx.Client) -> None:
        answer = predict(client, params={"start_time": start})
        assert message(answer) == "Invalid start time: value outside audio clip"

    @pytest.mark.parametrize("start", ["soon", "nan", "inf", "1,5"])
    def test_a_start_time_that_is_no_number(self, start: str, client: httpx.Client) -> None:
        assert "start_time" in message(predict(client, params={"start_time": start}))

    @pytest.mark.parametrize("place", ["params", "data"])
    def test_a_filter(self, place: str, client: httpx.Client) -> None:
        assert [one["label"] for one in predictions(predict(client, **{place: {"filter": "Tone"}}))] == ["Tone"]

    def test_a_filter_of_two_labels(self, client: httpx.Client) -> None:
        found = predictions(predict(client, params={"filter": "Silence,Tone"}))
        assert {one["label"] for one in found} == {"Silence", "Tone"}
        assert found[0]["probability"] >= found[1]["probability"]

    def test_a_filter_of_a_label_with_a_comma(self, client: httpx.Client) -> None:
        assert [one["label"] for one in predictions(predict(client, params={"filter": "Noise, hiss"}))] == [
            "Noise, hiss"
        ]

    @pytest.mark.parametrize("text", ["", ",,"])
    def test_an_empty_filter_is_none(self, text: str, client: httpx.Client) -> None:
        assert predictions(predict(client, params={"filter": text})) == predictions(predict(client))

    def test_a_filter_of_no_label_of_the_model(self, client: httpx.Client) -> None:
        assert predictions(predict(client, params={"filter": "Xylophone"})) == []

    @pytest.mark.parametrize("media_type", [WAV, "audio/x-wav", "audio/vnd.wav", "AUDIO/WAV", "audio/wave"])
    def test_types_that_are_taken(self, media_type: str, client: httpx.Client) -> None:
        assert predictions(predict(client, media_type=media_type))

    @pytest.mark.parametrize("media_type", ["audio/mpeg", "image/png", "application/octet-stream", "text/plain"])
    def test_types_that_are_refused(self, media_type: str, client: httpx.Client) -> None:
        assert message(predict(client, media_type=media_type)) == f"Invalid file type/extension: {media_type}"

    def test_no_file(self, client: httpx.Client) -> None:
        assert "audio" in message(client.post("/model/predict"))
        assert "audio" in message(client.post("/model/predict", files={"start_time": (None, "1")}))
        assert "audio" in message(client.post("/model/predict", content=CLIP, headers={"content-type": WAV}))

    def test_bytes_that_are_no_sound(self, client: httpx.Client) -> None:
        assert "upload" in message(predict(client, b"no sound in here"))

    def test_a_clip_of_less_than_a_row(self, client: httpx.Client) -> None:
        assert len(predictions(predict(client, noise(0.3)))) == 5

    def test_silence_has_predictions_too(self, client: httpx.Client) -> None:
        assert len(predictions(predict(client, silence(2.0, RATE_HZ)))) == 5

    def test_what_max_does_not_know_is_passed_over(self, client: httpx.Client) -> None:
        assert predictions(predict(client, params={"top_k": "1"})) == predictions(predict(client))


class TestFacts:
    def test_metadata(self, client: httpx.Client) -> None:
        facts = client.get("/model/metadata").json()
        assert set(facts) == {"id", "name", "description", "type", "license"}
        assert (facts["id"], facts["license"]) == ("tiny", "Apache-2.0")

    def test_labels(self, client: httpx.Client) -> None:
        found = client.get("/model/labels").json()
        assert found["count"] == len(found["labels"]) == 5
        assert found["labels"][0] == {"id": "/t/tone", "name": "Tone"}

    def test_swagger(self, client: httpx.Client) -> None:
        swagger = client.get("/swagger.json").json()
        assert swagger["swagger"] == "2.0"
        assert swagger["info"]["title"] == "MAX Audio Classifier"
        assert swagger["info"]["version"] == "1.2.0"
        assert swagger["info"]["description"] == "Identify sounds in short audio clips"
        assert set(swagger["paths"]) == {"/model/metadata", "/model/labels", "/model/predict"}

    @pytest.mark.parametrize(("method", "path", "status"), [("GET", "/model/predict", 405), ("GET", "/model/x", 404)])
    def test_errors_have_its_shape(self, method: str, path: str, status: int, client: httpx.Client) -> None:
        answer = client.request(method, path)
        assert (answer.status_code, set(answer.json())) == (status, {"status", "message"})


schema = schemathesis.openapi.from_dict(description())


@schema.parametrize()
@settings(max_examples=10, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_route_keeps_its_description(case: Any, running: Running) -> None:
    answer = case.call(base_url=running.url)
    assert answer.status_code in (200, 400, 405)  # other methods are tried as well
    assert answer.json()


@pytest.fixture(scope="module")
def yamnet_client(yamnet_int8: Path) -> Iterator[httpx.Client]:
    with serving([yamnet_int8]) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        yield client


@pytest.mark.shared
class TestYamnet:
    """A client written for MAX, unchanged, when the model is YAMNet."""

    def test_metadata_is_that_of_max(self, yamnet_client: httpx.Client) -> None:
        assert yamnet_client.get("/model/metadata").json() == {
            "id": "audio_embeddings-tf-imagenet",
            "name": "audio_embeddings TensorFlow Model",
            "description": "audio_embeddings TensorFlow model trained on Audio Set",
            "type": "image_classification",
            "license": "Apache 2.0",
        }

    def test_a_dog_and_a_filter_over_all_labels(self, yamnet_client: httpx.Client, shared: Path) -> None:
        dog = (shared / "data/esc50/audio/1-32318-A-0.flac").read_bytes()
        best = predictions(predict(yamnet_client, dog))[0]
        assert (best["label_id"], best["label"]) in {("/m/0bt9lr", "Dog"), ("/m/05tny_", "Bark"), ("/m/0jbk", "Animal")}
        assert best["probability"] > 0.5
        assert [one["label"] for one in predictions(predict(yamnet_client, dog, params={"filter": "Rain"}))] == ["Rain"]

    def test_labels_are_those_of_audioset(self, yamnet_client: httpx.Client) -> None:
        assert yamnet_client.get("/model/labels").json()["count"] == len(audioset_labels())


def _samples(wav: bytes) -> Any:
    return soundfile.read(io.BytesIO(wav))[0]
