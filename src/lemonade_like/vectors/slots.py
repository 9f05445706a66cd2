"""A batch of questions to one model, asked side by side without keeping anybody waiting.

The batch waits in line for one slot, as a turn does, and has it until its end. All other slots it borrows for one
question at a time, and only those that nobody waits for: whoever comes meanwhile is served after one question at most.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lemonade_like.pool.lease import Lease
    from lemonade_like.pool.pool import Pool

AnswerT = TypeVar("AnswerT")


async def answer_all(
    pool: Pool[object],
    model: str,
    client: str,
    count: int,
    ask: Callable[[Lease[object], int], Awaitable[AnswerT]],
) -> list[AnswerT]:
    """Return what ``ask`` makes of each number below ``count``, in their order.

    A question whose engine dies is asked again when it runs again. The first that fails ends all. When this returns,
    raises or is cancelled, nothing is asked any more, and every slot is given back.

    Raises:
        ServerError: as the pool does, and as ``ask`` does.
    """
    left = deque(range(count))
    answers: dict[int, AnswerT] = {}
    helpers: list[asyncio.Task[None]] = []

    async def answer_one(lease: Lease[object]) -> None:
        number = left.popleft()
        try:
            answers[number] = await lease.answered(lambda _: ask(lease, number))
        except BaseException:
            left.clear()
            raise

    async def help_out() -> None:
        while left:
            async with pool.spare_lease(model, client) as lease:
                if lease is None or not left:
                    return
                await answer_one(lease)

    async with pool.lease(model, client) as lease:
        try:
            while left:
                spare = min(len(left) - 1, pool.spare_slots(model))
                helpers += [asyncio.create_task(help_out()) for _ in range(spare)]
                await answer_one(lease)
            await asyncio.gather(*helpers)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
    return [answers[number] for number in range(count)]
