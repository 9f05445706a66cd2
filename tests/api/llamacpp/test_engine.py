"""GET /slots and /props: which engine is meant, and what becomes of what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lemonade_like.engine.client import EngineConnectionLost, EngineResponseError
from lemonade_like.errors import BadRequest, EngineFailure, EngineUnavailable, ModelNotFound, ModelNotLoaded, NotOffered
from lemonade_like.pool.inspection import inspect, only_one
from tests.support.rig import fake_rig, rig
from tests.support.turns import client_of, scripted_app

if TYPE_CHECKING:
    from pathlib import Path

    from lemonade_like.pool.inspection import Inspected


@pytest.mark.parametrize("what", ["slots", "props"])
async def test_what_the_engine_says_is_passed_on(what: str) -> None:
    async with client_of(scripted_app()) as client:
        named = await client.get(f"/v1/{what}", params={"model": "tiny"})
        alone = await client.get(f"/api/v1/{what}")
        nothing = await client.get(f"/v1/{what}", params={"model": ""})

    told = [answer.json()[0] if what == "slots" else answer.json() for answer in (named, alone)]
    assert [each["model"] for each in told] == ["tiny", None]
    assert named.headers["content-type"] == "application/json"
    assert (nothing.status_code, nothing.json()["error"]["param"]) == (400, "model")


async def test_the_only_model_that_is_loaded_is_meant(tmp_path: Path, vocabulary: Path) -> None:
    async with fake_rig(tmp_path, vocabulary) as one:
        for name in (None, one.model):
            with pytest.raises(ModelNotLoaded):
                await one.pool.inspect("slots", name)
        with pytest.raises(ModelNotFound):
            await one.pool.inspect("slots", "nobody")
        assert one.pool.loaded() == []

        await one.pool.load(one.model)
        assert await one.pool.inspect("slots") == await one.pool.inspect("slots", one.model)
        assert b'"total_slots": 2' in await one.pool.inspect("props")


async def test_the_key_of_a_real_engine_is_not_told(tiny_model: Path, tmp_path: Path, vocabulary: Path) -> None:
    model = tmp_path / "small-gpt-oss.gguf"
    model.symlink_to(tiny_model)
    async with rig(model, vocabulary, tmp_path, parallel=1) as one:
        await one.pool.load(one.model)
        engine = one.pool.glance(one.model)
        assert engine is not None
        key = engine._headers["Authorization"].removeprefix("Bearer ").encode()
        assert key
        assert key not in await one.pool.inspect("slots") + await one.pool.inspect("props")


def test_of_several_models_one_must_be_named() -> None:
    assert only_one(["a"]) == "a"
    with pytest.raises(BadRequest, match="a, b"):
        only_one(["b", "a"])
    with pytest.raises(ModelNotLoaded, match="No model is loaded"):
        only_one([])


class Refusing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def inspect(self, path: str) -> bytes:
        raise self.error


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (EngineResponseError(501, "start it with --slots", "not_supported_error"), NotOffered),
        (EngineResponseError(404, "File Not Found", "not_found_error"), NotOffered),
        (EngineResponseError(500, "out of paper", "server_error"), EngineFailure),
        (EngineConnectionLost("timeout"), EngineUnavailable),
    ],
)
@pytest.mark.parametrize("what", ["slots", "props"])
async def test_an_engine_that_does_not_say_it_is_explained(
    what: Inspected, error: Exception, meaning: type[Exception]
) -> None:
    with pytest.raises(meaning, match=f"The engine of m .*{what}"):
        await inspect("m", Refusing(error), what)  # type: ignore[arg-type]
