"""Several choices are several turns of one request, run side by side."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from lemonade_like.turns.payload import SEEDS
from lemonade_like.turns.request import CompletionRequest, TurnRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from lemonade_like.turns.events import Event

RequestT = TypeVar("RequestT", TurnRequest, CompletionRequest)


def turn_requests(request: RequestT, choices: int) -> list[RequestT]:
    """Return one request for each choice. With a seed, each has its own, or they would all be the same."""
    seed = request.sampling.seed
    if seed is None:
        return [request] * choices
    seeds = [(seed + place) % SEEDS for place in range(choices)]
    return [replace(request, sampling=replace(request.sampling, seed=each)) for each in seeds]


def few_at_once(
    turns: Sequence[AsyncGenerator[list[Event], None]], most: int
) -> Sequence[AsyncGenerator[list[Event], None]]:
    """Return the same turns, of which so many run at once, and the others wait for them."""
    if len(turns) <= most:
        return turns
    room = asyncio.Semaphore(most)

    async def waiting(turn: AsyncGenerator[list[Event], None]) -> AsyncGenerator[list[Event], None]:
        async with room, aclosing(turn):
            async for events in turn:
                yield events

    return [waiting(turn) for turn in turns]


async def side_by_side(
    turns: Sequence[AsyncGenerator[list[Event], None]],
) -> AsyncGenerator[tuple[int, list[Event]], None]:
    """Yield the batches of all turns as they come, each with the place of its turn.

    The first turn that fails ends them all. Closing this closes every turn.
    """
    if len(turns) == 1:
        async with aclosing(turns[0]) as turn:
            async for events in turn:
                yield 0, events
        return

    queue: asyncio.Queue[tuple[int, list[Event] | BaseException | None]] = asyncio.Queue()
    # A client that reads slowly slows the turns down; that a turn has ended is always told at once.
    room = asyncio.Semaphore(len(turns))

    async def drain(place: int, turn: AsyncGenerator[list[Event], None]) -> None:
        ending: BaseException | None = None
        try:
            async with aclosing(turn):
                async for events in turn:
                    await room.acquire()
                    queue.put_nowait((place, events))
        except BaseException as error:
            ending = error
            if not isinstance(error, Exception):
                raise
        finally:
            # Whatever it is, it is raised again where the batches are read; left out, they would be waited for in vain.
            queue.put_nowait((place, ending))

    tasks = [asyncio.create_task(drain(place, turn)) for place, turn in enumerate(turns)]
    try:
        running = len(turns)
        while running:
            place, item = await queue.get()
            if item is None:
                running -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                room.release()
                yield place, item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
