"""The application as a whole: what joins the rooms."""

from __future__ import annotations

import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from lemonade_like.app import create_app, open_services
from lemonade_like.engine.find import FoundEngine
from lemonade_like.errors import ModelNotFound, ServerError
from lemonade_like.harmony.messages import ChatMessage, TextPart
from lemonade_like.models.registry import Model, Registry
from lemonade_like.settings import Settings
from lemonade_like.turns.request import TurnRequest
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, write_scenario
from tests.support.turns import client_of, scripted_app


def _settings(tmp_path: Path, *models: str) -> Settings:
    return Settings(cache_dir=tmp_path, models=models)


async def test_the_root_says_what_this_is_and_where_the_api_is() -> None:
    async with client_of(scripted_app()) as client:
        said = (await client.get("/")).json()
    assert said["name"] == "lemonade-like"
    assert said["base_url"] == "http://server/v1"


async def test_the_description_has_the_bodies_and_resolves() -> None:
    async with client_of(scripted_app()) as client:
        description = (await client.get("/openapi.json")).json()
        assert (await client.get("/openapi.json")).json() == description
        assert (await client.get("/docs")).status_code == 200
    body = description["paths"]["/v1/chat/completions"]["post"]["requestBody"]
    assert "messages" in body["content"]["application/json"]["schema"]["properties"]
    schemas = description["components"]["schemas"]

    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [each for value in node.values() for each in references(value)]
        return [each for value in node for each in references(value)] if isinstance(node, list) else []

    found = references(description)
    assert found
    assert all(each.removeprefix("#/components/schemas/") in schemas for each in found)


async def test_a_model_of_the_settings_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    for missing in ("no-such-model", str(tmp_path / "missing.gguf")):
        with pytest.raises(ModelNotFound):
            async with client_of(create_app(_settings(tmp_path, missing))):
                pass


async def test_nothing_is_loaded_before_it_is_asked_for(tmp_path: Path) -> None:
    async with client_of(create_app(_settings(tmp_path))) as client:
        assert (await client.get("/health")).json()["models"] == []
        assert "tiny-gpt-oss" in [model["id"] for model in (await client.get("/v1/models")).json()["data"]]
        unknown = await client.post(
            "/v1/chat/completions", json={"model": "nobody", "messages": [{"role": "user", "content": "Hi"}]}
        )
    assert unknown.status_code == 404


async def test_what_the_caller_has_looked_up_is_what_is_used(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    registry = Registry([Model("mine", path=write_scenario(tmp_path / "mine.gguf"))], cache_dir=tmp_path)
    engine = FoundEngine((str(FAKE_LLAMA_SERVER),), "system", "explicit")
    async with open_services(settings, registry=registry, engine=engine) as services:
        assert [model.name for model in services.catalogue.models()] == ["mine"]
        asked = TurnRequest("mine", (ChatMessage("user", (TextPart("Hi"),)),))
        async with aclosing(services.turns.run(asked)) as turn:
            with pytest.raises(ServerError):
                async for _ in turn:
                    pass
        (loaded,) = services.pool.loaded()
    assert loaded.command[0] == str(FAKE_LLAMA_SERVER)


async def test_an_engine_that_was_updated_since_the_start_is_found_in_its_new_place(tmp_path: Path) -> None:
    updated = tmp_path / "backends" / "vulkan" / "b101" / "llama-server"
    updated.parent.mkdir(parents=True)
    updated.symlink_to(FAKE_LLAMA_SERVER)
    settings = Settings(cache_dir=tmp_path, backend="vulkan")
    registry = Registry([Model("mine", path=write_scenario(tmp_path / "mine.gguf"))], cache_dir=tmp_path)
    gone = FoundEngine(("/gone/llama-server",), "vulkan", "installed")
    async with open_services(settings, registry=registry, engine=gone) as services:
        asked = TurnRequest("mine", (ChatMessage("user", (TextPart("Hi"),)),))
        async with aclosing(services.turns.run(asked)) as turn:
            with pytest.raises(ServerError):
                async for _ in turn:
                    pass
        (loaded,) = services.pool.loaded()
    assert (loaded.backend, loaded.command[0]) == ("vulkan", str(updated))


def test_the_app_can_be_imported_without_engine_and_harmony() -> None:
    blocked = (
        "import sys; sys.modules.update(xllamacpp=None, openai_harmony=None); "
        "from lemonade_like.app import create_app; from lemonade_like.settings import Settings; "
        "create_app(Settings())"
    )
    subprocess.run([sys.executable, "-c", blocked], check=True)
