"""Which engines make room for a model: a pure decision from sizes, use, pins and limits.

Never a busy engine, never a pinned one; the least recently used goes first, and none goes that need not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Holding:
    """A model that holds memory. ``bytes`` is what it was estimated to take; ``idle`` is in seconds.

    ``busy`` counts the turns that run on it and those that it still has to take before it may go. One that is
    ``coming`` is promised its memory and has not taken it yet; one that is ``going`` gives its memory back soon.
    """

    name: str
    bytes: int
    state: Literal["coming", "ready", "going"] = "ready"
    busy: int = 0
    idle: float = 0.0
    pinned: bool = False


@dataclass(frozen=True)
class Limits:
    """``max_models`` is how many may be loaded, ``budget`` the bytes for all of them together, ``free`` the bytes of
    memory that nobody uses now; ``None`` is no limit. ``strict`` says whether a model that does not fit although
    nothing else is loaded is refused: an estimate may err, so it is tried where the user has set no budget."""

    max_models: int | None = None
    budget: int | None = None
    free: int | None = None
    strict: bool = False


@dataclass(frozen=True)
class Fits:
    """It can be loaded now. ``warning`` says so if the estimate is against it."""

    warning: str = ""


@dataclass(frozen=True)
class Eviction:
    """One engine that has to go, and why, in words."""

    name: str
    explanation: str


@dataclass(frozen=True)
class Evict:
    """These can go at once, in this order; when they are gone, it fits or waits for others."""

    victims: tuple[Eviction, ...]


@dataclass(frozen=True)
class Wait:
    """It fits when ``victims``, which are busy, are done and gone; there are none if what is going is enough."""

    victims: tuple[str, ...]
    explanation: str


@dataclass(frozen=True)
class Impossible:
    """It does not fit whatever goes. ``explanation`` says why, and what to do."""

    explanation: str


Decision = Fits | Evict | Wait | Impossible


def make_room(name: str, size: int, holdings: Sequence[Holding], limits: Limits) -> Decision:
    """Decide how the model ``name``, which needs ``size`` bytes, gets its place beside ``holdings``.

    The decision says nothing of when: the caller asks again when something has changed.
    """
    room = _Room(name, size, holdings, limits)
    if room.lacks(()) is None:
        return Fits()
    going = [holding for holding in holdings if holding.state == "going"]
    if room.lacks(going) is None:
        return Wait((), f"{name} waits until {_names(going)} {_is(going)} gone")
    movable = [holding for holding in holdings if holding.state != "going" and not holding.pinned]
    idle = [holding for holding in movable if holding.state == "ready" and not holding.busy]
    # The least recently used first; what is busy or still comes, only when all that idles is not enough.
    busy = sorted((holding for holding in movable if holding not in idle), key=lambda holding: holding.busy)
    chosen = _fewest(
        [*sorted(idle, key=lambda holding: -holding.idle), *busy], lambda some: room.lacks([*going, *some])
    )
    if chosen is None:
        lack = room.lacks([*going, *movable])
        pinned = [holding for holding in holdings if holding.pinned and holding.state != "going"]
        if limits.strict or pinned:
            return Impossible(f"{lack}. {_advice(limits, pinned)}")
        # Nothing is in the way but the estimate: as soon as all others are gone, the engine has the last word.
        if not going and not movable:
            return Fits(f"{lack}; it is tried all the same")
        chosen = movable
    now = [holding for holding in chosen if holding in idle]
    if now:
        return Evict(tuple(Eviction(each.name, room.explain(each)) for each in now))
    return Wait(
        tuple(holding.name for holding in chosen),
        f"{name} waits until {_names([*going, *chosen])} {_is([*going, *chosen])} done: {room.lacks(())}",
    )


class _Room:
    """How much there is if some go."""

    def __init__(self, name: str, size: int, holdings: Sequence[Holding], limits: Limits) -> None:
        self._name = name
        self._size = size
        self._holdings = holdings
        self._limits = limits

    def lacks(self, gone: Sequence[Holding]) -> str | None:
        """Return what the model lacks when ``gone`` are, in words, or ``None`` if nothing."""
        limits = self._limits
        left = len(self._holdings) - len(gone)
        if limits.max_models is not None and left >= limits.max_models:
            models = "one model" if limits.max_models == 1 else f"{limits.max_models} models"
            return f"at most {models} may be loaded"
        space = self.space(gone)
        if space is not None and self._size > space:
            return f"{self._name} needs {size_of(self._size)}, {size_of(max(0, space))} {self._kind(gone)}"
        return None

    def space(self, gone: Sequence[Holding] = ()) -> int | None:
        """Return the bytes there are for the model; ``None`` is without limit."""
        known = [space for space in (self._of_budget(gone), self._of_free(gone)) if space is not None]
        return min(known) if known else None

    def explain(self, victim: Holding) -> str:
        """Return why the victim goes: ``evicting B (9.1 GB, idle 312 s): A needs 11.8 GB, 3.2 GB free``."""
        return f"evicting {victim.name} ({size_of(victim.bytes)}, idle {victim.idle:.0f} s): {self.lacks(())}"

    def _of_budget(self, gone: Sequence[Holding]) -> int | None:
        if self._limits.budget is None:
            return None
        return self._limits.budget - sum(each.bytes for each in self._holdings) + sum(each.bytes for each in gone)

    def _of_free(self, gone: Sequence[Holding]) -> int | None:
        if self._limits.free is None:
            return None
        promised = sum(each.bytes for each in self._holdings if each.state == "coming")
        return self._limits.free - promised + sum(each.bytes for each in gone)

    def _kind(self, gone: Sequence[Holding]) -> str:
        budget, free = self._of_budget(gone), self._of_free(gone)
        if self._limits.strict and budget is not None and (free is None or budget <= free):
            return f"of the memory budget of {size_of(self._limits.budget or 0)} free"
        return "free"


def _fewest(order: Sequence[Holding], lacks: Callable[[Sequence[Holding]], str | None]) -> list[Holding] | None:
    """Return the first of ``order`` that are enough, without those that turn out not to be needed; ``None`` if all are
    not enough."""
    chosen: list[Holding] = []
    for holding in order:
        chosen.append(holding)
        if lacks(chosen) is None:
            break
    else:
        return None
    for holding in reversed(chosen[:-1]):
        without = [each for each in chosen if each is not holding]
        if lacks(without) is None:
            chosen = without
    return chosen


def size_of(size: int) -> str:
    """Return bytes as people read them: ``11.8 GB``, ``56 MB``."""
    return f"{size / 1e9:.1f} GB" if size >= 100_000_000 else f"{size / 1e6:.0f} MB"


def _names(holdings: Sequence[Holding]) -> str:
    return " and ".join(holding.name for holding in holdings)


def _is(holdings: Sequence[Holding]) -> str:
    return "is" if len(holdings) == 1 else "are"


def _advice(limits: Limits, pinned: Sequence[Holding]) -> str:
    ways = []
    if pinned:
        ways.append(f"unload {_names(pinned)}, which {_is(pinned)} pinned")
    if limits.strict:
        ways.append("give the server a larger --memory-budget")
    if limits.max_models is not None and pinned:
        ways.append("allow more with --max-loaded-models")
    ways.append("load it with a smaller ctx_size or choose a smaller quantisation")
    return f"Either {', or '.join(ways)}."
