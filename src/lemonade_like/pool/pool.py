"""The pool: does what the scheduler decides, and reports to it what came of it.

All of it runs on one event loop, so there are no locks: what gates a change is read and changed without an ``await`` in
between. Engines are started and stopped in tasks of their own, which no client's leaving cancels.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from lemonade_like.engine.following import follow
from lemonade_like.errors import ModelNotFound, ModelNotLoaded, ShuttingDown
from lemonade_like.pool.actions import Admit, Refuse, Resume
from lemonade_like.pool.engines import Engines
from lemonade_like.pool.inspection import inspect, only_one
from lemonade_like.pool.lease import Lease, Ticket, Waiting
from lemonade_like.pool.limits import PoolLimits
from lemonade_like.pool.modes import wrong_mode
from lemonade_like.pool.news import News, Resumed
from lemonade_like.pool.resident import FormatT
from lemonade_like.pool.status import ModelStatus, describe_stage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

    from lemonade_like.engine.client import EngineClient, EngineConnectionLost
    from lemonade_like.models.registry import Registry
    from lemonade_like.pool.actions import Action
    from lemonade_like.pool.inspection import Inspected
    from lemonade_like.pool.loader import Loader, LoadOptions
    from lemonade_like.pool.resident import LoadedModel
    from lemonade_like.pool.state import Place
    from lemonade_like.settings import Mode


@dataclass(frozen=True)
class LoadReport:
    """What came of a request to load: ``seconds`` it took (0 if the model was there), and ``evicted``, why what went
    for it had to go, in words."""

    model: ModelStatus
    seconds: float
    evicted: tuple[str, ...]


class Pool(Generic[FormatT]):
    """Lends resident models to turns, as many at once as the engine has slots, and loads them on first use.

    It does not know what a turn does with its lease, and stops no engine on which a turn runs, except when it is
    closed. ``report`` is told what has happened to engines.
    """

    def __init__(
        self,
        registry: Registry,
        loader: Loader[FormatT],
        limits: PoolLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        report: Callable[[News], None] = lambda _: None,
    ) -> None:
        self._registry = registry
        self._loader = loader
        self._limits = limits or PoolLimits()
        self._clock = clock
        self._report = report
        self._engines = Engines(
            registry, loader, self._limits, clock, changed=self._step, tell=self._refuse, report=report
        )
        self._scheduler = self._engines.scheduler
        self._tickets: dict[Place, Ticket[FormatT]] = {}
        #: Turns whose engine died, until they are told that it runs again.
        self._resuming: dict[Place, asyncio.Future[None]] = {}
        #: The order in which those who wait are served, by model; made when it is asked for.
        self._places: dict[str, dict[Place, int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._turn_ended = asyncio.Event()
        #: Answers of several turns that are being made, whether or not one of their turns runs now.
        self._answers = 0
        self._draining = False
        self._closing = False

    # -- what turns need ------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def ticket(self, name: str, client: str = "", *, continues: bool = False) -> AsyncIterator[Ticket[FormatT]]:
        """Give a place in the line for the model of that name; ``client`` is whose turn it is, to be fair between them.

        Leaving the block leaves the line, or gives the slot back. A turn that ``continues`` an answer, see ``answer``,
        waits however many do, and is let in while the pool drains, too.

        Raises:
            ModelNotFound: there is no such model.
            QueueFull: too many wait for it already.
            EngineUnavailable: its engine keeps crashing, and is given time.
            ShuttingDown: the server is.
        """
        place = self._arrive(self._registry.resolve(name), client, continues=continues)
        try:
            yield self._tickets[place]
        finally:
            del self._tickets[place]
            self._scheduler.leave(place, self._clock())
            self._step()

    @contextlib.contextmanager
    def answer(self) -> Iterator[None]:
        """Have a drain wait while an answer of several turns is made, also when none of them runs."""
        self._answers += 1
        try:
            yield
        finally:
            self._answers -= 1
            self._turn_ended.set()

    @contextlib.asynccontextmanager
    async def lease(self, name: str, client: str = "") -> AsyncIterator[Lease[FormatT]]:
        """Lend the model of that name for one turn, when it is loaded and has a slot; raises as a ticket does."""
        async with self.ticket(name, client) as ticket:
            async for _ in ticket.waiting():
                continue
            yield ticket.lease

    def spare_slots(self, name: str) -> int:
        """Return how many slots of the model nobody uses or waits for. Raises ``ModelNotFound``."""
        known = self._registry.resolve(name)
        self._engines.notice_deaths()
        return 0 if self._draining else self._scheduler.spare_slots(known)

    @contextlib.asynccontextmanager
    async def spare_lease(self, name: str, client: str = "") -> AsyncIterator[Lease[FormatT] | None]:
        """Lend a slot that nobody uses or waits for, or ``None``: nobody waits for it, and nobody is kept waiting."""
        if not self.spare_slots(name):
            yield None
            return
        async with self.ticket(name, client) as ticket:
            yield ticket.lease if ticket.granted else None

    async def require_mode(self, name: str, wanted: Mode) -> None:
        """Check that the model of that name is for what is asked of it; loads nothing.

        Raises:
            ModelNotFound: there is no such model.
            WrongMode: it is for something else; the message says what, and what to do.
        """
        known = self._registry.resolve(name)
        resident = self._engines.ready(known)
        if resident is not None and self._registry.still_means(resident.model):
            model, mode = resident.model, resident.mode
        else:
            described = await asyncio.to_thread(lambda: self._registry.describe(self._registry.find(known)))
            model, mode = described.model, described.mode
        if mode != wanted:
            raise wrong_mode(model, mode, wanted)

    async def prompt_format(self, name: str) -> tuple[str, FormatT | None]:
        """Return the model's own name and what renders its prompts, without loading it; ``None`` is its own template.

        Raises:
            ModelNotFound, HarmonyUnavailable, EngineNotFound: as loading it would.
        """
        resident = self._engines.ready(self._registry.resolve(name))
        if resident is not None:
            return resident.model.name, resident.prompt_format
        model = await asyncio.to_thread(self._registry.find, name)
        return model.name, await self._loader.prompt_format(model)

    def glance(self, name: str) -> EngineClient | None:
        """Return the engine of a model if it is loaded, to be asked what takes no slot. It may be gone at any time.

        Raises:
            ModelNotFound: there is no such model.
        """
        resident = self._engines.ready(self._registry.resolve(name))
        return None if resident is None else resident.process.client

    def waiting(self, place: Place) -> Waiting:
        """Return what a place in the line waits for."""
        state = self._scheduler.state(place.model)
        if place.model not in self._places:
            self._places[place.model] = {each: number for number, each in enumerate(state.queue, 1)}
        number = self._places[place.model].get(place, 0)
        if state.stage == "ready" and not self._scheduler.is_closed_to(place):
            return Waiting("queued", number)
        return Waiting("loading", number, describe_stage(state, self._clock()))

    async def recover(self, lease: Lease[FormatT], error: EngineConnectionLost) -> None:
        """Return when the model of the lease runs again: see ``Lease.recover``."""
        died = await lease.lost()
        if self._closing:
            raise _shutting_down()
        if lease.crashes >= self._limits.max_crashes:
            raise lease.explain(error)
        if not died:
            self._report(Resumed(lease.model.name))
            return
        self._step()  # takes note of the death, if nobody has yet
        resumed = self._resuming[lease._place] = asyncio.get_running_loop().create_future()
        self._scheduler.recover(lease._place)
        self._step()
        try:
            await resumed
        finally:
            self._resuming.pop(lease._place, None)
        self._report(Resumed(lease.model.name))

    # -- what operators need --------------------------------------------------------------------------------------

    async def load(self, name: str, options: LoadOptions | None = None, *, pinned: bool | None = None) -> LoadReport:
        """Load a model and return when it is ready. One that runs with other ``options`` than those is started anew
        when the turns that are in line for it by now are done; without ``options`` it is left as it is. ``pinned``
        keeps it from being evicted or unloaded for idleness; ``None`` leaves that, too.

        Raises:
            ModelNotFound, BadEngineArguments, HarmonyUnavailable, EngineFailure, NotEnoughMemory, ShuttingDown
        """
        known = self._registry.resolve(name)
        begun = self._clock()
        if options:
            await self._engines.load_with(known, options)
        if pinned is not None:
            self._engines.pin(known, pinned)
        was_ready = self._engines.ready(known) is not None
        place = self._arrive(known, "", turn=False)
        ticket = self._tickets[place]
        try:
            async for _ in ticket.waiting():
                was_ready = False
        finally:
            del self._tickets[place]
            self._scheduler.leave(place, self._clock())
            self._step()
        evicted = () if was_ready else tuple(self._scheduler.state(known).evicted)
        return LoadReport(await self._engines.describe(known), 0.0 if was_ready else self._clock() - begun, evicted)

    async def unload(self, name: str | None = None) -> list[str]:
        """Stop the engine of that model, or all engines, when the turns that are in line for it by now are done; return
        the names of those that were stopped. A pin does not hold it, and is taken off.

        Cancelling this does not undo it: the engine takes no more turns, and goes when it is idle. Raises
        ``ModelNotFound`` if there is no model of that name.
        """
        names = list(self._engines.by_name) if name is None else [self._registry.resolve(name)]
        going = {each: gone for each in names if (gone := self._engines.unload(each)) is not None}
        self._step()
        for gone in going.values():
            await gone.wait()
        return list(going)

    async def inspect(self, what: Inspected, name: str | None = None) -> bytes:
        """Return what the engine of a loaded model says of itself, as JSON. Without a name it is the only one that is
        loaded. Nothing is loaded.

        Raises:
            ModelNotFound, ModelNotLoaded, NotOffered, EngineFailure
            BadRequest: there is no name, and there are several.
        """
        if name is None:
            name = only_one([each for each in self._engines.by_name if self._engines.ready(each) is not None])
        return await inspect(self._registry.resolve(name), self.glance(name), what)

    def loaded(self) -> list[LoadedModel]:
        """Return what is resident now."""
        return [engine.resident.describe() for engine in self._engines.by_name.values() if engine.resident is not None]

    def engine_log(self, name: str, tail: int) -> AsyncGenerator[list[str], None]:
        """Yield the last ``tail`` lines of the log of a model's engine, be there none, and then those that follow; it
        ends with the engine.

        Raises:
            ModelNotFound: there is no such model.
            ModelNotLoaded: no engine runs for it.
        """
        known = self._registry.resolve(name)
        resident = self._engines.ready(known)
        if resident is None:
            raise ModelNotLoaded(f"{known} is not loaded, so its engine writes no log.", param="model")
        process = resident.process
        return follow(process.log_path, tail, lambda: process.exit_code() is not None)

    def known_name(self, name: str) -> str | None:
        """Return the own name of a model that was loaded here, or that it was found out for how to; else ``None``."""
        try:
            known = self._registry.resolve(name)
        except ModelNotFound:
            return None
        engine = self._engines.by_name.get(known)
        return known if engine is not None and engine.survey is not None else None

    def loading(self) -> list[str]:
        """Return the names of the models that somebody waits for, or that are being loaded, now."""
        stages = ("surveying", "wanted", "loading")
        return [state.name for state in self._scheduler.states() if state.stage in stages]

    async def status(self) -> list[ModelStatus]:
        """Return what is known of all models that are wanted, loaded, or have crashed."""
        described = [await self._engines.describe(name) for name in list(self._engines.by_name)]
        return [status for status in described if status.state != "unloaded" or status.crashes]

    @property
    def draining(self) -> bool:
        """Whether new turns are refused, because the server is to stop."""
        return self._draining

    async def drain(self) -> None:
        """Take no new turns from now on, send away those that wait for a slot, and return when no turn runs and no
        answer is being made. Turns that continue one are neither refused nor sent away."""
        self._draining = True
        for ticket in self._tickets.values():
            if not (ticket.granted or ticket.place.continues):
                ticket.refuse(_shutting_down())
        while self._answers or any(state.running for state in self._scheduler.states()):
            self._turn_ended.clear()
            await self._turn_ended.wait()

    async def close(self) -> None:
        """Stop all engines, those that are still loading too. No lease can be had from now on."""
        self._draining = self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        for ticket in self._tickets.values():
            if not ticket.granted:
                ticket.refuse(_shutting_down())
        for resumed in self._resuming.values():
            if not resumed.done():
                resumed.set_exception(_shutting_down())
        await self._engines.close()

    # -- the owner ------------------------------------------------------------------------------------------------

    def _arrive(self, name: str, client: str, *, turn: bool = True, continues: bool = False) -> Place:
        if self._closing or (self._draining and not continues):
            raise _shutting_down()
        self._engines.notice_other_models(name)
        self._engines.notice_deaths()
        place = self._scheduler.arrive(name, client, self._clock(), turn=turn, continues=continues)
        self._tickets[place] = Ticket(self, place)
        self._step()
        return place

    def _step(self) -> None:
        """Do what is to be done, and have all who wait look again."""
        self._places.clear()
        self._turn_ended.set()
        if self._closing:
            return
        self._engines.notice_deaths()
        for action in self._scheduler.step(self._clock()):
            self._do(action)
        for ticket in self._tickets.values():
            ticket.look_again()
        self._set_timer()

    def _do(self, action: Action) -> None:
        if isinstance(action, Admit | Resume):
            self._admit(action)
        elif isinstance(action, Refuse):
            self._refuse(action)
        else:
            self._engines.carry_out(action)

    def _admit(self, action: Admit | Resume) -> None:
        resident = self._engines.engine(action.place.model).resident
        assert resident is not None  # noqa: S101 (the scheduler admits to engines that are loaded)
        ticket = self._tickets[action.place]
        if isinstance(action, Admit):
            ticket.grant(Lease(self, action.place, resident))
            return
        ticket.lease._resident = resident
        resumed = self._resuming.get(action.place)
        if resumed is not None and not resumed.done():
            resumed.set_result(None)

    def _refuse(self, action: Refuse) -> None:
        resumed = self._resuming.get(action.place)
        if resumed is None:
            self._tickets[action.place].refuse(action.error)
        elif not resumed.done():
            resumed.set_exception(action.error)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake = self._scheduler.next_wake()
        if wake is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, wake - self._clock()), self._step)


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("The server is shutting down and takes no new requests.")
