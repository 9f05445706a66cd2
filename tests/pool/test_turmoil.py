"""The pool itself, not only its scheduler, under clients that come, go and change their minds while engines die."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_like.engine.client import EngineConnectionLost
from lemonade_like.errors import EngineFailure, QueueFull, ServerError
from lemonade_like.pool.limits import PoolLimits
from lemonade_like.pool.loader import LoadOptions
from lemonade_like.pool.pool import Pool
from lemonade_like.pool.scheduler import Rules
from tests.support.pools import RecordingLoader, recorded_pool

LOST = EngineConnectionLost("it broke")


class FickleLoader(RecordingLoader):
    """Takes its time, and fails now and then."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.dice = dice
        self.slots = 2
        self.go.set()

    async def start(self, found: Any) -> Any:
        for _ in range(self.dice.randrange(4)):
            await asyncio.sleep(0)
        if self.dice.random() < 0.1:
            self.failures.append(EngineFailure("no luck"))
        return await super().start(found)


async def turmoil(seed: int) -> Counter[str]:
    """How the turns ended."""
    dice = random.Random(seed)
    loader = FickleLoader(dice)
    limits = PoolLimits(Rules(queue_size=6, slots=2), max_loaded_models=dice.choice([1, 2]))
    ended: Counter[str] = Counter()
    using: Counter[Any] = Counter()

    async def turn(pool: Pool[Any], client: int) -> None:
        async with pool.lease(dice.choice("abc"), f"client {client % 4}") as lease:
            engine = lease._resident.process
            using[engine] += 1
            assert using[engine] <= loader.slots, "more turns than slots"
            try:
                for _ in range(dice.randrange(5)):
                    await asyncio.sleep(0)
                    assert not lease._resident.process.stops, "an engine was stopped under a turn"
                    if lease._resident.process.dead:
                        await lease.recover(LOST)
            finally:
                using[engine] -= 1

    async def client(pool: Pool[Any], number: int) -> None:
        for _ in range(4):
            try:
                await turn(pool, number)
                ended["served"] += 1
            except (QueueFull, EngineFailure) as error:
                ended[type(error).__name__] += 1

    async def operator(pool: Pool[Any], clients: list[asyncio.Task[None]]) -> None:
        asked: list[asyncio.Task[Any]] = []
        for _ in range(60):
            await asyncio.sleep(0)
            what, name = dice.randrange(8), dice.choice("abc")
            if what == 0:
                alive = [engine for engine in loader.engines if not engine.dead]
                if alive:
                    dice.choice(alive).die()
            elif what == 1:
                asked.append(asyncio.create_task(pool.load(name, LoadOptions(ctx_size=dice.choice([512, 1024])))))
            elif what == 2:
                asked.append(asyncio.create_task(pool.unload(dice.choice([name, None]))))
            elif what == 3:
                dice.choice(clients).cancel()
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            assert not isinstance(answer, BaseException) or isinstance(answer, ServerError), answer

    async with recorded_pool(loader, limits, "abc") as pool:
        clients = [asyncio.create_task(client(pool, number)) for number in range(16)]
        await asyncio.wait_for(operator(pool, clients), 20)
        results = await asyncio.wait_for(asyncio.gather(*clients, return_exceptions=True), 20)
        unexpected = [
            error
            for error in results
            if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError)
        ]
        assert unexpected == []
        await pool.unload()
        assert pool.loaded() == []
        assert (pool._tickets, pool._resuming) == ({}, {})
        for state in pool._scheduler.states():
            assert not state.running
            assert not state.asked_for
    assert all(engine.dead for engine in loader.engines), "an engine outlived the pool"
    assert all(engine.stops <= 1 for engine in loader.engines)
    assert not pool._engines._tasks
    return ended


async def bounded(seed: int) -> None:
    """A hang, also while the pool is closed, is a failure."""
    assert (await asyncio.wait_for(turmoil(seed), 30))["served"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes between two starts of an engine."""
    monkeypatch.setattr("lemonade_like.pool.state.back_off", lambda _: 0.0)


@given(st.integers(0, 2**32))
@settings(max_examples=40)
def test_everybody_is_served_or_told_why_not_and_nothing_is_left_behind(impatient: None, seed: int) -> None:
    asyncio.run(bounded(seed))


@pytest.mark.nightly
@given(st.integers(0, 2**32))
@settings(max_examples=3_000)
def test_the_same_for_longer(impatient: None, seed: int) -> None:
    asyncio.run(bounded(seed))
