"""Several choices are several turns of one request, run side by side."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from lemonade_like.api.sse import close

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from lemonade_like.turns.events import Event
    from lemonade_like.turns.request import TurnRequest


def turn_requests(request: TurnRequest, choices: int) -> list[TurnRequest]:
    """Return one request for each choice. With a seed, each has its own, or they would all be the same."""
    seed = request.sampling.seed
    if seed is None:
        return [request] * choices
    return [replace(request, sampling=replace(request.sampling, seed=seed + place)) for place in range(choices)]


async def side_by_side(turns: Sequence[AsyncIterator[list[Event]]]) -> AsyncGenerator[tuple[int, list[Event]], None]:
    """Yield the batches of all turns as they come, each with the place of its turn.

    The first turn that fails ends them all. Closing this closes every turn.
    """
    if len(turns) == 1:
        try:
            async for events in turns[0]:
                yield 0, events
        finally:
            await close(turns[0])
        return

    queue: asyncio.Queue[tuple[int, list[Event] | BaseException | None]] = asyncio.Queue(maxsize=len(turns))

    async def drain(place: int, turn: AsyncIterator[list[Event]]) -> None:
        try:
            async for events in turn:
                await queue.put((place, events))
            await queue.put((place, None))
        except Exception as error:  # whatever it is, it is raised again where the batches are read
            await queue.put((place, error))
        finally:
            await close(turn)

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
                yield place, item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
