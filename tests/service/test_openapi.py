"""Every route of the description, tried with what it allows and with what it does not."""

import json
from importlib.resources import files
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi.openapi.utils import get_openapi
from hypothesis import HealthCheck, settings
from pydantic import BaseModel
from schemathesis.checks import CHECKS, load_all_checks

from earmark.service import rest, schemas
from earmark.service.options import OPTIONS
from earmark.service.problems import KINDS
from tests.conftest import ROOT
from tests.service.process import Running
from tests.service.sounds import noise

load_all_checks()
schemathesis.serializer.alias(["audio/*", "video/*"], "application/octet-stream")

# Random bytes are no sound, whatever the description allows.
CHECKED = [check for check in CHECKS.get_all() if check.__name__ != "positive_data_acceptance"]

schema = schemathesis.openapi.from_dict(get_openapi(title="earmark", version="1", routes=rest.router.routes))


@schema.parametrize()
@settings(max_examples=10, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_route_keeps_its_description(case: Any, running: Running) -> None:
    case.call_and_validate(base_url=running.url, checks=CHECKED)


def test_everything_is_described(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    paths = described["paths"]
    assert {*(f"/v1/{task}" for task in OPTIONS), "/v1/batch", "/v1/models", "/v1/models/{name}"} <= set(paths)
    for task, options in OPTIONS.items():
        names = [parameter["name"] for parameter in paths[f"/v1/{task}"]["post"]["parameters"]]
        assert names == list(options.model_fields)
    codes = described["components"]["schemas"]["ErrorBody"]["properties"]["code"]["enum"]
    assert codes == list(KINDS)


ANSWERS: dict[str, type[BaseModel]] = {
    "classify": schemas.ClipAnswer,
    "events": schemas.EventsAnswer,
    "timeline": schemas.TimelineAnswer,
    "embed": schemas.EmbedAnswer,
    "models": schemas.ModelList,
    "model": schemas.ModelFacts,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_and_examples_have_the_shape_that_is_described(name: str, client: httpx.Client) -> None:
    example = json.loads(files("earmark.service").joinpath("examples.json").read_text(encoding="utf-8"))[name]
    ANSWERS[name].model_validate(example, strict=True)
    paths = {"models": "/v1/models", "model": "/v1/models/novel"}
    got = client.get(paths[name]) if name in paths else client.post(f"/v1/{name}?model=novel", content=noise(1.0))
    ANSWERS[name].model_validate(got.json(), strict=True)
    assert list(example) == list(got.json())


def test_every_code_is_in_the_guide() -> None:
    guide = (ROOT / "docs" / "guide" / "serve.md").read_text(encoding="utf-8")
    assert not [code for code in KINDS if f"`{code}`" not in guide]
