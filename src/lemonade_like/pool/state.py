"""What is known of one model, and of those who want it. Plain data: only the scheduler changes it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal

from lemonade_like.errors import EngineUnavailable
from lemonade_like.pool.queue import FairQueue

#: An engine that lived so long did not die of starting: the next crash is the first of a row.
HEALTHY_SECONDS: Final = 60.0
#: The first restart is at once, the second after a second, then twice as long each time, up to this.
LONGEST_BACK_OFF: Final = 60.0
#: How much the last turn counts in the usual length of a turn.
_NEWEST_TURN: Final = 0.2

#: Another model needs its memory or its place; nobody used it for long; somebody asked; it is to be loaded with other
#: options; its name means another model by now.
StopReason = Literal["evicted", "idle", "requested", "reloaded", "replaced"]

Stage = Literal["cold", "surveying", "wanted", "loading", "ready", "stopping"]


@dataclass(frozen=True, eq=False)
class Place:
    """One who wants a model: a turn that wants a slot, or else somebody who only wants the model loaded. ``continues``
    is a turn that goes on with an answer of which others were before."""

    number: int
    model: str
    client: str
    turn: bool
    since: float
    continues: bool = False


@dataclass(frozen=True)
class Leaving:
    """An engine that has to go because somebody asked: closed to those who came from number ``cutoff`` on."""

    cutoff: int
    why: str
    reason: StopReason


@dataclass
class ModelState:
    """What is known of one model. ``running`` are the turns with a slot, also while a dead engine is started again for
    them; ``recovering`` those of them that wait for it; ``calls`` those who only want it loaded. ``last_used``,
    ``ready_since`` and ``retry_at`` are on the owner's clock, ``ready_number`` is an arrival's. ``why`` says in words
    what a model that is wanted waits for, ``evicted`` what had to go for it."""

    name: str
    slots: int
    stage: Stage = "cold"
    bytes: int = 0
    pinned: bool = False
    queue: FairQueue[Place] = field(default_factory=FairQueue)
    running: dict[Place, float] = field(default_factory=dict)
    recovering: set[Place] = field(default_factory=set)
    calls: list[Place] = field(default_factory=list)
    leaving: Leaving | None = None
    last_used: float = 0.0
    since: float = 0.0
    ready_number: int = 0
    failures: int = 0
    failure: str = ""
    retry_at: float = 0.0
    turn_seconds: float | None = None
    why: str = ""
    evicted: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether its memory is kept for turns whose engine died."""
        return bool(self.running) and self.stage in ("cold", "surveying", "wanted")

    @property
    def asked_for(self) -> bool:
        """Whether somebody waits for it to be loaded."""
        return bool(self.queue) or bool(self.calls) or bool(self.recovering)

    def oldest(self) -> int:
        """Return the number of the first who waits for it to be loaded."""
        numbers = [place.number for place in (*self.calls, *self.recovering)]
        if (queued := self.queue.oldest()) is not None:
            numbers.append(queued)
        return min(numbers)

    def seconds_to_a_free_place(self) -> int:
        """Return after how many seconds the queue is likely to have moved."""
        return max(1, math.ceil((self.turn_seconds or 0.0) / self.slots))

    def turn_ended(self, seconds: float, now: float) -> None:
        """Take in that a turn gave its slot back, after so many seconds."""
        self.last_used = now
        usual = self.turn_seconds
        self.turn_seconds = seconds if usual is None else usual + _NEWEST_TURN * (seconds - usual)

    def count_failure(self, what: str, now: float) -> None:
        """Take in that its engine failed, and when it may be started again."""
        self.failures += 1
        self.failure = what
        self.retry_at = now + back_off(self.failures)

    def crash_loop(self, now: float) -> EngineUnavailable:
        """Return what a newcomer is told until it may be started again."""
        seconds = max(1, math.ceil(self.retry_at - now))
        error = EngineUnavailable(
            f"The engine of {self.name} failed {self.failures} times in a row and is started again in {seconds} s at "
            f"the earliest. The last time: {self.failure}"
        )
        error.retry_after = seconds
        return error


def back_off(failures: int) -> float:
    """Return the seconds before the next start, after so many failures in a row."""
    return 0.0 if failures <= 1 else min(LONGEST_BACK_OFF, 2.0 ** min(failures - 2, 10))
