"""Several turns side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from lemonade_like.api.openai.choices import side_by_side, turn_requests
from lemonade_like.errors import EngineFailure
from lemonade_like.turns.events import ContentDelta, Event
from lemonade_like.turns.request import Sampling, TurnRequest


class Turn:
    def __init__(self, *steps: str | asyncio.Event | BaseException) -> None:
        self.steps = steps
        self.closed = False

    async def run(self) -> AsyncGenerator[list[Event], None]:
        try:
            for step in self.steps:
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield [ContentDelta(step)]
        finally:
            self.closed = True


def test_each_choice_has_a_seed_of_its_own() -> None:
    request = TurnRequest("m", (), sampling=Sampling(seed=5))
    assert [each.sampling.seed for each in turn_requests(request, 3)] == [5, 6, 7]


def test_without_a_seed_there_is_none() -> None:
    assert [each.sampling.seed for each in turn_requests(TurnRequest("m", ()), 2)] == [None, None]


@pytest.mark.parametrize("count", [1, 3])
async def test_all_batches_of_all_turns_come_in_the_order_of_each(count: int) -> None:
    turns = [Turn("a", "b", "c") for _ in range(count)]
    seen: dict[int, list[Event]] = {}
    async for place, events in side_by_side([turn.run() for turn in turns]):
        seen.setdefault(place, []).extend(events)
    assert seen == {place: [ContentDelta("a"), ContentDelta("b"), ContentDelta("c")] for place in range(count)}
    assert all(turn.closed for turn in turns)


async def test_one_turn_does_not_wait_for_another() -> None:
    stuck = asyncio.Event()
    batches = side_by_side([Turn(stuck, "late").run(), Turn("early").run()])
    assert await batches.__anext__() == (1, [ContentDelta("early")])
    stuck.set()
    assert [batch async for batch in batches] == [(0, [ContentDelta("late")])]


async def test_a_turn_that_fails_ends_the_others() -> None:
    waiting = Turn(asyncio.Event())
    with pytest.raises(EngineFailure):
        async for _ in side_by_side([waiting.run(), Turn("a", EngineFailure("died")).run()]):
            pass
    assert waiting.closed


@pytest.mark.parametrize("count", [1, 2])
async def test_closing_closes_every_turn(count: int) -> None:
    turns = [Turn("a", asyncio.Event()) for _ in range(count)]
    batches = side_by_side([turn.run() for turn in turns])
    for _ in range(count):
        await batches.__anext__()
    await batches.aclose()
    assert all(turn.closed for turn in turns)


@pytest.mark.parametrize(
    ("seed", "seeds"), [(2**64 - 1, [0, 1]), (2**32 - 2, [2**32 - 2, 0]), (-(2**63), [2**31 - 1, 2**31])]
)
def test_a_seed_of_any_size_is_one_that_the_engine_knows(seed: int, seeds: list[int]) -> None:
    request = TurnRequest("m", (), sampling=Sampling(seed=seed))
    assert [each.sampling.seed for each in turn_requests(request, 2)] == seeds


@pytest.mark.parametrize("count", [1, 2])
async def test_a_turn_that_is_cancelled_from_elsewhere_is_not_waited_for_in_vain(count: int) -> None:
    turns = [Turn(asyncio.CancelledError()), *(Turn(asyncio.Event()) for _ in range(count - 1))]
    with pytest.raises(asyncio.CancelledError):
        async for _ in side_by_side([turn.run() for turn in turns]):
            pass
    assert all(turn.closed for turn in turns)


async def test_a_reader_that_is_slow_slows_the_turns_down() -> None:
    turns = [Turn(*"abcdefgh") for _ in range(2)]
    batches = side_by_side([turn.run() for turn in turns])
    await batches.__anext__()
    for _ in range(50):
        await asyncio.sleep(0)
    assert not any(turn.closed for turn in turns)
    assert len([batch async for batch in batches]) == 15
