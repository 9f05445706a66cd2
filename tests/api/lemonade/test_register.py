"""POST /models/register, and the names that it makes, over a real registry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.ggufs import write_gguf
from tests.support.models import Machine, put_file
from tests.support.turns import client_of, scripted_app, scripted_services


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
async def client(machine: Machine) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(scripted_app(replace(scripted_services(), catalogue=machine.registry()))) as client:
        yield client


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_a_model_is_registered_and_known_to_every_process(
    prefix: str, client: httpx.AsyncClient, machine: Machine
) -> None:
    body = {
        "model_name": "user.Mine",
        "checkpoint": "hf.co/org/repo:q4_k_m",
        "recipe": "llamacpp",
        "reasoning": True,
        "labels": ["coding"],
        "mmproj": "mmproj-F16.gguf",
        "recipe_options": {"ctx_size": 4096},
    }
    answer = await client.post(f"{prefix}/models/register", json=body)
    assert answer.status_code == 200
    said = answer.json()
    assert (said["status"], said["model_name"]) == ("success", "user.Mine")
    assert said["model"]["labels"] == ["coding", "reasoning", "vision"]
    assert said["model"]["recipe_options"] == {"ctx_size": 4096}
    found = machine.registry().find("user.mine")
    assert (found.checkpoint, found.mmproj) == ("org/repo:Q4_K_M", "mmproj-F16.gguf")
    assert (await client.get(f"{prefix}/models/user.Mine")).json() == said["model"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model_name": ""}, "model_name"),
        ({"model_name": "user.a/b"}, "model_name"),
        ({"model_name": 1}, "model_name"),
        ({"model_name": None}, "model_name"),
        ({"checkpoint": "repo"}, "checkpoint"),
        ({"checkpoint": "/etc/passwd"}, "checkpoint"),
        ({"checkpoint": "org/repo:../x.gguf"}, "checkpoint"),
        ({"checkpoint": "../..:x.gguf"}, "checkpoint"),
        ({"recipe": "magic"}, "recipe"),
        ({"labels": ["invented"]}, "labels[0]"),
        ({"labels": "coding"}, "labels"),
        ({"mmproj": ""}, "mmproj"),
        ({"mmproj": "../mmproj.gguf"}, "mmproj"),
        ({"mmproj": "/etc/passwd"}, "mmproj"),
        ({"mmproj": "../..:mmproj.gguf"}, "mmproj"),
        ({"recipe_options": {"ctx_size": -1}}, "recipe_options.ctx_size"),
        ({"recipe_options": {"ctx_size": False}}, "recipe_options.ctx_size"),
        ({"recipe_options": {"pinned": 0}}, "recipe_options.pinned"),
        ({"recipe_options": {"colour": "red"}}, "recipe_options.colour"),
        ({"recipe_options": {"llamacpp_args": "'"}}, "recipe_options.llamacpp_args"),
    ],
)
async def test_what_cannot_be_registered_names_the_field(
    change: dict[str, Any], param: str, client: httpx.AsyncClient, machine: Machine
) -> None:
    answer = await client.post("/v1/models/register", json={"model_name": "m", "checkpoint": "org/repo:Q4_0", **change})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert not (machine.folder / "data").exists()


async def test_arguments_that_an_engine_would_not_get_are_refused_now(client: httpx.AsyncClient) -> None:
    body = {"model_name": "m", "checkpoint": "org/repo:Q4_0", "recipe_options": {"llamacpp_args": "--port 1"}}
    answer = await client.post("/v1/models/register", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_llamacpp_args"


async def test_a_damaged_store_is_an_error_that_says_what_to_do(client: httpx.AsyncClient, machine: Machine) -> None:
    (machine.folder / "data").mkdir()
    (machine.folder / "data" / "user_models.json").write_text("{")
    answer = await client.post("/v1/models/register", json={"model_name": "m", "checkpoint": "org/repo:Q4_0"})
    assert answer.status_code == 500
    assert "move it away" in answer.json()["error"]["message"]


async def test_a_model_in_the_cache_is_listed_and_described_by_its_checkpoint(
    client: httpx.AsyncClient, machine: Machine
) -> None:
    (path,) = machine.cached("org/repo", "m-Q4_K_M.gguf")
    write_gguf(path, "qwen3", context_length=40_960)
    listed = (await client.get("/v1/models")).json()["data"]
    assert [model["id"] for model in listed] == ["tiny-gpt-oss", "org/repo:Q4_K_M"]
    for name in ("org/repo:Q4_K_M", "org/repo:q4_k_m", "hf.co/org/repo:Q4_K_M", "org%2Frepo%3AQ4_K_M"):
        assert (await client.get(f"/v1/models/{name}")).json() == listed[1]
    assert (listed[1]["source"], listed[1]["context_length"], listed[1]["quantization"]) == ("hub", 40_960, "Q4_K_M")


@pytest.mark.parametrize(
    "name", ["%2Fetc%2Fpasswd", "..%2F..%2Fsecret.gguf", "org%2Frepo%3A..%2F..%2Fsecret.gguf", "secret.gguf"]
)
async def test_no_file_is_reached_by_its_path(name: str, client: httpx.AsyncClient, machine: Machine) -> None:
    put_file(machine.folder / "secret.gguf")
    assert (await client.get(f"/v1/models/{name}")).status_code == 404
