"""Who gets which engine when: the state of all models and all who wait, and what follows from it.

A state machine without I/O. Events come in as calls, with the time; :meth:`Scheduler.step` then says what is to be
done, and the owner does it and reports back. It does not start, stop or talk to anything, and never asks for the time.

Two models that do not fit together take turns by one rule. While a model waits for another to go, the other stays open
to those who came before the first who waits, and to those who came before it was ready itself; then it finishes and
goes. So nobody starves, and each load serves at least all who had gathered for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lemonade_like.errors import NotEnoughMemory, QueueFull
from lemonade_like.pool.actions import Admit, Load, Refuse, Resume, Stop, Survey
from lemonade_like.pool.eviction import Fits, Holding, Impossible, Limits, Wait, make_room
from lemonade_like.pool.queue import FairQueue
from lemonade_like.pool.state import HEALTHY_SECONDS, Leaving, ModelState, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lemonade_like.errors import ServerError
    from lemonade_like.pool.actions import Action
    from lemonade_like.pool.state import StopReason


@dataclass(frozen=True)
class Rules:
    """``queue_size`` is how many may wait for one model beside those that get a slot at once; ``slots`` is how many
    turns a model is expected to take before it has said so. ``idle_timeout`` is in seconds, 0 is never."""

    queue_size: int = 64
    slots: int = 4
    idle_timeout: float = 0.0


class Scheduler:
    """``limits`` gives the limits that hold for loading a model now; it is asked whenever one wants to be loaded."""

    def __init__(self, rules: Rules, limits: Callable[[str], Limits]) -> None:
        self._rules = rules
        self._limits = limits
        self._models: dict[str, ModelState] = {}
        self._next_number = 0
        #: Engines that another model waits for, and from which arrival on they are closed; as of the last step.
        self._closing: dict[str, int] = {}

    def state(self, name: str) -> ModelState:
        """Return what is known of a model; to be read only."""
        known = self._models.get(name)
        if known is None:
            known = self._models[name] = ModelState(name, self._rules.slots)
        return known

    def states(self) -> list[ModelState]:
        """Return what is known of all models that were asked for so far; to be read only."""
        return list(self._models.values())

    def is_closed_to(self, place: Place) -> bool:
        """Tell whether the running engine will not take the place: it goes first, and is started anew."""
        cutoff = self._cutoff(self.state(place.model))
        return cutoff is not None and place.number >= cutoff

    def spare_slots(self, name: str) -> int:
        """Return how many slots there are that whoever arrives now gets at once."""
        model = self.state(name)
        open_to_all = model.stage == "ready" and not model.queue and self._cutoff(model) is None
        return model.slots - len(model.running) if open_to_all else 0

    # -- events ---------------------------------------------------------------------------------------------------

    def arrive(self, name: str, client: str, now: float, *, turn: bool = True, continues: bool = False) -> Place:
        """Take in somebody who wants the model. ``turn=False`` wants it loaded, and no slot. A turn that ``continues``
        an answer is refused nothing, since what was written before would be lost: it waits, before its client's others.

        Raises:
            QueueFull: too many wait already.
            EngineUnavailable: the engine keeps crashing, and is not to be started again yet.
        """
        model = self.state(name)
        if not turn:
            # Somebody who asks in so many words may have mended what was wrong.
            model.failures, model.retry_at = 0, 0.0
        elif not continues:
            self._check_room(model, now)
        place = Place(self._next_number, name, client, turn, now, continues)
        self._next_number += 1
        if turn:
            model.queue.add(place)
        else:
            model.calls.append(place)
        return place

    def _check_room(self, model: ModelState, now: float) -> None:
        if model.stage == "cold" and now < model.retry_at:
            raise model.crash_loop(now)
        if len(model.queue) - max(0, model.slots - len(model.running)) >= self._rules.queue_size:
            raise QueueFull(
                f"{len(model.queue)} requests wait for {model.name} already, which is as many as may. Send the request "
                "again in a moment, or give the server a larger --queue-size or --parallel.",
                retry_after=model.seconds_to_a_free_place(),
            )

    def leave(self, place: Place, now: float) -> None:
        """Forget a place: it leaves the line, or gives its slot back. May be called again."""
        model = self._models.get(place.model)
        if model is None:
            return
        began = model.running.pop(place, None)
        model.recovering.discard(place)
        if began is not None:
            model.turn_ended(now - began, now)
        elif place in model.calls:
            model.calls.remove(place)
        else:
            model.queue.remove(place)

    def recover(self, place: Place) -> None:
        """Take in that a turn with a slot waits until its model runs again; ``Resume`` tells it."""
        self.state(place.model).recovering.add(place)

    def pin(self, name: str, pinned: bool) -> None:
        """Keep a model from being evicted or unloaded for idleness, or no longer."""
        self.state(name).pinned = pinned

    def unload(self, name: str, why: str, reason: StopReason = "requested") -> None:
        """Have the model's engine go when those who are in line by now are done. Whoever comes later starts it anew;
        who waits for that already is not served by this engine because somebody asks again."""
        model = self.state(name)
        if model.leaving is None and (model.stage in ("loading", "ready") or model.held):
            model.leaving = Leaving(self._next_number, why, reason)

    def forget(self, name: str) -> bool:
        """Drop what is known of a model that never ran and nobody wants; tell whether it was so."""
        model = self.state(name)
        if (
            model.stage != "cold"
            or model.asked_for
            or model.running
            or model.pinned
            or model.failures
            or model.last_used
        ):
            return False
        del self._models[name]
        return True

    def surveyed(self, name: str, size: int, slots: int) -> None:
        """Take in what loading takes: bytes of memory, and how many turns the engine will run at once."""
        model = self.state(name)
        model.bytes, model.slots, model.stage = size, slots, "wanted"

    def loaded(self, name: str, now: float) -> None:
        """Take in that the engine is ready."""
        model = self.state(name)
        model.stage, model.since, model.last_used, model.ready_number = "ready", now, now, self._next_number
        model.why = ""

    def failed(self, name: str, error: ServerError, now: float) -> list[Refuse]:
        """Take in that the model could not be loaded; all who wait for it are told why."""
        model = self.state(name)
        if model.stage == "loading":
            model.count_failure(error.message, now)
        return self._give_up(model, error)

    def crashed(self, name: str, how: str, now: float) -> None:
        """Take in that a ready engine died. It is started again when somebody wants it, and not before. An engine that
        was to stop anyway is not mourned."""
        model = self.state(name)
        if model.stage != "ready":
            return
        if now - model.since >= HEALTHY_SECONDS:
            model.failures = 0
        model.count_failure(how, now)
        model.stage, model.since = "cold", now
        if not model.running:
            model.leaving = None

    def stopped(self, name: str) -> None:
        """Take in that an engine which was to stop has gone."""
        model = self.state(name)
        model.stage, model.leaving = "cold", None

    # -- decisions ------------------------------------------------------------------------------------------------

    def step(self, now: float) -> list[Action]:
        """Return what is to be done now, in order; it counts as begun."""
        actions: list[Action] = []
        for model in self._models.values():
            self._ask_for(model, now, actions)
        self._assign_memory(now, actions)
        for model in self._models.values():
            if model.stage == "ready":
                self._admit(model, now, actions)
            self._let_go(model, now, actions)
        return actions

    def next_wake(self) -> float | None:
        """Return when ``step`` will have something to do although nothing happens."""
        times = [model.retry_at for model in self._models.values() if model.stage == "cold" and model.asked_for]
        if self._rules.idle_timeout:
            times += [
                model.last_used + self._rules.idle_timeout
                for model in self._models.values()
                if self._may_idle_out(model)
            ]
        return min(times, default=None)

    def _ask_for(self, model: ModelState, now: float, actions: list[Action]) -> None:
        if model.stage == "wanted" and not (model.asked_for and (model.running or model.leaving is None)):
            # Nobody wants it any more, or not as it was surveyed: that was for turns which have left.
            model.stage = "cold"
        if model.stage == "cold" and model.asked_for and now >= model.retry_at:
            model.stage, model.since = "surveying", now
            model.why, model.evicted = "", []
            if not model.running:
                model.leaving = None
            actions.append(Survey(model.name))

    def _assign_memory(self, now: float, actions: list[Action]) -> None:
        self._closing = {}
        wanted = sorted((model for model in self._models.values() if model.stage == "wanted"), key=ModelState.oldest)
        first: _First | None = None
        for model in wanted:
            if model.held:
                # Its memory was never given to anybody else.
                self._load(model, now, actions)
            elif first is not None:
                if self._fits_behind(first, model, now):
                    self._load(model, now, actions)
                else:
                    model.why = f"{model.name} waits until {first.model.name}, which was asked for first, is loaded"
            else:
                first = self._make_room(model, now, actions)

    def _make_room(self, model: ModelState, now: float, actions: list[Action]) -> _First | None:
        """Load the model, or begin what has to be done first; return what others must leave to it."""
        ceded: list[str] = []
        while True:
            holdings = self._holdings(model, now)
            decision = make_room(model.name, model.bytes, holdings, self._limits(model.name))
            if isinstance(decision, Fits):
                self._load(model, now, actions, decision.warning)
                return None
            if isinstance(decision, Impossible):
                actions += self._give_up(model, NotEnoughMemory(decision.explanation))
                return None
            if isinstance(decision, Wait):
                model.why = decision.explanation
                for name in decision.victims:
                    self._closing[name] = max(model.oldest(), self.state(name).ready_number)
                going = [holding.name for holding in holdings if holding.state == "going"]
                return _First(model, frozenset([*ceded, *going, *decision.victims]))
            for victim in decision.victims:
                model.evicted.append(victim.explanation)
                ceded.append(victim.name)
                self._stop(self.state(victim.name), victim.explanation, "evicted", now, actions)

    def _fits_behind(self, first: _First, model: ModelState, now: float) -> bool:
        """Tell whether the model fits now, and still will when ``first`` has what it waits for."""
        holdings = self._holdings(model, now)
        limits = self._limits(model.name)
        if make_room(model.name, model.bytes, holdings, limits) != Fits():
            return False
        ceded = sum(holding.bytes for holding in holdings if holding.name in first.ceded)
        later = [holding for holding in holdings if holding.name not in first.ceded]
        later.append(Holding(first.model.name, first.model.bytes, "coming"))
        free = None if limits.free is None else limits.free + ceded
        return (
            make_room(model.name, model.bytes, later, Limits(limits.max_models, limits.budget, free, limits.strict))
            == Fits()
        )

    def _holdings(self, wanting: ModelState, now: float) -> list[Holding]:
        return [
            self._holding(model, wanting, now)
            for model in self._models.values()
            if model is not wanting and (model.held or model.stage in ("loading", "ready", "stopping"))
        ]

    def _holding(self, model: ModelState, wanting: ModelState, now: float) -> Holding:
        before = max(wanting.oldest(), model.ready_number) if model.stage == "ready" else None
        return Holding(
            model.name,
            model.bytes,
            {"ready": "ready", "stopping": "going"}.get(model.stage, "coming"),  # type: ignore[arg-type]
            busy=len(model.running) + self._in_line(model, before),
            idle=now - model.last_used,
            pinned=model.pinned,
        )

    def _in_line(self, model: ModelState, before: int | None) -> int:
        if model.leaving is not None:
            before = model.leaving.cutoff if before is None else min(before, model.leaving.cutoff)
        calls = sum(before is None or place.number < before for place in model.calls)
        return model.queue.count(before) + calls

    def _load(self, model: ModelState, now: float, actions: list[Action], warning: str = "") -> None:
        model.stage, model.since, model.why = "loading", now, ""
        actions.append(Load(model.name, warning))

    def _stop(self, model: ModelState, why: str, reason: StopReason, now: float, actions: list[Action]) -> None:
        if model.stage == "ready" and now - model.since >= HEALTHY_SECONDS:
            model.failures = 0
        model.stage, model.since = "stopping", now
        actions.append(Stop(model.name, why, reason))

    def _cutoff(self, model: ModelState) -> int | None:
        cutoffs = [model.leaving.cutoff] if model.leaving is not None else []
        if model.name in self._closing:
            cutoffs.append(self._closing[model.name])
        return min(cutoffs, default=None)

    def _admit(self, model: ModelState, now: float, actions: list[Action]) -> None:
        cutoff = self._cutoff(model)
        actions += [Resume(place) for place in sorted(model.recovering, key=lambda place: place.number)]
        model.recovering.clear()
        served = [place for place in model.calls if cutoff is None or place.number < cutoff]
        actions += [Admit(place) for place in served]
        model.calls = [place for place in model.calls if place not in served]
        while len(model.running) < model.slots and (place := model.queue.pop(cutoff)) is not None:
            model.running[place] = now
            actions.append(Admit(place))

    def _let_go(self, model: ModelState, now: float, actions: list[Action]) -> None:
        if model.running or model.stage not in ("loading", "ready"):
            return
        if (leaving := model.leaving) is not None:
            if not self._in_line(model, None):
                self._stop(model, leaving.why, leaving.reason, now, actions)
        elif self._may_idle_out(model) and now - model.last_used >= self._rules.idle_timeout:
            why = f"unloading {model.name}, idle for {now - model.last_used:.0f} s"
            self._stop(model, why, "idle", now, actions)

    def _may_idle_out(self, model: ModelState) -> bool:
        idle = model.stage == "ready" and not model.running and not model.asked_for
        return bool(self._rules.idle_timeout) and idle and not model.pinned

    def _give_up(self, model: ModelState, error: ServerError) -> list[Refuse]:
        told: Iterable[Place] = [*model.recovering, *model.calls, *model.queue]
        model.stage, model.leaving = "cold", None
        model.recovering.clear()
        model.calls.clear()
        model.queue = FairQueue()
        return [Refuse(place, error) for place in told]


@dataclass(frozen=True)
class _First:
    """The model whose turn it is to be loaded, and what is or will be gone for it."""

    model: ModelState
    ceded: frozenset[str]
