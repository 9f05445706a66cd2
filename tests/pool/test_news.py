"""What the pool reports of its engines, once each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lemonade_like.engine.client import EngineConnectionLost
from lemonade_like.errors import EngineFailure, ModelNotFound
from lemonade_like.pool.limits import PoolLimits
from lemonade_like.pool.loader import LoadOptions
from lemonade_like.pool.news import Crashed, Loaded, LoadFailed, News, Resumed, Stopped
from lemonade_like.pool.scheduler import Rules
from tests.support.pools import Clock, RecordingLoader, borrow, recorded_pool


@pytest.fixture
def loader() -> RecordingLoader:
    loader = RecordingLoader()
    loader.go.set()
    return loader


def without_seconds(news: list[News]) -> list[Any]:
    return [Loaded(each.model, 0.0) if isinstance(each, Loaded) else each for each in news]


async def test_a_load_and_an_eviction_are_reported(loader: RecordingLoader) -> None:
    news: list[News] = []
    async with recorded_pool(loader, PoolLimits(max_loaded_models=1), ("a", "b"), report=news.append) as pool:
        await borrow(pool, "a")
        await borrow(pool, "b")
    # That the server closes is no news.
    assert without_seconds(news) == [Loaded("a", 0.0), Stopped("a", "evicted"), Loaded("b", 0.0)]


async def test_the_seconds_of_a_load_are_those_of_the_pools_clock(loader: RecordingLoader) -> None:
    clock, news = Clock(), list[News]()
    loader.go.clear()
    async with recorded_pool(loader, clock=clock, report=news.append) as pool:
        loading = asyncio.create_task(borrow(pool))
        await loader.begun.wait()
        clock.now += 7
        loader.go.set()
        await loading
    assert news == [Loaded("m", 7.0)]


async def test_every_reason_to_stop_an_engine_is_told_apart(loader: RecordingLoader) -> None:
    news: list[News] = []
    async with recorded_pool(loader, report=news.append) as pool:
        await pool.load("m")
        await pool.load("m", LoadOptions(ctx_size=128))
        await pool.unload("m")
    assert [each.reason for each in news if isinstance(each, Stopped)] == ["reloaded", "requested"]


async def test_an_engine_that_idled_out_is_reported_as_such(loader: RecordingLoader) -> None:
    clock, news, stopped = Clock(), list[News](), asyncio.Event()

    def report(each: News) -> None:
        news.append(each)
        if isinstance(each, Stopped):
            stopped.set()

    limits = PoolLimits(rules=Rules(idle_timeout=10))
    async with recorded_pool(loader, limits, clock=clock, report=report) as pool:
        await borrow(pool)
        clock.now += 10
        pool._step()
        await stopped.wait()
    assert Stopped("m", "idle") in news


async def test_a_crash_and_the_turns_that_survive_it_are_reported(loader: RecordingLoader) -> None:
    news: list[News] = []
    async with recorded_pool(loader, report=news.append) as pool, pool.lease("m") as one, pool.lease("m") as other:
        loader.engines[0].die()
        await asyncio.gather(*(lease.recover(EngineConnectionLost("gone")) for lease in (one, other)))
    assert without_seconds(news) == [
        Loaded("m", 0.0), Crashed("m"), Loaded("m", 0.0), Resumed("m"), Resumed("m")
    ]  # fmt: skip


async def test_a_load_that_fails_is_reported_with_its_code(loader: RecordingLoader) -> None:
    news: list[News] = []
    loader.failures = [EngineFailure("out of memory")]
    async with recorded_pool(loader, report=news.append) as pool:
        with pytest.raises(EngineFailure):
            await borrow(pool)
    assert news == [LoadFailed("m", "engine_failure")]


async def test_of_a_model_that_is_not_there_nothing_is_reported_and_no_name_is_known(
    loader: RecordingLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def missing(*_: object) -> None:
        raise ModelNotFound("not downloaded")

    monkeypatch.setattr(loader, "survey", missing)
    news: list[News] = []
    async with recorded_pool(loader, report=news.append) as pool:
        with pytest.raises(ModelNotFound):
            await borrow(pool, "org/made-up:Q4_0")
        assert news == []
        assert [pool.known_name(name) for name in ("org/made-up:Q4_0", "m", "no such name")] == [None] * 3


async def test_a_model_that_was_loaded_is_known_by_its_own_name_however_it_is_spelt(loader: RecordingLoader) -> None:
    async with recorded_pool(loader) as pool:
        await borrow(pool, "M")
        assert pool.known_name("M") == pool.known_name("m") == "m"
