"""A turn's place in the line, and the lease under which it then uses a resident model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Literal, Protocol, TypeVar

from lemonade_like.engine.client import EngineConnectionLost
from lemonade_like.errors import EngineFailure
from lemonade_like.pool.resident import FormatT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from lemonade_like.engine.client import EngineClient
    from lemonade_like.models.registry import Model
    from lemonade_like.pool.resident import LoadedModel, Resident
    from lemonade_like.pool.state import Place

_logger = logging.getLogger("lemonade_like.pool")
_T = TypeVar("_T")

#: A broken connection is often the first sign of a crash; the exit code comes a moment later.
_EXIT_GRACE_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Waiting:
    """What a turn waits for. ``place`` counts from 1, in the order in which those in line are served as things are now;
    ``detail`` says more in words, where there is more to say."""

    stage: Literal["queued", "loading"]
    place: int
    detail: str = ""


class _Owner(Protocol[FormatT]):
    def waiting(self, place: Place) -> Waiting:
        """Return what the place waits for now."""

    async def recover(self, lease: Lease[FormatT], error: EngineConnectionLost) -> None:
        """Return when the model of the lease runs again."""


class Lease(Generic[FormatT]):
    """The right to use one slot of a resident model for one turn. It outlives the engine: see :meth:`recover`."""

    def __init__(self, owner: _Owner[FormatT], place: Place, resident: Resident[FormatT]) -> None:
        self._owner = owner
        self._place = place
        self._resident = resident
        #: How often the engine was lost under this turn.
        self.crashes = 0

    @property
    def engine(self) -> EngineClient:
        """The client of the engine that holds the model now."""
        return self._resident.process.client

    @property
    def model(self) -> Model:
        """The model that was asked for."""
        return self._resident.model

    @property
    def prompt_format(self) -> FormatT | None:
        """What renders prompts, or ``None``: then the engine applies the model's own chat template."""
        return self._resident.prompt_format

    @property
    def context_length(self) -> int:
        """Tokens that one turn may use, prompt and answer together."""
        return self._resident.context_length

    def describe(self) -> LoadedModel:
        """Return what may be shown of the model as it is loaded now."""
        return self._resident.describe()

    def engine_version(self) -> str | None:
        """Return the version of the engine that holds the model now, where that is known."""
        return self._resident.engine_version()

    async def recover(self, error: EngineConnectionLost) -> None:
        """Return when the model runs again, after its engine was lost in the middle of this turn.

        The slot stays this turn's, ahead of all who are in line, and ``engine`` is then the client of the new engine.
        However many turns ask, there is one restart; after repeated crashes it is put off. Where only the connection
        broke and the engine still runs, nothing is started, and ``engine`` is what it was. Nothing of the turn itself
        is repeated.

        Raises:
            EngineFailure: the engine cannot be started again, or this turn has seen as many crashes as it may; with how
                it ended.
            ShuttingDown: the server is.
        """
        self.crashes += 1
        await self._owner.recover(self, error)

    async def answered(self, question: Callable[[EngineClient], Awaitable[_T]]) -> _T:
        """Return what the engine answers to a question that may be asked again, should the engine die over it.

        Raises:
            EngineFailure, ShuttingDown: as :meth:`recover` does; and whatever ``question`` does.
        """
        while True:
            try:
                return await question(self.engine)
            except EngineConnectionLost as error:
                lost = error
            await self.recover(lost)

    async def lost(self) -> bool:
        """Tell, after a broken connection, whether the engine has died, as soon as that is clear."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._resident.process.wait(), _EXIT_GRACE_SECONDS)
        return self._resident.process.exit_code() is not None

    def explain(self, error: EngineConnectionLost) -> EngineFailure:
        """Return what a lost connection means to the user, and how the engine ended.

        Its last lines are for the log alone: an engine that is made verbose prints what others have sent it.
        """
        process = self._resident.process
        if process.exit_code() is None:
            _logger.error(
                "the engine of %s broke off (%s); its last lines:\n%s", self.model.name, error, process.log_tail()
            )
            return EngineFailure(
                f"The engine of {self.model.name} broke off in the middle of the turn ({error}), but is still running. "
                "Please send the request again."
            )
        return EngineFailure(
            f"The engine of {self.model.name} died in the middle of the turn ({process.how_it_ended()}). "
            "The next request starts it again, and the server's log has its last lines."
        )


class Ticket(Generic[FormatT]):
    """A place in the line for one model. It must be given back by the pool that gave it."""

    def __init__(self, owner: _Owner[FormatT], place: Place) -> None:
        self.place = place
        self._owner = owner
        self._news = asyncio.Event()
        self._lease: Lease[FormatT] | None = None
        self._error: Exception | None = None

    @property
    def lease(self) -> Lease[FormatT]:
        """What was waited for; to be read when ``waiting`` has ended."""
        if self._lease is None:
            raise RuntimeError("The ticket has no lease yet: iterate over waiting() first.")
        return self._lease

    async def waiting(self) -> AsyncIterator[Waiting]:
        """Yield what the turn waits for, at each change; end when it has its slot. Needs no wait if one is free.

        Raises:
            ModelNotFound: the model is not downloaded, or its file is gone.
            BadEngineArguments, HarmonyUnavailable, EngineFailure: it could not be loaded.
            NotEnoughMemory: it does not fit beside what may not be unloaded.
            ShuttingDown: the server is.
        """
        last: Waiting | None = None
        while self._lease is None and self._error is None:
            self._news.clear()
            now = self._owner.waiting(self.place)
            if now != last:
                last = now
                yield now
            else:
                await self._news.wait()
        if self._error is not None:
            raise self._error

    @property
    def granted(self) -> bool:
        """Whether the wait is over, and there is a lease."""
        return self._lease is not None

    def look_again(self) -> None:
        """Have ``waiting`` see whether something has changed."""
        self._news.set()

    def grant(self, lease: Lease[FormatT]) -> None:
        """End the wait."""
        self._lease = lease
        self._news.set()

    def refuse(self, error: Exception) -> None:
        """End the wait with an error."""
        self._error = error
        self._news.set()
