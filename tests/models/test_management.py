from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lemonade_like.models.management import Conflict, ModelManager
from lemonade_like.models.pull import Wanted
from lemonade_like.models.pulling import Pulls
from lemonade_like.models.registry import Model, ModelEntry, Registry
from tests.support.hub import running_hub, weights
from tests.support.pulls import Puller

CHECKPOINT = "org/repo:Q4_0"


class Remembering(Registry):
    """Remembers what is registered, for as long as it is there itself."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.registered: dict[str, Any] = {}

    def register(self, name: str, entry: Any) -> Model:
        self.registered[name] = entry
        return Model(name)


async def test_a_client_that_leaves_at_once_has_its_model_registered_all_the_same(tmp_path: Path) -> None:
    with running_hub({"org/repo": {"m-Q4_0.gguf": weights(100)}}) as hub:
        place = Puller(hub, tmp_path).place
        registry = Remembering([], cache_dir=tmp_path, hub_cache=tmp_path)
        pulls = Pulls(place)
        manager = ModelManager(registry, pulls, place, in_use=lambda _: False)
        client = asyncio.create_task(manager.pull("user.m", ModelEntry(checkpoint=CHECKPOINT)))
        while (pull := pulls.running(Wanted(CHECKPOINT))) is None:
            await asyncio.sleep(0)
        client.cancel()
        await pull.result()
        await asyncio.gather(*manager._beginning)
    assert registry.registered == {"user.m": ModelEntry(checkpoint=CHECKPOINT)}


async def test_a_model_is_unloaded_before_its_files_go_and_not_at_all_if_it_is_in_use(tmp_path: Path) -> None:
    with running_hub({"org/repo": {"m-Q4_0.gguf": weights(100)}}) as hub:
        puller = Puller(hub, tmp_path)
        path = puller.pull(CHECKPOINT)
    busy = {"m"}
    unloaded: list[tuple[str, bool]] = []

    async def unload(name: str) -> None:
        unloaded.append((name, path.is_file()))

    registry = Registry([Model("m", checkpoint=CHECKPOINT)], cache_dir=tmp_path, hub_cache=tmp_path)
    manager = ModelManager(registry, Pulls(puller.place), puller.place, in_use=busy.__contains__, unload=unload)
    with pytest.raises(Conflict, match="in use") as error:
        await manager.delete("m")
    assert (error.value.status, error.value.code) == (409, "model_in_use")
    assert unloaded == []
    assert path.is_file()

    busy.clear()
    name, deleted = await manager.delete("M")
    assert (name, deleted.bytes) == ("m", 100)
    assert unloaded == [("m", True)]
    assert not path.is_symlink()
