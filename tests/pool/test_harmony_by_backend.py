"""Harmony can be switched for each backend by itself, under the name that the backend is chosen by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import aiohttp
import pytest

from lemonade_like.models.registry import Registry
from lemonade_like.pool.loader import Loader
from lemonade_like.settings import Backend, HarmonyMode, Settings
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, write_scenario

BACKENDS = [name for name in get_args(Backend) if name != "auto"]


class AnyFormat:
    def prepare(self, gguf: Path) -> str:
        return "harmony"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("general", "its_own", "harmony"), [("auto", "never", False), ("never", "auto", True)])
async def test_each_backend_has_its_own_switch(
    tmp_path: Path,
    session: aiohttp.ClientSession,
    backend: Backend,
    general: HarmonyMode,
    its_own: HarmonyMode,
    harmony: bool,
) -> None:
    engine = tmp_path / "backends" / backend / "llama-server"
    engine.parent.mkdir(parents=True)
    engine.symlink_to(FAKE_LLAMA_SERVER)
    model = write_scenario(tmp_path / "gpt-oss-fake.gguf")

    async def speaks_harmony(by_backend: dict[str, HarmonyMode]) -> bool:
        settings = Settings(
            cache_dir=tmp_path,
            models=(str(model),),
            backend=backend,
            llama_server=str(FAKE_LLAMA_SERVER) if backend == "system" else None,
            harmony=general,
            harmony_by_backend=by_backend,
        )
        registry = Registry.from_settings(settings)
        loader = Loader(registry, settings, session, AnyFormat())
        return await loader.prompt_format(registry.find("gpt-oss-fake")) is not None

    assert await speaks_harmony({backend: its_own}) is harmony
    others: dict[str, HarmonyMode] = {name: its_own for name in BACKENDS if name != backend}
    assert await speaks_harmony(others) is not harmony
