"""How much memory there is, and how much of it an engine has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import psutil

#: Left to the system and everybody else where the user has set no budget.
_RESERVE: Final = 1_000_000_000


@dataclass(frozen=True)
class MachineMemory:
    """Bytes of the memory that engines can use: all of it, and what nobody uses now."""

    total: int
    free: int

    @property
    def budget(self) -> int:
        """What models may take together where the user has not said. Weights that are mapped into memory count as free
        to the system, so what is free cannot be all that is looked at."""
        return self.total - min(_RESERVE, self.total // 10)


#: Looks up the memory that engines of a backend have. Blocking; never raises.
MemoryOf = Callable[[str], MachineMemory]


def machine_memory(backend: str) -> MachineMemory:
    """Return the machine's main memory, for whatever backend."""
    memory = psutil.virtual_memory()
    return MachineMemory(memory.total, memory.available)


def resident_bytes(pid: int) -> int | None:
    """Return the main memory that a process and its children have; ``None`` if it has gone. Blocking."""
    try:
        process = psutil.Process(pid)
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
    except psutil.Error:
        return None
