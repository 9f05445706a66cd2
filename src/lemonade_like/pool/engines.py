"""The engines of all models: started, stopped, watched and described as the scheduler decides.

What is done here is reported to the scheduler, and then ``changed`` is called. It does not know who waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextvars import Context
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Generic

from lemonade_like.errors import ModelNotFound, ServerError
from lemonade_like.pool.actions import Load, Stop, Survey
from lemonade_like.pool.eviction import Limits, size_of
from lemonade_like.pool.loader import LoadOptions
from lemonade_like.pool.memory import resident_bytes
from lemonade_like.pool.news import Crashed, Loaded, LoadFailed, News, Stopped
from lemonade_like.pool.resident import FormatT, Resident
from lemonade_like.pool.scheduler import Scheduler
from lemonade_like.pool.status import Crash, ModelStatus, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from lemonade_like.models.registry import Registry
    from lemonade_like.pool.actions import Refuse
    from lemonade_like.pool.limits import PoolLimits
    from lemonade_like.pool.loader import Loader
    from lemonade_like.pool.loader import Survey as Surveyed
    from lemonade_like.pool.memory import MachineMemory

_logger = logging.getLogger("lemonade_like.pool")

_CRASHES_SHOWN: Final = 5


@dataclass
class Engine(Generic[FormatT]):
    """What the pool itself keeps of one model: how it was or will be loaded, and the engine, if one runs.

    ``options`` are those of the engine that runs or is being started; ``next_options`` those for the one after it, if
    somebody has asked for one. ``gone`` is set whenever the engine has gone, however it went."""

    options: LoadOptions = field(default_factory=LoadOptions)
    next_options: LoadOptions | None = None
    #: Whether it was asked for in so many words that the model stays; ``None`` is as its own options say.
    pinned: bool | None = None
    survey: Surveyed[FormatT] | None = None
    resident: Resident[FormatT] | None = None
    load: asyncio.Task[None] | None = None
    load_seconds: float | None = None
    crashes: deque[Crash] = field(default_factory=lambda: deque(maxlen=_CRASHES_SHOWN))
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class Engines(Generic[FormatT]):
    """Carries out what is decided about engines, in tasks of their own, which no client's leaving cancels.

    ``tell`` is given those who are to be refused because a load failed, ``report`` what has happened to engines.
    """

    def __init__(
        self,
        registry: Registry,
        loader: Loader[FormatT],
        limits: PoolLimits,
        clock: Callable[[], float],
        *,
        changed: Callable[[], None],
        tell: Callable[[Refuse], None],
        report: Callable[[News], None],
    ) -> None:
        self.scheduler = Scheduler(limits.rules, self._limits_for)
        self.by_name: dict[str, Engine[FormatT]] = {}
        self._registry = registry
        self._loader = loader
        self._limits = limits
        self._clock = clock
        self._changed = changed
        self._tell = tell
        self._report = report
        #: What there is, by backend; looked up when it may have changed and somebody wants to know.
        self._memory: dict[str, MachineMemory] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    def engine(self, name: str) -> Engine[FormatT]:
        """Return what is kept of a model."""
        return self.by_name.setdefault(name, Engine())

    def ready(self, name: str) -> Resident[FormatT] | None:
        """Return the model's engine if it takes turns."""
        resident = self.by_name[name].resident if name in self.by_name else None
        # Its last output may still be read, which whoever asks now need not wait for.
        runs = resident is not None and resident.process.exit_code() is None
        return resident if runs and self.scheduler.state(name).stage == "ready" else None

    def carry_out(self, action: Survey | Load | Stop) -> None:
        """Begin what was decided."""
        name = action.model
        engine = self.engine(name)
        if isinstance(action, Survey):
            self._choose_options(name)
            self._background(self._survey(name), f"survey {name}")
        elif isinstance(action, Load):
            engine.load = self._background(self._load(action, engine), f"load {name}")
        else:
            if (load := engine.load) is not None:
                # At once: a load that is cancelled no longer reports that it is done.
                load.cancel()
            self._background(self._stop(action, engine, load), f"stop {name}")

    def notice_other_models(self, name: str) -> None:
        """Have the engine go, when those who are in line by now are done, if its model's name means another by now."""
        resident = self.engine(name).resident
        if resident is None or self._registry.still_means(resident.model):
            return
        if self.scheduler.state(name).leaving is None:
            self.scheduler.unload(name, f"stopping {name}, which was registered anew", "replaced")

    def notice_deaths(self) -> None:
        """Tell the scheduler of engines that have exited, though their last output may still have to be read."""
        for name, engine in self.by_name.items():
            if engine.resident is None or engine.resident.process.exit_code() is None:
                continue
            if self.scheduler.state(name).stage != "ready":
                continue
            process = engine.resident.process
            engine.resident = None
            engine.gone.set()
            engine.crashes.append(Crash(time.time(), process.pid, process.how_it_ended()))
            self.scheduler.crashed(name, process.how_it_ended(), self._clock())
            self._report(Crashed(name))

    async def load_with(self, name: str, options: LoadOptions) -> None:
        """Have the model loaded with other options than it is, or will be. Raises as ``Loader.survey``, and then
        nothing that runs is stopped."""
        model = await asyncio.to_thread(self._registry.find, name)
        found = await self._loader.survey(model, options)
        engine, state = self.engine(name), self.scheduler.state(name)
        if state.stage in ("cold", "surveying", "wanted") and not state.held:
            engine.options, engine.next_options = options, None
            if state.stage == "wanted":
                engine.survey = found
                self._memory[found.spec.backend] = found.memory
                self.scheduler.surveyed(name, found.bytes, found.spec.parallel)
        elif (
            state.stage == "stopping"
            or engine.next_options is not None  # others are to replace it already
            or engine.survey is None
            or engine.survey.spec != found.spec
        ):
            engine.next_options = options
            self.scheduler.unload(name, f"stopping {name}, which is loaded anew with other options", "reloaded")

    def pin(self, name: str, pinned: bool | None) -> None:
        """Pin a model or not, whatever its own options say; ``None`` is as they say when it is loaded next."""
        self.engine(name).pinned = pinned
        self.scheduler.pin(name, bool(pinned))

    def unload(self, name: str) -> asyncio.Event | None:
        """Have the model's engine go when it is idle; return what is set then, or ``None`` if there is no engine."""
        if name not in self.by_name or self.scheduler.state(name).stage not in ("loading", "ready", "stopping"):
            return None
        self.pin(name, None)
        self.scheduler.unload(name, f"unloading {name} on request")
        gone = self.engine(name).gone
        gone.clear()
        return gone

    async def describe(self, name: str) -> ModelStatus:
        """Return what is known of a model."""
        engine = self.engine(name)
        resident = engine.resident.describe() if engine.resident is not None else None
        options = {key: value for key, value in asdict(engine.options).items() if value is not None}
        status = describe(
            self.scheduler.state(name),
            self._clock(),
            engine=resident,
            load_seconds=engine.load_seconds,
            options=options,
            crashes=engine.crashes,
        )
        in_memory = None if resident is None else await asyncio.to_thread(resident_bytes, resident.pid)
        return replace(status, memory_resident=in_memory)

    async def close(self) -> None:
        """Stop all engines, those that are still loading too."""
        self._closing = True
        for engine in self.by_name.values():
            engine.gone.set()
            if engine.load is not None:
                engine.load.cancel()
        residents = [engine.resident for engine in self.by_name.values() if engine.resident is not None]
        await asyncio.gather(*(resident.process.stop() for resident in residents))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _survey(self, name: str) -> None:
        engine = self.engine(name)
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
        self.scheduler.pin(name, bool(model.options.pinned) if engine.pinned is None else engine.pinned)
        self.scheduler.surveyed(name, found.bytes, found.spec.parallel)
        self._changed()

    async def _load(self, action: Load, engine: Engine[FormatT]) -> None:
        name, found = action.model, engine.survey
        assert found is not None  # noqa: S101 (it was surveyed)
        if action.warning:
            _logger.warning("%s", action.warning)
        _logger.debug("%s is being loaded: it needs %s", name, size_of(found.bytes))
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
        self._report(Loaded(name, engine.load_seconds))
        self._background(self._watch(resident, engine), f"watch {name}")
        self.scheduler.loaded(name, self._clock())
        self._changed()

    def _load_failed(self, name: str, error: Exception) -> None:
        engine = self.engine(name)
        # The clients that wait are told; if none does any more, somebody must still look at the error.
        if isinstance(error, ModelNotFound):
            # It is a client that erred, whom the line about its request shows, too.
            _logger.debug("%s cannot be loaded: %s", name, error)
        elif isinstance(error, ServerError):
            _logger.warning("%s could not be loaded: %s", name, error)
        else:
            _logger.error("%s could not be loaded", name, exc_info=error)
            error = ServerError(f"{name} could not be loaded, for a reason that nobody foresaw. The log has it.")
        if engine.survey is not None and not isinstance(error, ModelNotFound):  # else it may be any name at all
            self._report(LoadFailed(name, error.code or error.type))
        engine.options = LoadOptions()
        engine.gone.set()
        for action in self.scheduler.failed(name, error, self._clock()):
            self._tell(action)
        if isinstance(error, ModelNotFound):
            self.pin(name, None)
        # Anybody can ask for a model that is not there, by ever new names.
        if self.scheduler.forget(name):
            del self.by_name[name]
        self._changed()

    async def _stop(self, action: Stop, engine: Engine[FormatT], load: asyncio.Task[None] | None) -> None:
        _logger.info("%s", action.why)
        if load is not None:
            await asyncio.wait({load})
        # Only now: a load may have got as far as to have an engine.
        resident, engine.resident = engine.resident, None
        if resident is not None:
            self._report(Stopped(action.model, action.reason))
            await resident.process.stop()
        await self._look_at_memory()
        engine.options = LoadOptions()
        engine.gone.set()
        self.scheduler.stopped(action.model)
        self._changed()

    async def _watch(self, resident: Resident[FormatT], engine: Engine[FormatT]) -> None:
        process = resident.process
        await process.wait()
        if engine.resident is not resident and not any(crash.pid == process.pid for crash in engine.crashes):
            return  # it was stopped
        self._changed()
        if not self._closing:
            _logger.error(
                "the engine of %s died (%s); its last lines:\n%s",
                resident.model.name,
                process.how_it_ended(),
                process.log_tail(),
            )

    def _choose_options(self, name: str) -> None:
        """Have the options that were asked for while the last engine ran hold for the next, unless it takes over
        turns."""
        engine = self.engine(name)
        if engine.next_options is not None and not self.scheduler.state(name).held:
            engine.options, engine.next_options = engine.next_options, None

    def _limits_for(self, name: str) -> Limits:
        limits, survey = self._limits, self.engine(name).survey
        assert survey is not None  # noqa: S101 (it was surveyed)
        most = limits.max_loaded_models or None
        if limits.memory_budget:
            return Limits(most, limits.memory_budget, strict=True)
        memory = self._memory[survey.spec.backend]
        return Limits(most, memory.budget, memory.free)

    async def _look_at_memory(self) -> None:
        """Look again at what memory there is, where somebody waits for some."""
        wanted = {state.name for state in self.scheduler.states() if state.stage == "wanted"}
        surveys = [engine.survey for name, engine in self.by_name.items() if name in wanted]
        for backend in {survey.spec.backend for survey in surveys if survey is not None}:
            self._memory[backend] = await self._loader.memory(backend)

    def _background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        # In a context of its own: what is logged of an engine belongs to no one request, even the first to ask.
        task = Context().run(asyncio.create_task, work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
