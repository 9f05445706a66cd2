"""The pool over engines that are processes: the fake llama-server, which does what a test tells it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from lemonade_like.engine.client import EngineConnectionLost
from lemonade_like.engine.find import FoundEngine
from lemonade_like.errors import EngineFailure, EngineUnavailable, QueueFull
from lemonade_like.models.registry import Model, Registry
from lemonade_like.pool.limits import PoolLimits
from lemonade_like.pool.loader import Loader, LoadOptions
from lemonade_like.pool.pool import Pool
from lemonade_like.settings import Settings
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, frames_for, one_by_one, requests_of, write_scenario
from tests.support.pools import NoFormats
from tests.support.processes import wait_until_gone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from lemonade_like.pool.lease import Lease
    from tests.support.fake_llama_server import Step

FAKE = FoundEngine((str(FAKE_LLAMA_SERVER),), "system", "explicit")
REPLY = one_by_one(frames_for([(1, b"Hello"), (2, b" there"), (3, b"")]))
SCRIPT: Sequence[Step] = REPLY


@asynccontextmanager
async def engines(folder: Path, scenarios: dict[str, dict[str, Any]], **settings: Any) -> AsyncIterator[Pool[None]]:
    """A pool with models of those names; their files are scenarios of the fake."""
    models = []
    for name, scenario in scenarios.items():
        replies = scenario.pop("replies", [SCRIPT])
        models.append(Model(name, path=write_scenario(folder / f"{name}.gguf", *replies, **scenario)))
    chosen = Settings(cache_dir=folder, **settings)
    registry = Registry(models, cache_dir=folder)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        pool = Pool(registry, Loader(registry, chosen, session, NoFormats(), FAKE), PoolLimits.from_settings(chosen))
        try:
            yield pool
        finally:
            pids = [model.pid for model in pool.loaded()]
            await pool.close()
            assert all(wait_until_gone(pid) for pid in pids), "an engine outlived the pool"


async def turn(lease: Lease[None], number: int = 0) -> str:
    """One turn's text."""
    frames = [frame async for batch in lease.engine.stream_completion({"prompt": [number]}) for frame in batch]
    return "".join(frame["content"] for frame in frames)


async def ask(pool: Pool[None], name: str, client: str, number: int) -> str:
    """One turn, with its place in the line."""
    async with pool.lease(name, client) as lease:
        return await turn(lease, number)


async def test_two_hundred_clients_share_four_slots_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    busiest = 0
    async with engines(tmp_path, {"m": {}}, queue_size=196) as pool:

        async def one(number: int) -> str:
            nonlocal busiest
            async with pool.lease("m", f"client {number % 7}") as lease:
                busiest = max(busiest, *[status.slots_busy for status in await pool.status()])
                return await turn(lease, number)

        answers = await asyncio.gather(*(one(number) for number in range(200)))
        (status,) = await pool.status()
        assert (status.slots_busy, status.waiting) == (0, ())
    assert set(answers) == {"Hello there"}
    asked = Counter(request["body"]["prompt"][0] for request in requests_of(tmp_path / "m.gguf"))
    assert asked == dict.fromkeys(range(200), 1)
    assert busiest == 4


async def test_one_more_than_the_queue_holds_is_sent_away_and_the_others_are_served(tmp_path: Path) -> None:
    async with engines(tmp_path, {"m": {}}, queue_size=6, parallel=2) as pool:
        ended = await asyncio.gather(*(ask(pool, "m", "", number) for number in range(10)), return_exceptions=True)
    assert [type(error) for error in ended if isinstance(error, Exception)] == [QueueFull] * 2
    assert ended.count("Hello there") == 8


@pytest.mark.parametrize("limits", [{"max_loaded_models": 1}, {"memory_budget": 1e-7}])
async def test_two_models_that_fit_one_at_a_time_serve_twenty_mixed_clients_in_few_swaps(
    tmp_path: Path, limits: dict[str, Any]
) -> None:
    rounds = 3
    if "memory_budget" in limits:
        # A budget that has room for one of the files and not for both.
        size = write_scenario(tmp_path / "a.gguf", SCRIPT).stat().st_size
        limits = {"memory_budget": 1.5 * size / 1e9}
    async with engines(tmp_path, {"a": {}, "b": {}}, **limits) as pool:
        loads: Counter[str] = Counter()
        start = pool._loader.start

        async def count(found: Any) -> Any:
            loads[found.model.name] += 1
            assert sum(1 for engine in pool._engines.by_name.values() if engine.resident is not None) == 0
            return await start(found)

        pool._loader.start = count  # type: ignore[method-assign]

        async def client(number: int) -> list[str]:
            return [
                await ask(pool, "ab"[(number + each) % 2], f"client {number}", 100 * number + each)
                for each in range(rounds)
            ]

        answers = await asyncio.wait_for(asyncio.gather(*(client(number) for number in range(20))), 60)
    assert answers == [["Hello there"] * rounds] * 20
    asked = Counter(request["body"]["prompt"][0] for name in "ab" for request in requests_of(tmp_path / f"{name}.gguf"))
    assert asked == {100 * number + each: 1 for number in range(20) for each in range(rounds)}
    # Every client wants the other model each time, so each round is two loads; all twenty share them.
    assert sum(loads.values()) <= 2 * rounds + 2


