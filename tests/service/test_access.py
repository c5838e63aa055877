"""Who is let in, and the headers that every answer has."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from earmark.service.access import _allowed_hosts
from earmark.service.settings import Settings
from tests.service.process import Running, serving
from tests.service.rawclient import answered, connected, head
from tests.service.sounds import noise
from tests.service.test_live import OPENING, refused
from tests.service.test_rest import error_of

CLIP = noise(1.0)
TOKEN = "a-long-random-word"
PAGE = "https://example.org"


@pytest.fixture(scope="module")
def guarded(tiny_models: list[Path]) -> Iterator[Running]:
    with serving(tiny_models, token=TOKEN, origins=[PAGE], hosts=["sounds.example"]) as service:
        yield service


@pytest.fixture(scope="module")
def open_to_all(tiny_models: list[Path]) -> Iterator[Running]:
    """Return a service that lets others in without a token."""
    with serving(tiny_models, host="0.0.0.0", insecure=True) as service:
        yield service


class TestToken:
    @pytest.mark.parametrize(
        ("header", "code"),
        [
            (None, "token_missing"),
            ("", "token_missing"),
            (f"Basic {TOKEN}", "token_missing"),
            ("Bearer", "token_wrong"),
            ("Bearer wrong", "token_wrong"),
            (f"Bearer {TOKEN}x", "token_wrong"),
            ("Bearer ünicode".encode(), "token_wrong"),
        ],
    )
    @pytest.mark.parametrize("path", ["/v1/classify", "/model/predict", "/v1/nothing"])
    def test_missing_or_wrong(self, path: str, header: str | bytes | None, code: str, guarded: Running) -> None:
        headers = {} if header is None else {"authorization": header}
        answer = httpx.post(f"{guarded.url}{path}", content=CLIP, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        if path.startswith("/v1"):
            assert error_of(answer)["code"] == code

    def test_a_refusal_is_counted_for_its_route(self, guarded: Running) -> None:
        name = 'earmark_requests_total{route="/v1/models/{name}",status="401"}'
        before = guarded.metric(name)
        httpx.get(f"{guarded.url}/v1/models/tiny")
        guarded.wait_for(name, before + 1)

    def test_the_description_knows_of_it(self, guarded: Running, client: httpx.Client) -> None:
        described = httpx.get(f"{guarded.url}/openapi.json").json()
        assert described["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
        assert described["security"] == [{"token": []}]
        assert "security" not in client.get("/openapi.json").json()

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
    def test_right(self, scheme: str, guarded: Running) -> None:
        headers = {"authorization": f"{scheme} {TOKEN}"}
        assert httpx.post(f"{guarded.url}/v1/classify", content=CLIP, headers=headers).status_code == 200

    @pytest.mark.parametrize("token", ["wörtchen", "\ud800", "\x00", TOKEN + "\udfff"])
    def test_wrong_in_the_first_message_of_a_stream(self, token: str, guarded: Running) -> None:
        """JSON may hold half a character, which no encoding of text has: it must not be a mistake of the service."""
        assert refused(guarded, json.dumps({**OPENING, "token": token}))[::2] == ("token_wrong", 1008)

    @pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/healthz", "/readyz", "/static/docs.js"])
    def test_what_is_open(self, path: str, guarded: Running) -> None:
        assert httpx.get(f"{guarded.url}{path}").status_code == 200

    @pytest.mark.parametrize("path", ["/metrics", "/v1/models", "/model/metadata", "//v1/models", "/v1/../v1/models"])
    def test_what_is_not(self, path: str, guarded: Running) -> None:
        with connected(guarded) as connection:
            connection.sendall(head(guarded, "GET", path))
            assert answered(connection)[0] == 401

    def test_nobody_reads_what_comes_without_a_token(self, guarded: Running) -> None:
        with connected(guarded) as connection:
            connection.sendall(head(guarded, content_length=10**6) + b"0123456789")
            assert answered(connection)[0] == 401


class TestHosts:
    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "localhost:80", "LOCALHOST", "[::1]:8000", "sounds.example", "sounds.example:443"]
    )
    def test_names_of_this_service(self, host: str, guarded: Running) -> None:
        assert httpx.get(f"{guarded.url}/healthz", headers={"host": host}).status_code == 200

    @pytest.mark.parametrize(
        "host", ["example.org", "127.0.0.1.example.org", "localhost.example.org:8000", "", "[::2]"]
    )
    def test_names_of_others(self, host: str, guarded: Running) -> None:
        """A page whose name was made to point here must not be taken for a page of this service."""
        answer = httpx.get(f"{guarded.url}/healthz", headers={"host": host})
        assert error_of(answer)["code"] == "host_not_allowed"

    @pytest.mark.parametrize(
        "host",
        [
            "0.0.0.0:8000",
            "127.0.0.1",
            "192.168.1.5:8000",
            "[fe80::1]:8000",
            "localhost:8000",
            f"{socket.gethostname()}:8000",
            f"{socket.gethostname().partition('.')[0].upper()}.local",
        ],
    )
    def test_names_where_all_are_let_in(self, host: str, open_to_all: Running) -> None:
        headers = {"host": host, "origin": f"http://{host}"}
        assert httpx.get(f"{open_to_all.url}/v1/models", headers=headers).status_code == 200

    @pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "192.168.1.5.evil.example", "1.2.3", ""])
    def test_a_page_that_points_its_name_here(self, host: str, open_to_all: Running) -> None:
        """Where there is no token, whoever lets a page be seen in this network must not thereby hear with it."""
        headers = {"host": host, "origin": f"http://{host}"}
        answer = httpx.get(f"{open_to_all.url}/v1/models", headers=headers)
        assert error_of(answer)["code"] == "host_not_allowed"

    def test_a_further_name_takes_none_away(self) -> None:
        names = _allowed_hosts(Settings(host="0.0.0.0", insecure=True, hosts=("Sounds.Example",)))
        assert names is not None
        assert {"sounds.example", "localhost", socket.gethostname().lower()} <= names

    def test_a_token_keeps_such_a_page_out_by_itself(self, tiny_models: list[Path]) -> None:
        with serving(tiny_models, host="0.0.0.0", token=TOKEN) as service:
            headers = {"host": "any.example", "authorization": f"Bearer {TOKEN}"}
            assert httpx.get(f"{service.url}/v1/models", headers=headers).status_code == 200


class TestOrigins:
    def test_closed_by_default(self, client: httpx.Client) -> None:
        answer = client.get("/v1/models", headers={"origin": PAGE})
        assert "access-control-allow-origin" not in answer.headers
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
        asked = client.options("/v1/classify", headers={"origin": PAGE, "access-control-request-method": "POST"})
        assert error_of(asked)["code"] == "origin_not_allowed"

    def test_open_to_one_page(self, guarded: Running) -> None:
        headers = {"origin": PAGE, "authorization": f"Bearer {TOKEN}"}
        answer = httpx.get(f"{guarded.url}/v1/models", headers=headers)
        assert answer.headers["access-control-allow-origin"] == PAGE
        asking = {
            "origin": PAGE,
            "access-control-request-method": "POST",
            "access-control-request-headers": "Authorization",
        }
        assert httpx.options(f"{guarded.url}/v1/classify", headers=asking).status_code == 200
        other = httpx.get(f"{guarded.url}/v1/models", headers={**headers, "origin": "https://example.com"})
        assert "access-control-allow-origin" not in other.headers

    def test_errors_can_be_read_there_too(self, guarded: Running) -> None:
        answer = httpx.get(f"{guarded.url}/v1/models", headers={"origin": PAGE})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, PAGE)


class TestHeaders:
    @pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/nothing", "/healthz", "/docs"])
    def test_on_every_answer(self, path: str, client: httpx.Client) -> None:
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["permissions-policy"] == "microphone=(self)"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "server" not in headers

    def test_answers_are_not_kept(self, client: httpx.Client) -> None:
        assert client.get("/v1/models").headers["cache-control"] == "no-store"
        assert client.post("/v1/classify", content=CLIP).headers["cache-control"] == "no-store"
