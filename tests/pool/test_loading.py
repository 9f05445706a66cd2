"""Loading, unloading, evicting and waiting, with a loader that records what is asked of it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lemonade_like.errors import EngineFailure, ModelNotFound, NotEnoughMemory, QueueFull
from lemonade_like.models.registry import Model, ModelEntry, ModelOptions, Registry
from lemonade_like.pool.lease import Waiting
from lemonade_like.pool.limits import PoolLimits
from lemonade_like.pool.loader import LoadOptions
from lemonade_like.pool.pool import Pool
from lemonade_like.pool.scheduler import Rules
from tests.support.models import Machine
from tests.support.pools import GIGABYTE, Clock, RecordingLoader, borrow, recorded_pool

ONE = PoolLimits(max_loaded_models=1)


@pytest.fixture
def loader() -> RecordingLoader:
    loader = RecordingLoader(sizes={"a": 11.8, "b": 9.1})
    loader.go.set()
    return loader


def names(pool: Pool[Any]) -> list[str]:
    return [model.name for model in pool.loaded()]


async def watch(pool: Pool[Any], name: str, seen: list[Waiting]) -> Any:
    """The engine that a ticket ends with; what it waited for is noted."""
    async with pool.ticket(name) as ticket:
        async for waiting in ticket.waiting():
            seen.append(waiting)
        return ticket.lease._resident.process


async def test_a_load_evicts_what_is_in_its_way_and_says_why(
    loader: RecordingLoader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    async with recorded_pool(loader, PoolLimits(memory_budget=12 * GIGABYTE), "ab", clock=clock) as pool:
        await borrow(pool, "b")
        clock.now += 312
        report = await pool.load("a")
        why = "evicting b (9.1 GB, idle 312 s): a needs 11.8 GB, 2.9 GB of the memory budget of 12.0 GB free"
        assert report.evicted == (why,)
        assert why in caplog.text
        assert names(pool) == ["a"]
        again = await pool.load("a")
        assert (again.evicted, again.seconds) == ((), 0)
    assert [engine.stops for engine in loader.engines] == [1, 1]


async def test_without_a_budget_the_machines_memory_counts(loader: RecordingLoader) -> None:
    loader.total = 16 * GIGABYTE
    async with recorded_pool(loader, names="ab") as pool:
        await borrow(pool, "b")
        assert (await pool.load("a")).evicted[0].endswith("a needs 11.8 GB, 5.9 GB free")


async def test_what_is_larger_than_the_machine_is_tried_with_a_warning(
    loader: RecordingLoader, caplog: pytest.LogCaptureFixture
) -> None:
    loader.total = 8 * GIGABYTE
    async with recorded_pool(loader, names="ab") as pool:
        await borrow(pool, "a")
    assert "a needs 11.8 GB, 7.2 GB free; it is tried all the same" in caplog.text


async def test_what_is_larger_than_the_users_budget_is_refused(loader: RecordingLoader) -> None:
    async with recorded_pool(loader, PoolLimits(memory_budget=10 * GIGABYTE), "ab") as pool:
        with pytest.raises(NotEnoughMemory, match=r"larger --memory-budget"):
            await borrow(pool, "a")
        await borrow(pool, "b")
    assert loader.loads == ["b"]


async def test_who_waits_sees_its_place_and_what_it_waits_for(loader: RecordingLoader) -> None:
    loader.slots = 1
    async with recorded_pool(loader, ONE, "ab") as pool:
        seen: dict[str, list[Waiting]] = {"b": [], "a": []}
        async with pool.lease("b"):
            second = asyncio.create_task(watch(pool, "b", seen["b"]))
            await asyncio.sleep(0)
            other = asyncio.create_task(watch(pool, "a", seen["a"]))
            while Waiting("loading", 1, "a waits until b is done: at most one model may be loaded") not in seen["a"]:
                await asyncio.sleep(0)
            (b, a) = await pool.status()
            assert (b.state, b.slots_busy, len(b.waiting)) == ("ready", 1, 1)
            assert (a.state, a.detail) == ("loading", "a waits until b is done: at most one model may be loaded")
        await asyncio.gather(second, other)
    assert seen["b"] == [Waiting("queued", 1)]
    assert seen["a"][0] == Waiting("loading", 1, "looking at the model's file")
    assert seen["a"][-1] == Waiting("loading", 1, "a waits until b is gone")


async def test_places_move_up_when_somebody_before_leaves(loader: RecordingLoader) -> None:
    loader.slots = 1
    async with recorded_pool(loader) as pool, pool.lease("m"):
        seen: list[Waiting] = []
        first = asyncio.create_task(borrow(pool))
        await asyncio.sleep(0)
        second = asyncio.create_task(watch(pool, "m", seen))
        await asyncio.sleep(0)
        first.cancel()
        while len(seen) < 2:
            await asyncio.sleep(0)
        second.cancel()
    assert seen == [Waiting("queued", 2), Waiting("queued", 1)]


async def test_a_full_queue_sends_away_and_a_client_that_leaves_makes_room(loader: RecordingLoader) -> None:
    loader.slots = 1
    async with recorded_pool(loader, PoolLimits(Rules(queue_size=1, slots=1))) as pool, pool.lease("m"):
        queued = asyncio.create_task(borrow(pool))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull, match=r"--queue-size or --parallel"):
            await borrow(pool)
        queued.cancel()
        await asyncio.wait({queued})
        again = asyncio.create_task(borrow(pool))
        await asyncio.sleep(0)
        assert [len(status.waiting) for status in await pool.status()] == [1]
        again.cancel()


async def test_clients_are_served_in_turn(loader: RecordingLoader) -> None:
    loader.slots = 1
    order: list[str] = []

    async def ask(pool: Pool[Any], client: str) -> None:
        async with pool.lease("m", client):
            order.append(client)

    async with recorded_pool(loader) as pool:
        async with pool.lease("m"):
            asking = [asyncio.create_task(ask(pool, client)) for client in "xxxyz"]
            await asyncio.sleep(0)
        await asyncio.gather(*asking)
    assert "".join(order) == "xyzxx"


async def test_a_load_with_other_options_waits_for_the_turns_and_starts_the_engine_anew(
    loader: RecordingLoader,
) -> None:
    async with recorded_pool(loader) as pool:
        async with pool.lease("m"):
            reloading = asyncio.create_task(pool.load("m", LoadOptions(ctx_size=512)))
            while not pool._scheduler.state("m").leaving:
                await asyncio.sleep(0)
            late = asyncio.create_task(borrow(pool))
            await asyncio.sleep(0)
            assert not late.done()
            assert loader.engines[0].stops == 0
        report = await reloading
        assert await late is loader.engines[1]
        assert loader.engines[1].spec.ctx_size == 512
        assert report.model.options == {"ctx_size": 512}
        # What it runs with already is no reason to start it anew.
        assert (await pool.load("m", LoadOptions(ctx_size=512))).seconds == 0
        await pool.load("m")
    assert loader.loads == ["m", "m"]


async def test_the_options_of_a_load_end_with_its_engine_but_not_with_a_crash(loader: RecordingLoader) -> None:
    async with recorded_pool(loader) as pool:
        await pool.load("m", LoadOptions(ctx_size=512))
        loader.engines[0].die()
        await borrow(pool)
        assert loader.engines[1].spec.ctx_size == 512
        await pool.unload("m")
        await borrow(pool)
        assert loader.engines[2].spec.ctx_size == 4096


async def test_of_several_loads_with_other_options_the_last_one_holds(loader: RecordingLoader) -> None:
    async with recorded_pool(loader) as pool:
        async with pool.lease("m"):
            loads = []
            for context in (512, 1024, 4096):
                loads.append(asyncio.create_task(pool.load("m", LoadOptions(ctx_size=context))))
                while len(loader.options) <= len(loads) or len(pool._scheduler.state("m").calls) < len(loads):
                    await asyncio.sleep(0)
            assert not any(load.done() for load in loads)
        reports = await asyncio.gather(*loads)
    assert [report.model.options for report in reports] == [{"ctx_size": 4096}] * 3
    assert [engine.spec.ctx_size for engine in loader.engines] == [4096, 4096]


async def test_a_model_that_waits_for_memory_can_be_asked_for_on_another_backend(loader: RecordingLoader) -> None:
    async with recorded_pool(loader, ONE, "ab") as pool:
        async with pool.lease("a"):
            waits = asyncio.create_task(borrow(pool, "b"))
            while pool._scheduler.state("b").stage != "wanted":
                await asyncio.sleep(0)
            load = asyncio.create_task(pool.load("b", LoadOptions(llamacpp_backend="cuda")))
            while not pool._scheduler.state("b").calls and not load.done():
                await asyncio.sleep(0)
        await load
        assert (await waits).spec.backend == "cuda"


async def test_options_that_cannot_be_had_stop_nothing(
    loader: RecordingLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise EngineFailure("there is no such engine")

    async with recorded_pool(loader) as pool:
        await borrow(pool)
        monkeypatch.setattr(loader, "survey", fail)
        with pytest.raises(EngineFailure, match=r"no such engine"):
            await pool.load("m", LoadOptions(llamacpp_backend="cuda"))
        assert await borrow(pool) is loader.engines[0]


async def test_an_unload_waits_for_the_turns_that_run(loader: RecordingLoader) -> None:
    async with recorded_pool(loader, names="mn") as pool:
        await borrow(pool, "n")
        async with pool.lease("m"):
            unloading = asyncio.create_task(pool.unload())
            await asyncio.sleep(0.01)
            assert names(pool) == ["m"]
            assert not unloading.done()
        assert sorted(await unloading) == ["m", "n"]
        assert pool.loaded() == []
        assert await pool.unload("m") == []
        with pytest.raises(ModelNotFound):
            await pool.unload("nobody")


async def test_an_unload_ends_a_load_that_nobody_waits_for(loader: RecordingLoader) -> None:
    loader.go.clear()
    async with recorded_pool(loader) as pool:
        asking = asyncio.create_task(borrow(pool))
        await loader.begun.wait()
        asking.cancel()
        await asyncio.wait({asking})
        assert pool.loading() == ["m"]
        assert await pool.unload("m") == ["m"]
    assert (loader.cancelled, loader.engines) == (1, [])


async def test_an_unload_that_comes_just_as_the_load_ends_leaves_no_engine(loader: RecordingLoader) -> None:
    loader.go.clear()
    async with recorded_pool(loader) as pool:
        asking = asyncio.create_task(borrow(pool))
        await loader.begun.wait()
        asking.cancel()
        await asyncio.wait({asking})
        loader.go.set()
        assert await pool.unload("m") == ["m"]
        assert (loader.cancelled, loader.engines) == (1, [])
        await borrow(pool)
    assert [engine.stops for engine in loader.engines] == [1]


async def test_a_pin_holds_against_others_until_it_is_taken_off(loader: RecordingLoader) -> None:
    async with recorded_pool(loader, ONE, "ab") as pool:
        await pool.load("b", pinned=True)
        with pytest.raises(NotEnoughMemory, match=r"unload b, which is pinned"):
            await borrow(pool, "a")
        await pool.load("b", pinned=False)
        await borrow(pool, "a")
        assert names(pool) == ["a"]


async def test_a_model_may_be_saved_as_pinned(loader: RecordingLoader) -> None:
    async with recorded_pool(loader, names=()) as pool:
        model = Model("m", path=pool._registry._cache_dir, options=ModelOptions(pinned=True))
        pool._registry = pool._engines._registry = Registry([model], cache_dir=pool._registry._cache_dir)
        await borrow(pool)
        assert [status.pinned for status in await pool.status()] == [True]
        await pool.load("m", pinned=False)
        assert [status.pinned for status in await pool.status()] == [False]


async def test_what_nobody_uses_is_unloaded_after_its_time(loader: RecordingLoader) -> None:
    limits = replace(PoolLimits(), rules=Rules(idle_timeout=0.01))
    async with recorded_pool(loader, limits, "mn") as pool:
        async with pool.lease("m"):
            await borrow(pool, "n")
            while names(pool) != ["m"]:
                await asyncio.sleep(0.005)
            assert loader.engines[0].stops == 0
        while pool.loaded():
            await asyncio.sleep(0.005)


async def test_a_name_that_leads_to_nothing_evicts_nothing_and_is_no_failure(
    loader: RecordingLoader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    survey = loader.survey

    async def find(model: Model, options: Any = None) -> Any:
        if model.name != "m":
            raise ModelNotFound("It is not here.")
        return await survey(model, options)

    monkeypatch.setattr(loader, "survey", find)
    async with recorded_pool(loader, ONE, "m") as pool:
        await borrow(pool)
        with pytest.raises(ModelNotFound):
            await borrow(pool, "somebody/model")
        assert names(pool) == ["m"]
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_name_that_was_given_to_another_model_gets_that_when_the_turns_are_done(
    loader: RecordingLoader, tmp_path: Path
) -> None:
    users = Machine(tmp_path)
    async with recorded_pool(loader) as pool:
        pool._registry = pool._engines._registry = users.registry()
        users.registry().register("a", ModelEntry(checkpoint="org/one:Q4_0"))
        async with pool.lease("user.a"):
            # By another process, which this one is not told of.
            users.registry().register("a", ModelEntry(checkpoint="org/two:Q4_0"))
            first, second = (asyncio.create_task(borrow(pool, "user.a")) for _ in range(2))
            await asyncio.sleep(0)
            assert loader.engines[0].stops == 0
        assert {id(engine) for engine in await asyncio.gather(first, second)} == {id(loader.engines[1])}
        assert loader.engines[0].stops == 1
        users.registry().save_options("user.a", ModelOptions(ctx_size=100))
        assert await borrow(pool, "user.a") is loader.engines[1]


async def test_a_name_that_leads_to_nothing_leaves_nothing(
    loader: RecordingLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise ModelNotFound("It is not here.")

    monkeypatch.setattr(loader, "survey", fail)
    async with recorded_pool(loader) as pool:
        for number in range(3):
            with pytest.raises(ModelNotFound):
                await borrow(pool, f"somebody/model-{number}")
            with pytest.raises(ModelNotFound):
                await pool.load(f"somebody/model-{number}", pinned=True)
        assert (pool._engines.by_name, pool._scheduler.states(), pool._tickets) == ({}, [], {})
