"""How a batch shares the slots with others, on a pool whose engines are not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lemonade_like.engine.client import EngineConnectionLost
from lemonade_like.errors import BadRequest, EngineFailure
from lemonade_like.pool.lease import Lease
from lemonade_like.pool.pool import Pool
from lemonade_like.vectors.slots import answer_all
from tests.support.pools import RecordingLoader, borrow, recorded_pool


class Questions:
    """Answers each question with its number when it is told to; ``asked`` are those that are under way."""

    def __init__(self) -> None:
        self.asked: dict[int, asyncio.Future[int]] = {}
        self.order: list[int] = []

    async def ask(self, lease: Lease[Any], number: int) -> int:
        self.asked[number] = asyncio.get_running_loop().create_future()
        self.order.append(number)
        try:
            return await self.asked[number]
        finally:
            del self.asked[number]

    async def until(self, *numbers: int) -> None:
        """Return when just these are under way."""
        while sorted(self.asked) != list(numbers):
            await asyncio.sleep(0)

    def answer(self, *numbers: int) -> None:
        for number in numbers:
            self.asked[number].set_result(number * 10)


@pytest.fixture
async def pool() -> AsyncIterator[Pool[Any]]:
    loader = RecordingLoader()
    loader.go.set()
    loader.slots = 3
    async with recorded_pool(loader) as pool:
        yield pool
        # Whatever happened, every slot was given back.
        assert [status.slots_busy for status in await pool.status()] == [0]


async def test_all_slots_are_used_and_the_answers_are_in_order(pool: Pool[Any]) -> None:
    questions = Questions()
    batch = asyncio.create_task(answer_all(pool, "m", "", 5, questions.ask))
    await questions.until(0, 1, 2)
    questions.answer(2, 1)
    await questions.until(0, 3, 4)
    questions.answer(4, 3, 0)
    assert await batch == [0, 10, 20, 30, 40]


async def test_a_single_question_takes_one_slot(pool: Pool[Any]) -> None:
    questions = Questions()
    batch = asyncio.create_task(answer_all(pool, "m", "", 1, questions.ask))
    await questions.until(0)
    assert pool.spare_slots("m") == 2
    questions.answer(0)
    assert await batch == [0]


async def test_whoever_comes_meanwhile_waits_for_one_question_only(pool: Pool[Any]) -> None:
    questions = Questions()
    batch = asyncio.create_task(answer_all(pool, "m", "", 6, questions.ask))
    await questions.until(0, 1, 2)
    other = asyncio.create_task(borrow(pool))
    await asyncio.sleep(0)
    questions.answer(1)
    await other
    # And when he has gone, the slot is the batch's again, as soon as it looks.
    questions.answer(0)
    await questions.until(2, 3, 4)
    questions.answer(2, 3, 4)
    await questions.until(5)
    questions.answer(5)
    assert await batch == [0, 10, 20, 30, 40, 50]


async def test_slots_that_others_wait_for_are_left_to_them(pool: Pool[Any]) -> None:
    questions = Questions()
    async with pool.lease("m"), pool.lease("m"):
        batch = asyncio.create_task(answer_all(pool, "m", "", 2, questions.ask))
        await questions.until(0)
        other = asyncio.create_task(borrow(pool))
        await asyncio.sleep(0)
        questions.answer(0)
        await questions.until(1)
    await other
    questions.answer(1)
    assert await batch == [0, 10]


@pytest.mark.parametrize("failing", [0, 2])
async def test_the_first_that_fails_ends_all(failing: int, pool: Pool[Any]) -> None:
    questions = Questions()
    batch = asyncio.create_task(answer_all(pool, "m", "", 100, questions.ask))
    await questions.until(0, 1, 2)
    questions.asked[failing].set_exception(BadRequest("no"))
    await asyncio.sleep(0)
    if failing:
        questions.answer(0)
    with pytest.raises(BadRequest):
        await batch
    assert questions.order == [0, 1, 2]
    assert questions.asked == {}


async def test_whoever_cancels_a_batch_frees_its_slots(pool: Pool[Any]) -> None:
    questions = Questions()
    batch = asyncio.create_task(answer_all(pool, "m", "", 9, questions.ask))
    await questions.until(0, 1, 2)
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    assert questions.asked == {}
    assert pool.spare_slots("m") == 3


async def test_a_question_whose_engine_is_lost_is_asked_again(pool: Pool[Any]) -> None:
    questions = Questions()
    batch = asyncio.create_task(answer_all(pool, "m", "", 2, questions.ask))
    await questions.until(0, 1)
    async with pool.spare_lease("m") as lease:
        assert lease is not None
        lease._resident.process.die()  # type: ignore[attr-defined]
    for future in list(questions.asked.values()):
        future.set_exception(EngineConnectionLost("gone"))
    await questions.until()
    await questions.until(0, 1)
    questions.answer(0, 1)
    assert await batch == [0, 10]
    assert sorted(questions.order) == [0, 0, 1, 1]


async def test_a_question_that_kills_each_engine_is_given_up(pool: Pool[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lemonade_like.pool.state.back_off", lambda _failures: 0.0)

    async def ask(lease: Lease[Any], number: int) -> int:
        lease._resident.process.die()  # type: ignore[attr-defined]
        raise EngineConnectionLost("gone")

    with pytest.raises(EngineFailure, match="died in the middle"):
        await answer_all(pool, "m", "", 1, ask)
