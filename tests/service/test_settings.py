"""What a service may be told, and what it refuses to be told."""

from typing import Any

import pytest

from earmark.errors import OptionError
from earmark.service.settings import Limits, Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert Settings(host=host).is_local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "sound.example.org", ""])
def test_others_need_one(host: str) -> None:
    with pytest.raises(OptionError, match="give a token with --token or EARMARK_TOKEN, or --insecure"):
        Settings(host=host)
    assert not Settings(host=host, token="secret").is_local
    assert not Settings(host=host, insecure=True).is_local


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"models": ()}, "models is empty"),
        ({"port": 65536}, "port=65536"),
        ({"port": -1}, "port=-1"),
        ({"workers": 0}, "workers=0"),
        ({"token": ""}, "the token is empty"),
        ({"token": "two words"}, "holds spaces"),
        (
            {"origins": ("https://example.org/",)},
            "origin 'https://example.org/' is not allowed: give what browsers send",
        ),
        ({"origins": ("*", "example.org")}, "origin 'example.org' is not allowed"),
    ],
)
def test_what_cannot_be(given: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Settings(**given)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize("limit", ["upload_bytes", "sound_seconds", "analysis_seconds", "per_client", "queue"])
def test_limits_are_numbers_above_0(limit: str, value: float) -> None:
    if (limit, value) == ("queue", 0):
        assert Limits(queue=0).queue == 0
        return
    with pytest.raises(OptionError, match=f"{limit}={value} is not allowed"):
        Limits(**{limit: value})


def test_the_cores_are_shared_among_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARMARK_THREADS", "8")
    assert (Settings().workers, Settings().threads) == (8, 1)
    assert Settings(workers=3).threads == 2
    assert Settings(workers=20).threads == 1


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(Settings(token="secret"))
