"""The machine and its engines, looked at now and then and told at any time."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from lemonade_like.engine.backends.machine import detect_machine
from lemonade_like.engine.backends.memory import usable_ram
from lemonade_like.engine.backends.probe import Ram, guarded, this_machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lemonade_like.engine.backends.machine import Machine
    from lemonade_like.engine.backends.probe import Probe
    from lemonade_like.engine.backends.states import BackendState, Engines
    from lemonade_like.engine.find import FoundEngine

_logger = logging.getLogger("lemonade_like.engine")

#: How long what was detected holds. Drivers and engines come and go seldom, and asking them costs a second or more.
_FRESH_SECONDS: Final = 60.0


class Storage(NamedTuple):
    """The disk that models are on, in bytes."""

    path: str
    total: int
    free: int


@dataclass(frozen=True)
class SystemReport:
    """``ram`` and ``storage`` are of this moment, the rest is at most about a minute old."""

    machine: Machine
    states: tuple[BackendState, ...]
    used: FoundEngine | None
    ram: Ram
    storage: Storage | None


class _Looked(NamedTuple):
    machine: Machine
    states: tuple[BackendState, ...]
    used: FoundEngine | None


class Reporter:
    """Looks at the machine in a thread, one look at a time however many ask."""

    def __init__(
        self,
        engines: Engines,
        storage: Path,
        probe: Probe | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engines = engines
        self._storage = storage
        self._probe = probe or this_machine()
        self._clock = clock
        self._looked: _Looked | None = None
        self._looked_at = 0.0
        self._looking: asyncio.Task[_Looked] | None = None

    async def report(self) -> SystemReport:
        """Return what is known. Only the first to ask waits for a look; later ones get the last while the next runs."""
        looked = self._looked
        if looked is None or self._clock() - self._looked_at > _FRESH_SECONDS:
            self._looking = self._looking or asyncio.create_task(self._look())
            if looked is None:
                looked = await asyncio.shield(self._looking)
        moment = await asyncio.to_thread(self._moment)
        return SystemReport(looked.machine, looked.states, looked.used, *moment)

    def forget(self) -> None:
        """Look anew for the next to ask: something has been installed, and a look that runs may have missed it."""
        self._looked = None
        self._looking = None

    async def _look(self) -> _Looked:
        try:
            looked = await asyncio.to_thread(self._look_now)
            if self._looking is asyncio.current_task():
                self._looked, self._looked_at = looked, self._clock()
            return looked
        finally:
            if self._looking is asyncio.current_task():
                self._looking = None

    def _look_now(self) -> _Looked:
        machine = detect_machine(self._probe)
        try:
            return _Looked(machine, tuple(self._engines.states(machine)), self._engines.used(machine))
        except Exception:  # a folder of engines can be odd in ways that nobody has seen
            _logger.warning("the installed engines could not be looked at", exc_info=True)
            return _Looked(machine, (), None)

    def _moment(self) -> tuple[Ram, Storage | None]:
        return guarded(lambda: usable_ram(self._probe), Ram(0, 0)), _storage(self._storage)


def _storage(path: Path) -> Storage | None:
    # Before the first download the folder is not there, but its disk is.
    for folder in (path, *path.parents):
        try:
            usage = shutil.disk_usage(folder)
        except (OSError, ValueError):
            continue
        return Storage(str(path), usage.total, usage.free)
    return None
