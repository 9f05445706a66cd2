"""A turn whose engine dies under it, with a loader that records what is asked of it."""

from __future__ import annotations

import asyncio

import pytest

from lemonade_like.engine.client import EngineConnectionLost
from lemonade_like.errors import EngineFailure, EngineUnavailable, ShuttingDown
from lemonade_like.pool.limits import PoolLimits
from lemonade_like.pool.scheduler import Rules
from tests.support.pools import Clock, RecordingLoader, borrow, recorded_pool

LOST = EngineConnectionLost("it broke")


@pytest.fixture
def loader() -> RecordingLoader:
    loader = RecordingLoader()
    loader.go.set()
    return loader


async def test_however_many_turns_recover_there_is_one_restart(loader: RecordingLoader) -> None:
    async with recorded_pool(loader) as pool:
        async with pool.lease("m") as first, pool.lease("m") as second:
            loader.engines[0].die()
            await asyncio.gather(first.recover(LOST), second.recover(LOST))
            assert first.engine is second.engine is loader.engines[1].client
        assert [model.pid for model in pool.loaded()] == [loader.engines[1].pid]
    assert loader.loads == ["m", "m"]


async def test_who_recovers_keeps_its_slot_before_all_who_are_in_line(loader: RecordingLoader) -> None:
    loader.slots = 1
    async with recorded_pool(loader) as pool:
        async with pool.lease("m") as lease:
            queued = asyncio.create_task(borrow(pool))
            await asyncio.sleep(0)
            loader.engines[0].die()
            await lease.recover(LOST)
            await asyncio.sleep(0)
            assert not queued.done()
        assert await queued is loader.engines[1]


async def test_a_turn_that_asks_when_the_engine_is_back_already_gets_it_at_once(loader: RecordingLoader) -> None:
    async with recorded_pool(loader) as pool, pool.lease("m") as lease:
        loader.engines[0].die()
        assert await borrow(pool) is loader.engines[1]
        await lease.recover(LOST)
        assert lease.engine is loader.engines[1].client
    assert loader.loads == ["m", "m"]


