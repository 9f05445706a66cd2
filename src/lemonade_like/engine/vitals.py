"""Looks at an engine, time and again, for the watchdog to decide."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import orjson
import psutil

from lemonade_like.engine.client import PROBE_SECONDS
from lemonade_like.engine.watchdog import Slots, Vitals, Watchdog

if TYPE_CHECKING:
    from lemonade_like.engine.client import EngineClient

#: How often is looked within the timeout, and the seconds after which there is a look in any case.
_LOOKS: Final = 6
_LONGEST_INTERVAL: Final = 10.0


async def until_hung(client: EngineClient, pid: int, timeout: float) -> None:
    """Return when the engine has had work and given no sign of life for ``timeout`` seconds."""
    interval, patience = min(timeout / _LOOKS, _LONGEST_INTERVAL), min(timeout, PROBE_SECONDS)
    watchdog = Watchdog(timeout, longest_gap=2 * interval + patience)
    clock = asyncio.get_running_loop().time
    while True:
        await asyncio.sleep(interval)
        if watchdog.lives(client.reads, client.streams):
            seen = Vitals(client.reads, client.streams)
        else:
            seen = await look(client, pid, patience)
        if watchdog.is_hung(seen, clock()):
            return


async def look(client: EngineClient, pid: int, patience: float = PROBE_SECONDS) -> Vitals:
    """Return all that can be seen of the engine within ``patience`` seconds."""
    answered, slots, cpu_seconds = await asyncio.gather(
        client.health(patience), client.slots(patience), asyncio.to_thread(_cpu_seconds, pid)
    )
    return Vitals(client.reads, client.streams, answered, cpu_seconds, slot_state(slots))


def slot_state(answer: bytes | None) -> str | Slots:
    """Return what the answer of /slots says; ``None`` is no answer, and an empty one that there is no /slots."""
    if answer is None:
        return Slots.SILENT
    try:
        slots: Any = orjson.loads(answer)
        at_work = any(slot["is_processing"] for slot in slots)
    except (ValueError, TypeError, KeyError):
        return Slots.UNKNOWN
    return answer.decode() if at_work else Slots.RESTING


def _cpu_seconds(pid: int) -> float | None:
    """Return the processor time of the process and of all that it has started; blocking, some milliseconds."""
    try:
        engine = psutil.Process(pid)
        family = [engine, *engine.children(recursive=True)]
    except psutil.Error:
        return None
    used = 0.0
    for process in family:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            used += times.user + times.system
    return used
