"""A world around the scheduler: it does what is decided, at once or when it is told to, and checks each deed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lemonade_like.errors import ServerError
from lemonade_like.pool.actions import Action, Admit, Load, Refuse, Resume, Stop, Survey
from lemonade_like.pool.eviction import Limits
from lemonade_like.pool.scheduler import Rules, Scheduler
from lemonade_like.pool.state import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

GB = 10**9


class World:
    """Models of ``sizes`` gigabytes, with ``slots`` each. What is decided is recorded in ``loads``, ``stops`` and
    ``refused``; a deed that breaks a rule is an ``AssertionError``."""

    def __init__(self, sizes: Mapping[str, int], limits: Limits, rules: Rules, slots: int = 2) -> None:
        self.sizes = sizes
        self.limits = limits
        self.rules = rules
        self.slots = slots
        self.now = 0.0
        self.scheduler = Scheduler(rules, lambda _: limits)
        self.doing: dict[str, str] = {}  # what is under way, by model: survey, load or stop
        self.ready: dict[str, int] = {}  # by model: how many had arrived when it became ready
        self.waiting: dict[Place, None] = {}
        self.running: dict[Place, None] = {}
        self.recovering: set[Place] = set()
        self.pinned: set[str] = set()
        self.arrivals = 0
        self.loads: Counter[str] = Counter()
        self.stops: list[Stop] = []
        self.refused: dict[Place, ServerError] = {}
        self.served: list[Place] = []

    # -- what happens in the world --------------------------------------------------------------------------------

    def arrive(self, model: str, client: str = "", *, turn: bool = True, continues: bool = False) -> Place:
        place = self.scheduler.arrive(model, client, self.now, turn=turn, continues=continues)
        self.arrivals += 1
        self.waiting[place] = None
        self.step()
        return place

    def leave(self, place: Place) -> None:
        self.waiting.pop(place, None)
        self.running.pop(place, None)
        self.recovering.discard(place)
        self.scheduler.leave(place, self.now)
        self.step()

    def finish(self, model: str) -> None:
        """What is under way for the model comes to its end."""
        match self.doing.pop(model):
            case "survey":
                self.scheduler.surveyed(model, self.sizes[model] * GB, self.slots)
            case "load":
                self.ready[model] = self.arrivals
                self.scheduler.loaded(model, self.now)
            case "stop":
                self.scheduler.stopped(model)
        self.step()

    def fail(self, model: str, error: ServerError) -> None:
        """What is under way for the model fails; a stop cannot."""
        del self.doing[model]
        self.perform(self.scheduler.failed(model, error, self.now))
        self.step()

    def crash(self, model: str) -> None:
        del self.ready[model]
        self.scheduler.crashed(model, "was killed by SIGSEGV", self.now)
        self.step()

    def recover(self, place: Place) -> None:
        self.recovering.add(place)
        self.scheduler.recover(place)
        self.step()

    def pin(self, model: str, pinned: bool) -> None:
        self.scheduler.pin(model, pinned)
        (self.pinned.add if pinned else self.pinned.discard)(model)
        self.step()

    def unload(self, model: str) -> None:
        self.scheduler.unload(model, "on request")
        self.step()

    def step(self) -> None:
        self.perform(self.scheduler.step(self.now))

    def settle(self, seconds: float = 0.0) -> None:
        """Let time pass, and everything that is under way come to its end."""
        self.now += seconds
        self.step()
        while self.doing:
            self.finish(next(iter(self.doing)))

    # -- what is decided ------------------------------------------------------------------------------------------

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Survey):
                assert action.model not in self.doing
                assert action.model not in self.ready
                self.doing[action.model] = "survey"
            elif isinstance(action, Load):
                self._load(action)
            elif isinstance(action, Stop):
                self._stop(action)
            else:
                self._tell(action)
        self.check()

    def _load(self, action: Load) -> None:
        assert action.model not in self.doing
        assert action.model not in self.ready
        self.doing[action.model] = "load"
        self.loads[action.model] += 1
        assert not action.warning

    def _stop(self, action: Stop) -> None:
        model = action.model
        assert not any(place.model == model for place in self.running), "a busy engine was stopped"
        assert model in self.ready or self.doing.get(model) == "load"
        if action.why != "on request":
            assert model not in self.pinned, "a pinned engine was stopped"
            closed = self.scheduler.state(model).leaving
            line = [place for place in self.waiting if place.model == model and closed is None]
            assert all(place.number >= self.ready[model] for place in line), "it went before it had served its line"
        self.ready.pop(model, None)
        self.doing[model] = "stop"
        self.stops.append(action)

    def _tell(self, action: Admit | Resume | Refuse) -> None:
        place = action.place
        if isinstance(action, Refuse):
            assert place in self.waiting or place in self.recovering
            self.waiting.pop(place, None)
            self.recovering.discard(place)
            self.refused[place] = action.error
            return
        assert place.model in self.ready, "a place on an engine that is not there"
        if isinstance(action, Resume):
            assert place in self.running
            self.recovering.remove(place)
            return
        del self.waiting[place]
        self.served.append(place)
        if place.turn:
            self.running[place] = None

    def check(self) -> None:
        running = Counter(place.model for place in self.running)
        waiting = Counter(place.model for place in self.waiting if place.turn and not place.continues)
        assert all(count <= self.slots for count in running.values()), "more turns than slots"
        most = self.rules.queue_size + max(self.slots, self.rules.slots)
        assert all(count <= most for count in waiting.values()), "the queue has no bound"
        loaded = set(self.ready) | {model for model, what in self.doing.items() if what in ("load", "stop")}
        if self.limits.max_models is not None:
            assert len(loaded) <= self.limits.max_models, "too many models"
        if self.limits.budget is not None:
            assert sum(self.sizes[model] for model in loaded) * GB <= self.limits.budget, "over the budget"
