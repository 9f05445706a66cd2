"""POST /load and /unload."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lemonade_like.api.lemonade import load
from lemonade_like.errors import EngineFailure, EngineNotFound, ModelNotFound, NotEnoughMemory
from lemonade_like.models.model import ModelOptions
from lemonade_like.pool.loader import LoadOptions
from lemonade_like.pool.pool import LoadReport
from tests.support.loaded import READY
from tests.support.turns import FakeCatalogue, FakePool, client_of, scripted_app, scripted_services

EVICTED = "evicting B (9.1 GB, idle 312 s): tiny needs 11.8 GB, 3.2 GB free"


async def post(pool: FakePool, path: str, body: Any, catalogue: FakeCatalogue | None = None) -> tuple[int, Any]:
    services = scripted_services(pool=pool)
    if catalogue is not None:
        services.catalogue = catalogue
    async with client_of(scripted_app(services)) as client:
        answer = await (client.post(path) if body is None else client.post(path, json=body))
    return answer.status_code, answer.json()


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_a_load_is_answered_with_what_it_took(prefix: str) -> None:
    pool = FakePool(report=LoadReport(READY, 1.25, (EVICTED,)))
    status, answer = await post(pool, f"{prefix}/load", {"model_name": "TINY"})
    assert status == 200
    assert (answer["status"], answer["message"]) == ("success", "tiny is loaded in 1.2 s.")
    assert (answer["model_name"], answer["seconds"], answer["evicted"]) == ("tiny", 1.25, [EVICTED])
    assert answer["model"]["command"] == ["llama-server", "--port", "1"]
    assert pool.loads == [("TINY", LoadOptions(), None)]


async def test_a_model_that_is_there_is_loaded_already() -> None:
    _, answer = await post(FakePool(report=LoadReport(READY, 0.0, ())), "/v1/load", {"model_name": "tiny"})
    assert (answer["message"], answer["seconds"]) == ("tiny is loaded already.", 0)


async def test_the_options_reach_the_pool_and_are_kept_only_if_asked() -> None:
    options = {"ctx_size": 0, "llamacpp_backend": "vulkan", "llamacpp_args": "-ngl 99", "pinned": True}
    pool, catalogue = FakePool(report=LoadReport(READY, 1.0, ())), FakeCatalogue()
    await post(pool, "/v1/load", {"model_name": "tiny", **options}, catalogue)
    assert pool.loads == [("tiny", LoadOptions(0, "vulkan", "-ngl 99"), True)]
    assert catalogue.saved == {}
    _, answer = await post(pool, "/v1/load", {"model_name": "tiny", **options, "save_options": True}, catalogue)
    assert answer["options_saved"]
    assert catalogue.saved == {"tiny": ModelOptions(**options)}


async def test_options_with_which_it_cannot_be_loaded_are_not_kept() -> None:
    catalogue = FakeCatalogue()
    pool = FakePool(report=NotEnoughMemory("tiny needs more."))
    body = {"model_name": "tiny", "ctx_size": 1 << 20, "save_options": True}
    _, answer = await post(pool, "/v1/load", body, catalogue)
    assert answer["error"]["code"] == "not_enough_memory"
    assert catalogue.saved == {}


@pytest.mark.parametrize(
    ("error", "option", "expected"),
    [
        (NotEnoughMemory("More."), {}, (500, None)),
        (NotEnoughMemory("More."), {"ctx_size": 1 << 20}, (400, "ctx_size")),
        (NotEnoughMemory("More."), {"llamacpp_backend": "cuda"}, (500, None)),
        (EngineNotFound("None."), {}, (500, None)),
        (EngineNotFound("None."), {"llamacpp_backend": "cuda"}, (400, "llamacpp_backend")),
    ],
)
async def test_an_option_that_cannot_be_had_is_named_and_what_was_not_chosen_is_not(
    error: Exception, option: dict[str, Any], expected: tuple[int, str | None]
) -> None:
    status, answer = await post(FakePool(report=error), "/v1/load", {"model_name": "tiny", **option})
    assert (status, answer["error"]["param"]) == expected
    assert answer["error"]["message"] == str(error)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"model_name": None}, "model_name"),
        ({"model_name": ""}, "model_name"),
        ({"model": "another"}, "model"),
        ({"ctx_size": -1}, "ctx_size"),
        ({"ctx_size": 2**20 + 1}, "ctx_size"),
        ({"ctx_size": "4096"}, "ctx_size"),
        ({"ctx_size": True}, "ctx_size"),
        ({"ctx_size": 1 << 40}, "ctx_size"),
        ({"llamacpp_backend": "abacus"}, "llamacpp_backend"),
        ({"llamacpp_args": "--port 1"}, "llamacpp_args"),
        ({"llamacpp_args": "'"}, "llamacpp_args"),
        ({"save_options": "yes"}, "save_options"),
        ({"pinned": 1}, "pinned"),
        ({"ctxsize": 4096}, "ctxsize"),
    ],
)
async def test_a_wrong_field_is_named(more: dict[str, Any], param: str) -> None:
    pool = FakePool()
    status, answer = await post(pool, "/v1/load", {"model_name": "tiny", **more})
    assert (status, answer["error"]["param"]) == (400, param)
    assert param in answer["error"]["message"]
    assert pool.loads == []


async def test_a_wrong_field_is_told_in_one_sentence() -> None:
    for more, message in (
        ({"llamacpp_args": "--port 1"}, "llamacpp_args may not contain --port: "),
        ({"ctxsize": 4096}, "'ctxsize' is no field of this request."),
    ):
        _, answer = await post(FakePool(), "/v1/load", {"model_name": "tiny", **more})
        said = answer["error"]["message"]
        assert said.startswith(message)
        assert "Value error" not in said
        assert said.endswith(".") and not said.endswith("..")


async def test_arguments_that_the_engine_refuses_are_the_clients_mistake() -> None:
    pool = FakePool(report=EngineFailure("tiny could not be loaded.", log_tail="error: --no-such-flag"))
    status, answer = await post(pool, "/v1/load", {"model_name": "tiny", "llamacpp_args": "--no-such-flag"})
    assert (status, answer["error"]["param"], answer["error"]["code"]) == (
        400,
        "llamacpp_args",
        "invalid_llamacpp_args",
    )
    assert "--no-such-flag" in answer["error"]["message"]
    assert (await post(pool, "/v1/load", {"model_name": "tiny"}))[0] == 500


async def test_a_model_that_is_not_there_is_named_by_its_field() -> None:
    pool = FakePool(report=ModelNotFound("No.", param="model", code="model_not_downloaded"))
    status, answer = await post(pool, "/v1/load", {"model_name": "far-away"})
    assert status == 404
    assert (answer["error"]["param"], answer["error"]["code"]) == ("model_name", "model_not_downloaded")


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (None, None),
        ({}, None),
        ({"model_name": None}, None),
        ({"model_name": "tiny"}, "tiny"),
        ({"model": "tiny"}, "tiny"),
    ],
)
async def test_one_model_is_unloaded_or_all(body: Any, asked: str | None) -> None:
    pool = FakePool(READY)
    status, answer = await post(pool, "/v1/unload", body)
    assert (status, answer["status"], answer["unloaded"]) == (200, "success", ["tiny"])
    assert pool.unloads == [asked]


async def test_what_is_not_loaded_cannot_be_unloaded() -> None:
    status, answer = await post(FakePool(), "/v1/unload", {"model_name": "tiny"})
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (404, "model_not_loaded", "model_name")
    assert (await post(FakePool(), "/v1/unload", None))[0] == 200


async def test_an_unload_that_has_to_wait_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy(FakePool):
        async def unload(self, name: str | None = None) -> list[str]:
            await asyncio.Event().wait()
            return []

    monkeypatch.setattr(load, "UNLOAD_SECONDS", 0.01)
    status, answer = await post(Busy(READY), "/v1/unload", {"model_name": "tiny"})
    assert (status, answer["error"]["code"]) == (409, "model_busy")
