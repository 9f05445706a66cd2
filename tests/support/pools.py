"""A pool over engines that are not there: what it does to them is recorded."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lemonade_like.engine.spec import EngineSpec
from lemonade_like.models.registry import Model, Registry
from lemonade_like.observe.context import request_id_var
from lemonade_like.pool.limits import PoolLimits
from lemonade_like.pool.loader import LoadOptions, Survey
from lemonade_like.pool.memory import MachineMemory
from lemonade_like.pool.pool import Pool
from lemonade_like.pool.resident import Resident

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

#: No process has such a high number.
_PIDS = count(10**9)


class NoFormats:
    """For models that are no GPT-OSS."""

    def prepare(self, gguf: Path) -> None:
        raise AssertionError("a model that is no GPT-OSS needs no Harmony")


class FakeEngine:
    """As much of an ``EngineProcess`` as the pool knows of."""

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        self.pid = next(_PIDS)
        self.client = object()
        self.command = ["engine", spec.alias]
        self.started_at = 0.0
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


GIGABYTE = 10**9


class RecordingLoader:
    """Loads when ``go`` is set; an entry of ``failures`` is raised instead, one for each load.

    A model takes ``sizes`` gigabytes, or one, on a machine that has ``memory``."""

    def __init__(self, *failures: BaseException, sizes: dict[str, float] | None = None, memory: float = 64) -> None:
        self.failures = list(failures)
        self.sizes = sizes or {}
        self.total = int(memory * GIGABYTE)
        self.slots = 4
        #: In the order in which it was asked for: the names that were loaded.
        self.loads: list[str] = []
        self.options: list[LoadOptions] = []
        self.request_ids: list[str | None] = []
        self.engines: list[FakeEngine] = []
        self.cancelled = 0
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def survey(self, model: Model, options: LoadOptions | None = None) -> Survey[Any]:
        asked = options or LoadOptions()
        self.options.append(asked)
        context = asked.ctx_size or 4096
        backend = asked.llamacpp_backend or "fake"
        spec = EngineSpec(("engine",), backend, Path(f"/{model.name}"), model.name, context, self.slots, jinja=True)
        size = int(self.sizes.get(model.name, 1) * GIGABYTE)
        return Survey(model, spec, context, size, await self.memory(backend), None)

    async def start(self, found: Survey[Any]) -> Resident[Any]:
        self.loads.append(found.model.name)
        self.request_ids.append(request_id_var.get())
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failures:
            raise self.failures.pop(0)
        self.engines.append(FakeEngine(found.spec))
        return Resident(found.model, self.engines[-1], None, found.context_length)  # type: ignore[arg-type]

    async def memory(self, backend: str) -> MachineMemory:
        return MachineMemory(self.total, self.total)


@asynccontextmanager
async def recorded_pool(
    loader: RecordingLoader, limits: PoolLimits | None = None, names: Iterable[str] = ("m",), **more: Any
) -> AsyncIterator[Pool[Any]]:
    """A pool with models of those names; closed at the end."""
    registry = Registry([Model(name, path=Path(f"/{name}.gguf")) for name in names], cache_dir=Path("/nowhere"))
    pool: Pool[Any] = Pool(registry, loader, limits, **more)  # type: ignore[arg-type]
    try:
        yield pool
    finally:
        await pool.close()


async def borrow(pool: Pool[Any], name: str = "m") -> Any:
    """The engine that a lease lends."""
    async with pool.lease(name) as lease:
        return lease._resident.process


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now
