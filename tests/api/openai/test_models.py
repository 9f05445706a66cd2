"""GET /models and /models/{id}."""

from __future__ import annotations

import openai
import pytest

from tests.support.server import serving
from tests.support.turns import client_of, scripted_app


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_what_can_be_served_now_is_listed(prefix: str) -> None:
    async with client_of(scripted_app()) as client:
        listed = (await client.get(f"{prefix}/models")).json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["tiny", "org/local"]
    assert listed["data"][0] == {
        "id": "tiny",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "lemonade-like",
        "checkpoint": None,
        "recipe": "llamacpp",
        "labels": ["gpt-oss", "reasoning"],
        "mode": "chat",
        "source": "bundled",
        "suggested": False,
        "downloaded": True,
        "size": 0.036,
        "context_length": None,
        "quantization": None,
        "parameters": None,
        "architecture": None,
        "recipe_options": {},
    }


async def test_all_that_is_known_is_listed_when_asked_for() -> None:
    async with client_of(scripted_app()) as client:
        listed = (await client.get("/v1/models", params={"show_all": "true"})).json()
        refused = await client.get("/v1/models", params={"show_all": "perhaps"})
    assert [(model["id"], model["downloaded"]) for model in listed["data"]] == [
        ("tiny", True),
        ("org/local", True),
        ("far-away", False),
    ]
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "show_all"


async def test_a_model_is_described_also_if_its_name_has_a_slash() -> None:
    async with client_of(scripted_app()) as client:
        assert (await client.get("/v1/models/org/local")).json()["checkpoint"] == "org/repo:Q4_0"
        assert (await client.get("/v1/models/org%2Flocal")).json()["id"] == "org/local"


async def test_a_model_that_is_not_downloaded_is_described_as_such() -> None:
    async with client_of(scripted_app()) as client:
        assert (await client.get("/v1/models/far-away")).json()["downloaded"] is False


async def test_an_unknown_model_is_a_404() -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.get("/v1/models/nobody")
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")


async def test_the_sdk_reads_them() -> None:
    async with (
        serving(scripted_app()) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        assert [model.id async for model in client.models.list()] == ["tiny", "org/local"]
        assert (await client.models.retrieve("tiny")).owned_by == "lemonade-like"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("nobody")
