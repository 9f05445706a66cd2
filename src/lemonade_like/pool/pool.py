"""The pool: who is resident, and who is being loaded.

All of it runs on one event loop, so there are no locks: what gates a change is read and changed without an ``await`` in
between.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextvars import Context
from typing import TYPE_CHECKING, Generic

from lemonade_like.errors import EngineUnavailable
from lemonade_like.pool.resident import FormatT, Lease, LoadedModel, Resident

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lemonade_like.models.registry import Registry
    from lemonade_like.pool.loader import Loader

_logger = logging.getLogger("lemonade_like.pool")


class Pool(Generic[FormatT]):
    """Lends resident models to turns, and loads them on first use.

    It does not count turns or queue them: an engine takes as many as it has slots and queues the rest itself. It does
    not evict: what was loaded stays until its engine dies or the pool is closed.
    """

    def __init__(self, registry: Registry, loader: Loader[FormatT]) -> None:
        self._registry = registry
        self._loader = loader
        self._residents: dict[str, Resident[FormatT]] = {}
        self._loads: dict[str, asyncio.Task[Resident[FormatT]]] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        self._closing = False

    def loaded(self) -> list[LoadedModel]:
        """Return what is resident now."""
        return [resident.describe() for resident in self._residents.values()]

    def loading(self) -> list[str]:
        """Return the names of the models that are being loaded now."""
        return list(self._loads)

    def is_resident(self, name: str) -> bool:
        """Tell whether a lease of ``name`` can be had without loading. Raises ``ModelNotFound``."""
        return self._resident(self._registry.resolve(name)) is not None

    async def prompt_format(self, name: str) -> tuple[str, FormatT | None]:
        """Return the model's own name and what renders its prompts, without loading it; ``None`` is its own template.

        Raises:
            ModelNotFound, HarmonyUnavailable, EngineNotFound: as loading it would.
        """
        known = self._registry.resolve(name)
        resident = self._resident(known)
        if resident is not None:
            return resident.model.name, resident.prompt_format
        model = await asyncio.to_thread(self._registry.find, name)
        return model.name, await self._loader.prompt_format(model)

    @contextlib.asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Lease[FormatT]]:
        """Lend the model of that name for one turn, loading it first if it has to be.

        However many ask, a model is loaded once; a client that goes away while it waits does not stop the load.

        Raises:
            ModelNotFound: there is no such model, or it is not downloaded.
            HarmonyUnavailable, EngineFailure: it could not be loaded.
            EngineUnavailable: the server is shutting down.
        """
        if self._closing:
            raise _shutting_down()
        known = self._registry.resolve(name)
        yield Lease(self._resident(known) or await self._loaded(known), lambda: self._loaded(known))

    async def close(self) -> None:
        """Stop all engines, those that are still loading too. No lease can be had from now on."""
        self._closing = True
        for load in self._loads.values():
            load.cancel()
        await asyncio.gather(*self._loads.values(), return_exceptions=True)
        await asyncio.gather(*(resident.process.stop() for resident in self._residents.values()))
        await asyncio.gather(*self._watchers)

    def _resident(self, name: str) -> Resident[FormatT] | None:
        resident = self._residents.get(name)
        # Its last output may still be read, which whoever asks now need not wait for.
        return resident if resident is not None and resident.process.exit_code() is None else None

    async def _loaded(self, name: str) -> Resident[FormatT]:
        load = self._load(name)
        try:
            return await asyncio.shield(load)
        except asyncio.CancelledError:
            if self._closing and load.cancelled():  # it is the load that was cancelled, not the client that waits
                raise _shutting_down() from None
            raise

    def _load(self, name: str) -> asyncio.Task[Resident[FormatT]]:
        task = self._loads.get(name)
        if task is None:
            # In a context of its own: what is logged of the engine belongs to no one request, even the first to ask.
            context = Context()
            task = context.run(asyncio.create_task, self._load_and_watch(name))
            self._loads[name] = task
            task.add_done_callback(lambda done: self._load_ended(name, done), context=context)
        return task

    async def _load_and_watch(self, name: str) -> Resident[FormatT]:
        model = await asyncio.to_thread(self._registry.find, name)
        resident = await self._loader.load(model)
        self._residents[name] = resident
        watcher = asyncio.create_task(self._watch(resident), name=f"watch {name}")
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return resident

    def _load_ended(self, name: str, task: asyncio.Task[Resident[FormatT]]) -> None:
        del self._loads[name]
        # The clients that wait are told; if none does any more, somebody must still look at the error.
        if not task.cancelled() and (error := task.exception()):
            _logger.warning("%s could not be loaded: %s", name, error)

    async def _watch(self, resident: Resident[FormatT]) -> None:
        process = resident.process
        await process.wait()
        name = resident.model.name
        if self._residents.get(name) is resident:
            del self._residents[name]
        if not self._closing:
            _logger.error(
                "the engine of %s died (%s); its last lines:\n%s", name, process.how_it_ended(), process.log_tail()
            )


def _shutting_down() -> EngineUnavailable:
    return EngineUnavailable("The server is shutting down and takes no new requests.")