async def test_an_engine_that_still_runs_is_kept(loader: RecordingLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lemonade_like.pool.lease._EXIT_GRACE_SECONDS", 0.0)
    async with recorded_pool(loader, PoolLimits(max_crashes=2)) as pool, pool.lease("m") as lease:
        await lease.recover(LOST)
        assert lease.engine is loader.engines[0].client
        with pytest.raises(EngineFailure, match=r"\(it broke\), but is still running"):
            await lease.recover(LOST)


async def test_a_turn_gives_up_after_as_many_crashes_as_it_may_see(loader: RecordingLoader) -> None:
    clock = Clock()
    async with recorded_pool(loader, clock=clock) as pool, pool.lease("m") as lease:
        for _ in range(2):
            loader.engines[-1].die()
            clock.now += 1_000
            await lease.recover(LOST)
        loader.engines[-1].die()
        with pytest.raises(EngineFailure, match=r"died in the middle of the turn \(exited with code 3\)"):
            await lease.recover(LOST)
    assert loader.loads == ["m"] * 3


async def test_a_restart_that_fails_is_told_to_every_turn_and_all_who_wait(loader: RecordingLoader) -> None:
    loader.slots = 2
    async with recorded_pool(loader) as pool, pool.lease("m") as first, pool.lease("m") as second:
        queued = asyncio.create_task(borrow(pool))
        await asyncio.sleep(0)
        loader.engines[0].die()
        loader.failures.append(EngineFailure("no room"))
        ended = await asyncio.gather(first.recover(LOST), second.recover(LOST), queued, return_exceptions=True)
    assert [str(error) for error in ended] == ["no room"] * 3


async def test_a_turn_that_leaves_while_its_engine_restarts_leaves_nothing_behind(loader: RecordingLoader) -> None:
    async with recorded_pool(loader) as pool:
        async with pool.lease("m") as lease:
            loader.go.clear()
            loader.engines[0].die()
            recovering = asyncio.create_task(lease.recover(LOST))
            while len(loader.loads) < 2:
                await asyncio.sleep(0)
            recovering.cancel()
            with pytest.raises(asyncio.CancelledError):
                await recovering
        loader.go.set()
        assert await borrow(pool) is loader.engines[1]
        assert [status.slots_busy for status in await pool.status()] == [0]


async def test_an_engine_that_nobody_uses_is_not_started_again(
    loader: RecordingLoader, caplog: pytest.LogCaptureFixture
) -> None:
    async with recorded_pool(loader) as pool:
        await borrow(pool)
        loader.engines[0].die()
        while pool.loaded():
            await asyncio.sleep(0)
        (status,) = await pool.status()
        assert (status.state, [crash.how for crash in status.crashes]) == ("unloaded", ["exited with code 3"])
    assert "out of memory" in caplog.text
    assert loader.loads == ["m"]


async def test_in_a_crash_loop_newcomers_are_sent_away_and_turns_wait_longer_each_time(
    loader: RecordingLoader,
) -> None:
    clock = Clock()
    async with recorded_pool(loader, PoolLimits(max_crashes=9), clock=clock) as pool, pool.lease("m") as lease:
        for seconds in (0, 1, 2, 4, 8):
            loader.engines[-1].die()
            recovering = asyncio.create_task(lease.recover(LOST))
            if seconds:
                await asyncio.sleep(0.01)
                assert not recovering.done()
                with pytest.raises(EngineUnavailable, match=r"times in a row.*exited with code 3") as sent_away:
                    await borrow(pool)
                assert sent_away.value.retry_after == seconds
                clock.now += seconds
                pool._step()
            await recovering


async def test_somebody_who_asks_for_a_load_need_not_wait_for_the_next_try(loader: RecordingLoader) -> None:
    loader.failures += [EngineFailure("no room")] * 3
    clock = Clock()
    async with recorded_pool(loader, clock=clock) as pool:
        for _ in range(2):
            with pytest.raises(EngineFailure, match=r"^no room$"):
                await borrow(pool)
        with pytest.raises(EngineUnavailable, match="no room"):
            await borrow(pool)
        with pytest.raises(EngineFailure, match=r"^no room$"):
            await pool.load("m")
        await borrow(pool)


async def test_an_engine_that_lived_long_is_restarted_at_once(loader: RecordingLoader) -> None:
    clock = Clock()
    async with recorded_pool(loader, PoolLimits(max_crashes=9), clock=clock) as pool, pool.lease("m") as lease:
        for _ in range(5):
            clock.now += 60
            loader.engines[-1].die()
            await lease.recover(LOST)


async def test_closing_ends_the_wait_for_a_restart(loader: RecordingLoader) -> None:
    async with recorded_pool(loader) as pool, pool.lease("m") as lease:
        loader.go.clear()
        loader.engines[0].die()
        recovering = asyncio.create_task(lease.recover(LOST))
        while len(loader.loads) < 2:
            await asyncio.sleep(0)
        await pool.close()
        with pytest.raises(ShuttingDown):
            await recovering


async def test_a_drain_lets_turns_finish_and_survive_but_nobody_in(loader: RecordingLoader) -> None:
    loader.slots = 1
    async with recorded_pool(loader, PoolLimits(Rules(slots=1))) as pool:
        async with pool.lease("m") as lease:
            queued = asyncio.create_task(borrow(pool))
            await asyncio.sleep(0)
            draining = asyncio.create_task(pool.drain())
            with pytest.raises(ShuttingDown):
                await queued
            with pytest.raises(ShuttingDown):
                await borrow(pool)
            loader.engines[0].die()
            await lease.recover(LOST)
            assert lease.engine is loader.engines[1].client
            assert not draining.done()
        await draining


async def test_a_broken_connection_to_an_engine_that_lives_leaves_no_task_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lemonade_like.pool.lease._EXIT_GRACE_SECONDS", 0.01)
    loader = RecordingLoader()
    loader.go.set()
    async with recorded_pool(loader) as pool, pool.lease("m") as lease:
        before = asyncio.all_tasks()
        assert not await lease.lost()
        assert asyncio.all_tasks() == before
