"""The application as a whole: what joins the rooms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lemonade_like.api.services import Services
from lemonade_like.app import create_app, open_services
from lemonade_like.errors import ModelNotFound
from lemonade_like.settings import Settings
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


async def test_a_server_that_has_stopped_says_so(tmp_path: Path) -> None:
    kept: list[Services] = []
    async with open_services(_settings(tmp_path)) as services:
        kept.append(services)
        assert not services.closing
    assert kept[0].closing


def test_the_app_can_be_imported_without_engine_and_harmony() -> None:
    blocked = (
        "import sys; sys.modules.update(xllamacpp=None, openai_harmony=None); "
        "from lemonade_like.app import create_app; from lemonade_like.settings import Settings; "
        "create_app(Settings())"
    )
    subprocess.run([sys.executable, "-c", blocked], check=True)
