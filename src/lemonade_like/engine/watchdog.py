"""Tells a hung engine from one that is busy: a long prefill may take minutes, and must never be taken for a hang.

A hang is when an engine that has work gives no sign of life for so long. Signs of life are: anything that comes on a
stream; processor time that it or its children use; a slot whose numbers change; slots that all rest (then it is we who
do not read what it has written). An engine that is stopped, or whose threads wait for each other, gives none of these,
although the latter may still answer /health.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

#: Processor seconds that being looked at may cost an engine: what it uses beyond that is work.
_LOOK_COST: Final = 0.02


class Slots(Enum):
    """What /slots says, where that is not of a turn being worked on."""

    #: No turn is worked on.
    RESTING = "resting"
    #: There is no answer. The engine gives it between two steps only, and a step may be long.
    SILENT = "silent"
    #: The engine has no such endpoint.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Vitals:
    """What was seen of an engine at one moment.

    ``reads`` counts what has come on its streams since it was started; ``streams`` is how many are open. The rest need
    be looked for only where these show no life: whether /health was ``answered``, ``cpu_seconds`` of it and its
    children so far (``None`` if unknown), and its ``slots``: a text that changes while a turn is worked on.
    """

    reads: int
    streams: int
    answered: bool = False
    cpu_seconds: float | None = None
    slots: str | Slots = Slots.SILENT


class Watchdog:
    """Decides from what is seen of an engine, time and again, whether it hangs. Touches nothing.

    Between two looks no more than ``longest_gap`` seconds count: when the whole machine was asleep, or the server
    itself was stopped, that is not the engine's doing.
    """

    def __init__(self, timeout: float, *, longest_gap: float) -> None:
        self._timeout = timeout
        self._longest_gap = longest_gap
        #: What was seen when it last gave a sign of life.
        self._lived = Vitals(0, 0)
        self._looks = 0
        self._looked_at: float | None = None
        self._silence = 0.0

    def lives(self, reads: int, streams: int) -> bool:
        """Return whether this alone shows that nothing is wrong, so that nobody needs to look further."""
        return not streams or reads != self._lived.reads

    def is_hung(self, seen: Vitals, now: float) -> bool:
        """Take what is seen ``now``, in monotonic seconds; return whether there was no sign of life for the timeout."""
        gap = 0.0 if self._looked_at is None else min(now - self._looked_at, self._longest_gap)
        self._looked_at = now
        self._looks += 1
        if self._shows_life(seen):
            self._lived, self._looks, self._silence = seen, 0, 0.0
            return False
        if self._lived.cpu_seconds is None:
            # What it has used from here on counts.
            self._lived, self._looks = replace(self._lived, cpu_seconds=seen.cpu_seconds), 0
        self._silence += gap
        return self._silence >= self._timeout

    def _shows_life(self, seen: Vitals) -> bool:
        lived = self._lived
        if self.lives(seen.reads, seen.streams):
            return True
        if seen.cpu_seconds is None:
            if seen.answered:
                return True
        elif lived.cpu_seconds is not None:
            used = seen.cpu_seconds - lived.cpu_seconds
            # Less than before: a child of it has ended.
            if used < 0 or used > self._looks * _LOOK_COST:
                return True
        if isinstance(seen.slots, str):
            return seen.slots != lived.slots
        return seen.slots is Slots.RESTING or (seen.slots is Slots.UNKNOWN and seen.answered)
