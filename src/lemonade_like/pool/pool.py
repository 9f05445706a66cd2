"""The pool: does what the scheduler decides, and reports to it what came of it.

All of it runs on one event loop, so there are no locks: what gates a change is read and changed without an ``await`` in
between. Engines are started and stopped in tasks of their own, which no client's leaving cancels.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from contextvars import Context
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Generic

from lemonade_like.errors import ServerError, ShuttingDown
from lemonade_like.pool.eviction import Limits
from lemonade_like.pool.footprint import resident_bytes
from lemonade_like.pool.lease import Lease, Ticket, Waiting
from lemonade_like.pool.loader import LoadOptions
from lemonade_like.pool.resident import FormatT, Resident
from lemonade_like.pool.scheduler import Admit, Load, Place, Refuse, Resume, Rules, Scheduler, Stop, Survey
from lemonade_like.pool.status import Crash, ModelStatus, describe, describe_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from lemonade_like.engine.client import EngineConnectionLost
    from lemonade_like.models.registry import Registry
    from lemonade_like.pool.footprint import MachineMemory
    from lemonade_like.pool.loader import Loader
    from lemonade_like.pool.loader import Survey as Surveyed
    from lemonade_like.pool.resident import LoadedModel
    from lemonade_like.pool.scheduler import Action
    from lemonade_like.settings import Settings

_logger = logging.getLogger("lemonade_like.pool")

_CRASHES_SHOWN: Final = 5


@dataclass(frozen=True)
class PoolLimits:
    """``max_loaded_models`` and ``memory_budget`` (bytes) are 0 where nothing but the machine's memory limits them;
    ``max_crashes`` is how many crashes one turn survives, less one."""

    rules: Rules = field(default_factory=Rules)
    max_loaded_models: int = 0
    memory_budget: int = 0
    max_crashes: int = 3

    @classmethod
    def from_settings(cls, settings: Settings) -> PoolLimits:
        """Return what the settings say."""
        return cls(
            Rules(settings.queue_size, settings.parallel, settings.idle_timeout),
            max_loaded_models=settings.max_loaded_models,
            memory_budget=int(settings.memory_budget * 1e9),
            max_crashes=settings.max_crashes,
        )


@dataclass
class _Engine(Generic[FormatT]):
    """What the pool itself keeps of one model: how it was or will be loaded, and the engine, if one runs.

    ``options`` are those of the engine that runs or is being started; ``next_options`` those for the one after it, if
    somebody has asked for one. ``gone`` is set whenever the engine has gone, however it went."""

    options: LoadOptions = field(default_factory=LoadOptions)
    next_options: LoadOptions | None = None
    survey: Surveyed[FormatT] | None = None
    resident: Resident[FormatT] | None = None
    load: asyncio.Task[None] | None = None
    load_seconds: float | None = None
    crashes: deque[Crash] = field(default_factory=lambda: deque(maxlen=_CRASHES_SHOWN))
    gone: asyncio.Event = field(default_factory=asyncio.Event)


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
    closed.
    """

    def __init__(
        self,
        registry: Registry,
        loader: Loader[FormatT],
        limits: PoolLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._loader = loader
        self._limits = limits or PoolLimits()
        self._clock = clock
        self._scheduler = Scheduler(self._limits.rules, self._limits_for)
        self._engines: dict[str, _Engine[FormatT]] = {}
        self._tickets: dict[Place, Ticket[FormatT]] = {}
        #: Turns whose engine died, until they are told that it runs again.
        self._resuming: dict[Place, asyncio.Future[None]] = {}
        #: The order in which those who wait are served, by model; made when it is asked for.
        self._places: dict[str, dict[Place, int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._turn_ended = asyncio.Event()
        #: What there is, by backend; looked up when it may have changed and somebody wants to know.
        self._memory: dict[str, MachineMemory] = {}
        self._draining = False
        self._closing = False

    # -- what turns need ------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def ticket(self, name: str, client: str = "") -> AsyncIterator[Ticket[FormatT]]:
        """Give a place in the line for the model of that name; ``client`` is whose turn it is, to be fair between them.

        Leaving the block leaves the line, or gives the slot back.

        Raises:
            ModelNotFound: there is no such model.
            QueueFull: too many wait for it already.
            EngineUnavailable: its engine keeps crashing, and is given time.
            ShuttingDown: the server is.
        """
        place = self._arrive(self._registry.resolve(name), client)
        try:
            yield self._tickets[place]
        finally:
            del self._tickets[place]
            self._scheduler.leave(place, self._clock())
            self._step()

    @contextlib.asynccontextmanager
    async def lease(self, name: str, client: str = "") -> AsyncIterator[Lease[FormatT]]:
        """Lend the model of that name for one turn, when it is loaded and has a slot; raises as a ticket does."""
        async with self.ticket(name, client) as ticket:
            async for _ in ticket.waiting():
                continue
            yield ticket.lease

    async def prompt_format(self, name: str) -> tuple[str, FormatT | None]:
        """Return the model's own name and what renders its prompts, without loading it; ``None`` is its own template.

        Raises:
            ModelNotFound, HarmonyUnavailable, EngineNotFound: as loading it would.
        """
        resident = self._resident(self._registry.resolve(name))
        if resident is not None:
            return resident.model.name, resident.prompt_format
        model = await asyncio.to_thread(self._registry.find, name)
        return model.name, await self._loader.prompt_format(model)

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
            return
        self._step()  # takes note of the death, if nobody has yet
        resumed = self._resuming[lease._place] = asyncio.get_running_loop().create_future()
        self._scheduler.recover(lease._place)
        self._step()
        try:
            await resumed
        finally:
            self._resuming.pop(lease._place, None)

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
            # What cannot be started is refused before anything that runs is stopped.
            model = await asyncio.to_thread(self._registry.find, known)
            found = await self._loader.survey(model, options)
            self._reload_with(known, options, found)
        if pinned is not None:
            self._scheduler.pin(known, pinned)
        was_ready = self._resident(known) is not None
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
        return LoadReport(await self._described(known), 0.0 if was_ready else self._clock() - begun, evicted)

    async def unload(self, name: str | None = None) -> list[str]:
        """Stop the engine of that model, or all engines, when the turns that are in line for it by now are done; return
        the names of those that were stopped. A pin does not hold it, and is taken off.

        Cancelling this does not undo it: the engine takes no more turns, and goes when it is idle. Raises
        ``ModelNotFound`` if there is no model of that name.
        """
        names = list(self._engines) if name is None else [self._registry.resolve(name)]
        going = [each for each in names if self._scheduler.state(each).stage in ("loading", "ready", "stopping")]
        for each in going:
            self._scheduler.pin(each, False)
            self._scheduler.unload(each, f"unloading {each} on request")
            self._engines[each].gone.clear()
        self._step()
        for each in going:
            await self._engines[each].gone.wait()
        return going

    def loaded(self) -> list[LoadedModel]:
        """Return what is resident now."""
        return [engine.resident.describe() for engine in self._engines.values() if engine.resident is not None]

    def loading(self) -> list[str]:
        """Return the names of the models that somebody waits for, or that are being loaded, now."""
        stages = ("surveying", "wanted", "loading")
        return [state.name for state in self._scheduler.states() if state.stage in stages]

    async def status(self) -> list[ModelStatus]:
        """Return what is known of all models that are wanted, loaded, or have crashed."""
        described = [await self._described(name) for name in list(self._engines)]
        return [status for status in described if status.state != "unloaded" or status.crashes]

    @property
    def draining(self) -> bool:
        """Whether new turns are refused, because the server is to stop."""
        return self._draining

    async def drain(self) -> None:
        """Take no new turns from now on, send away those that wait for a slot, and return when no turn runs."""
        self._draining = True
        for ticket in self._tickets.values():
            if not ticket.granted:
                ticket.refuse(_shutting_down())
        while any(state.running for state in self._scheduler.states()):
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
        for engine in self._engines.values():
            engine.gone.set()
            if engine.load is not None:
                engine.load.cancel()
        residents = [engine.resident for engine in self._engines.values() if engine.resident is not None]
        await asyncio.gather(*(resident.process.stop() for resident in residents))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- the owner ------------------------------------------------------------------------------------------------

    def _arrive(self, name: str, client: str, *, turn: bool = True) -> Place:
        if self._draining:
            raise _shutting_down()
        self._engine(name)
        self._notice_deaths()
        place = self._scheduler.arrive(name, client, self._clock(), turn=turn)
        self._tickets[place] = Ticket(self, place)
        self._step()
        return place

    def _step(self) -> None:
        """Do what is to be done, and have all who wait look again."""
        self._places.clear()
        self._turn_ended.set()
        if self._closing:
            return
        self._notice_deaths()
        for action in self._scheduler.step(self._clock()):
            self._do(action)
        for ticket in self._tickets.values():
            ticket.look_again()
        self._set_timer()

    def _do(self, action: Action) -> None:
        if isinstance(action, Survey):
            self._choose_options(action.model)
            self._background(self._survey(action.model), f"survey {action.model}")
        elif isinstance(action, Load):
            engine = self._engine(action.model)
            engine.load = self._background(self._load(action, engine), f"load {action.model}")
        elif isinstance(action, Stop):
            engine = self._engine(action.model)
            resident, engine.resident = engine.resident, None
            self._background(self._stop(action, engine, resident), f"stop {action.model}")
        elif isinstance(action, Refuse):
            self._refuse(action)
        else:
            self._admit(action)

    def _admit(self, action: Admit | Resume) -> None:
        resident = self._engine(action.place.model).resident
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

    async def _survey(self, name: str) -> None:
        engine = self._engine(name)
        try:
            model = await asyncio.to_thread(self._registry.find, name)
            while True:
                options = engine.options
                engine.survey = found = await self._loader.survey(model, options)
                if engine.options is options:  # else somebody asked for others in the meantime
                    break
        except Exception as error:
            self._load_failed(name, error)
            return
        self._memory[found.spec.backend] = found.memory
        self._scheduler.surveyed(name, found.bytes, found.spec.parallel)
        self._step()

    async def _load(self, action: Load, engine: _Engine[FormatT]) -> None:
        name, found = action.model, engine.survey
        assert found is not None  # noqa: S101 (it was surveyed)
        if action.warning:
            _logger.warning("%s", action.warning)
        begun = self._clock()
        try:
            # Kept at once, so that it is stopped if this is cancelled from here on.
            resident = engine.resident = await self._loader.start(found)
            await self._look_at_memory()
        except Exception as error:
            self._load_failed(name, error)
            return
        finally:
            engine.load = None
        engine.load_seconds = self._clock() - begun
        self._background(self._watch(resident, engine), f"watch {name}")
        self._scheduler.loaded(name, self._clock())
        self._step()

    def _load_failed(self, name: str, error: Exception) -> None:
        engine = self._engine(name)
        # The clients that wait are told; if none does any more, somebody must still look at the error.
        if isinstance(error, ServerError):
            _logger.warning("%s could not be loaded: %s", name, error)
        else:
            _logger.error("%s could not be loaded", name, exc_info=error)
            error = ServerError(f"{name} could not be loaded, for a reason that nobody foresaw. The log has it.")
        engine.options = LoadOptions()
        engine.gone.set()
        for action in self._scheduler.failed(name, error, self._clock()):
            self._do(action)
        self._step()

    async def _stop(self, action: Stop, engine: _Engine[FormatT], resident: Resident[FormatT] | None) -> None:
        _logger.info("%s", action.why)
        if (load := engine.load) is not None:
            load.cancel()
            await asyncio.wait({load})
            resident, engine.resident = engine.resident, None
        if resident is not None:
            await resident.process.stop()
        await self._look_at_memory()
        engine.options = LoadOptions()
        engine.gone.set()
        self._scheduler.stopped(action.model)
        self._step()

    async def _watch(self, resident: Resident[FormatT], engine: _Engine[FormatT]) -> None:
        process = resident.process
        await process.wait()
        if engine.resident is not resident and not any(crash.pid == process.pid for crash in engine.crashes):
            return  # it was stopped
        self._step()
        tail = process.log_tail()
        for crash in engine.crashes:
            if crash.pid == process.pid:
                crash.log_tail = tail
        if not self._closing:
            _logger.error(
                "the engine of %s died (%s); its last lines:\n%s", resident.model.name, process.how_it_ended(), tail
            )

    def _notice_deaths(self) -> None:
        """Tell the scheduler of engines that have exited, though their last output may still have to be read."""
        for name, engine in self._engines.items():
            if engine.resident is None or engine.resident.process.exit_code() is None:
                continue
            process = engine.resident.process
            engine.resident = None
            engine.gone.set()
            engine.crashes.append(Crash(time.time(), process.pid, process.how_it_ended()))
            self._scheduler.crashed(name, process.how_it_ended(), self._clock())

    def _reload_with(self, name: str, options: LoadOptions, found: Surveyed[FormatT]) -> None:
        """Have the model loaded with other options than it is, or will be."""
        engine, state = self._engine(name), self._scheduler.state(name)
        if state.stage in ("cold", "surveying", "wanted") and not state.held:
            engine.options, engine.next_options = options, None
            if state.stage == "wanted":
                engine.survey = found
                self._scheduler.surveyed(name, found.bytes, found.spec.parallel)
        elif state.stage == "stopping" or engine.survey is None or engine.survey.spec != found.spec:
            engine.next_options = options
            self._scheduler.unload(name, f"stopping {name}, which is loaded anew with other options")

    def _choose_options(self, name: str) -> None:
        """Have the options that were asked for while the last engine ran hold for the next, unless it takes over
        turns."""
        engine = self._engine(name)
        if engine.next_options is not None and not self._scheduler.state(name).held:
            engine.options, engine.next_options = engine.next_options, None

    def _limits_for(self, name: str) -> Limits:
        limits, survey = self._limits, self._engine(name).survey
        assert survey is not None  # noqa: S101 (it was surveyed)
        most = limits.max_loaded_models or None
        if limits.memory_budget:
            return Limits(most, limits.memory_budget, strict=True)
        memory = self._memory[survey.spec.backend]
        return Limits(most, memory.budget, memory.free)

    async def _look_at_memory(self) -> None:
        """Look again at what memory there is, where somebody waits for some."""
        wanted = {state.name for state in self._scheduler.states() if state.stage == "wanted"}
        surveys = [engine.survey for name, engine in self._engines.items() if name in wanted]
        for backend in {survey.spec.backend for survey in surveys if survey is not None}:
            self._memory[backend] = await self._loader.memory(backend)

    def _engine(self, name: str) -> _Engine[FormatT]:
        return self._engines.setdefault(name, _Engine())

    def _resident(self, name: str) -> Resident[FormatT] | None:
        resident = self._engine(name).resident
        # Its last output may still be read, which whoever asks now need not wait for.
        ready = resident is not None and resident.process.exit_code() is None
        return resident if ready and self._scheduler.state(name).stage == "ready" else None

    async def _described(self, name: str) -> ModelStatus:
        engine = self._engine(name)
        resident = engine.resident.describe() if engine.resident is not None else None
        options = {key: value for key, value in asdict(engine.options).items() if value is not None}
        status = describe(
            self._scheduler.state(name),
            self._clock(),
            engine=resident,
            load_seconds=engine.load_seconds,
            options=options,
            crashes=engine.crashes,
        )
        in_memory = None if resident is None else await asyncio.to_thread(resident_bytes, resident.pid)
        return replace(status, memory_resident=in_memory)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake = self._scheduler.next_wake()
        if wake is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, wake - self._clock()), self._step)

    def _background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        # In a context of its own: what is logged of an engine belongs to no one request, even the first to ask.
        task = Context().run(asyncio.create_task, work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("The server is shutting down and takes no new requests.")
