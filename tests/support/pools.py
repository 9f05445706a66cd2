"""A pool over engines that are not there: what it does to them is recorded."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lemonade_like.models.registry import Model, Registry
from lemonade_like.observe.context import request_id_var
from lemonade_like.pool.pool import Pool
from lemonade_like.pool.resident import Resident

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class FakeEngine:
    """As much of an ``EngineProcess`` as the pool knows of."""

    def __init__(self) -> None:
        #: It has exited, and ``exited`` that its output has been read, too.
        self.dead = False
        self.exited = asyncio.Event()
        self.stops = 0

    async def wait(self) -> int:
        await self.exited.wait()
        return 3

    def exit_code(self) -> int | None:
        return 3 if self.dead else None

    async def stop(self, grace: float = 5.0) -> None:
        self.stops += 1
        self.die()

    def die(self) -> None:
        self.dead = True
        self.exited.set()

    def how_it_ended(self) -> str:
        return "exited with code 3"

    def log_tail(self, lines: int = 20) -> str:
        return "out of memory"


class RecordingLoader:
    """Loads when ``go`` is set; an entry of ``failures`` is raised instead, one for each load."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.loads: list[str] = []
        self.request_ids: list[str | None] = []
        self.engines: list[FakeEngine] = []
        self.cancelled = 0
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def load(self, model: Model) -> Resident[Any]:
        self.loads.append(model.name)
        self.request_ids.append(request_id_var.get())
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failures:
            raise self.failures.pop(0)
        self.engines.append(FakeEngine())
        return Resident(model, self.engines[-1], None, 4096)  # type: ignore[arg-type]


@asynccontextmanager
async def recorded_pool(loader: RecordingLoader) -> AsyncIterator[Pool[Any]]:
    """A pool with a model named ``m``; closed at the end."""
    registry = Registry([Model("m", path=Path("/m.gguf"))], cache_dir=Path("/nowhere"))
    pool: Pool[Any] = Pool(registry, loader)  # type: ignore[arg-type]
    try:
        yield pool
    finally:
        await pool.close()


async def borrow(pool: Pool[Any], name: str = "m") -> Any:
    """The engine that a lease lends."""
    async with pool.lease(name) as lease:
        return lease._resident.process
