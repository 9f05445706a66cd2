"""Reads one turn's output to its end, however many engines that takes; see ``resumption`` for how it goes on."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lemonade_like.pool.resident import EngineConnectionLost
from lemonade_like.turns.events import Event, Progress
from lemonade_like.turns.failures import came_out_differently
from lemonade_like.turns.resumption import Attempt, Differs, next_attempt

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from lemonade_like.harmony.encoding import Encoder
    from lemonade_like.pool.lease import Lease
    from lemonade_like.turns.formats import HarmonyFormat
    from lemonade_like.turns.transcript import Transcript

_logger = logging.getLogger("lemonade_like.turns")


class Reader(Protocol):
    """Makes events of frames; what it has read is in its transcript."""

    transcript: Transcript

    @property
    def done(self) -> bool:
        """Whether nothing more is wanted, although the model would go on."""

    def read(self, frames: Iterable[dict[str, Any]]) -> list[Event]:
        """Return the events that these frames make."""

    def resume(self, *, goes_on: bool) -> None:
        """Take note that the engine is gone; the next one goes on from what there is, or begins again."""


async def read_through(
    payload: dict[str, Any],
    reader: Reader,
    lease: Lease[HarmonyFormat],
    encoder: Encoder | None,
    *,
    path: Literal["/completion", "/infill"] = "/completion",
) -> AsyncGenerator[list[Event], None]:
    """Post ``payload``, with a seed so that it can be posted again, and yield the events of each network read.

    Raises:
        EngineFailure: the engine died too often, or what came out of the next one does not fit what had come.
        EngineResponseError: the engine refuses.
    """
    attempt = Attempt(payload)
    while True:
        try:
            async with aclosing(lease.engine.stream_completion(attempt.payload, path)) as stream:
                async for frames in stream:
                    if events := reader.read(attempt.new_in(frames)):
                        yield events
                    if reader.done:
                        break
            return
        except EngineConnectionLost as error:
            lost = error
        except Differs:
            raise came_out_differently(lease.model.name) from None
        following = next_attempt(payload, reader.transcript, encoder, context_length=lease.context_length)
        if not isinstance(following, Attempt):
            reader.resume(goes_on=True)
            reader.read([following])
            return
        _logger.info(
            "%s lost its engine after %d tokens of a turn, which %s",
            lease.model.name,
            reader.transcript.predicted,
            "goes on from there" if following.replay is None else "is generated again",
        )
        yield [Progress("loading")]
        await lease.recover(lost)
        reader.resume(goes_on=following.replay is None)
        attempt = following