async def test_clients_that_leave_free_their_slots_and_their_places(tmp_path: Path) -> None:
    hanging: list[Step] = [*REPLY[:3], {"hang": True}]
    async with engines(tmp_path, {"m": {"replies": [hanging] * 4 + [SCRIPT]}}) as pool:
        running = [asyncio.create_task(ask(pool, "m", "", number)) for number in range(12)]
        while len(requests_of(tmp_path / "m.gguf")) < 4:
            await asyncio.sleep(0.01)
        for task in (*running[8:], *running[:4]):
            task.cancel()
        assert await asyncio.gather(*running[4:8]) == ["Hello there"] * 4
        (status,) = await pool.status()
        assert (status.slots_busy, status.waiting) == (0, ())
    assert len(requests_of(tmp_path / "m.gguf")) == 8


async def test_an_engine_that_is_killed_while_it_loads_is_told_to_all_who_wait(tmp_path: Path) -> None:
    load: list[Step] = [{"print": "llama_model_load: nearly there"}, {"exit": -9}]
    async with engines(tmp_path, {"m": {"load": load}}) as pool:
        ended = await asyncio.gather(*(ask(pool, "m", "", number) for number in range(5)), return_exceptions=True)
        assert all(isinstance(error, EngineFailure) for error in ended)
        assert all("nearly there" in str(error) for error in ended)
        assert pool.loading() == []


async def test_an_engine_that_is_killed_is_back_for_the_turn_that_it_had(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hanging: list[Step] = [*REPLY[:3], {"hang": True}]
    async with engines(tmp_path, {"m": {"replies": [hanging]}}) as pool:
        async with pool.lease("m") as lease:
            (killed,) = pool.loaded()
            running = asyncio.create_task(turn(lease))
            while not requests_of(tmp_path / "m.gguf"):
                await asyncio.sleep(0.01)
            write_scenario(tmp_path / "m.gguf", SCRIPT)
            os.kill(killed.pid, signal.SIGKILL)
            with pytest.raises(EngineConnectionLost) as lost:
                await running
            await lease.recover(lost.value)
            assert await turn(lease) == "Hello there"
        (status,) = await pool.status()
        assert [crash.how for crash in status.crashes] == ["was killed by SIGKILL"]
        assert status.engine is not None
        assert status.engine.pid != killed.pid
        assert (status.memory_resident or 0) > 1_000_000
    assert "the engine of m died (was killed by SIGKILL); its last lines:\nsrv" in caplog.text


async def test_an_engine_that_crashes_on_every_turn_ends_the_turn_and_slows_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    crash: list[Step] = [*REPLY[:3], {"print": "GGML_ASSERT: out of luck"}, {"exit": 3}]
    async with engines(tmp_path, {"m": {"replies": [crash]}}, max_crashes=2) as pool:
        async with pool.lease("m") as lease:
            for attempt in (1, 2):
                with pytest.raises(EngineConnectionLost) as lost:
                    await turn(lease)
                if attempt == 1:
                    await lease.recover(lost.value)
            with pytest.raises(EngineFailure, match="exited with code 3") as given_up:
                await lease.recover(lost.value)
            assert "out of luck" not in given_up.value.message
        with pytest.raises(EngineUnavailable) as sent_away:
            await ask(pool, "m", "", 0)
        assert sent_away.value.retry_after == 1
    assert "out of luck" in caplog.text


async def test_a_load_with_other_options_has_another_command(tmp_path: Path) -> None:
    async with engines(tmp_path, {"m": {}}) as pool:
        before = await pool.load("m")
        after = await pool.load("m", LoadOptions(ctx_size=512, llamacpp_args="--threads 1"))
        assert before.model.engine is not None
        assert after.model.engine is not None
        assert wait_until_gone(before.model.engine.pid)
        command = " ".join(after.model.engine.command)
        assert "--ctx-size 2048 --parallel 4" in command
        assert command.endswith("--threads 1")
        assert await pool.unload() == ["m"]
        assert wait_until_gone(after.model.engine.pid)
