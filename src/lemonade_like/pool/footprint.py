"""How much memory a model will take, and how much there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import psutil

if TYPE_CHECKING:
    from pathlib import Path

    from lemonade_like.engine.spec import EngineSpec

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


class Footprint(Protocol):
    """Knows of memory; blocking, called in a thread."""

    def estimate(self, spec: EngineSpec) -> int:
        """Return the bytes that the engine of ``spec`` will take. Never raises."""

    def memory(self, backend: str) -> MachineMemory:
        """Return the memory that engines of ``backend`` have. Never raises."""


class FileFootprint:
    """Goes by the size of the file, and the machine's main memory."""

    def estimate(self, spec: EngineSpec) -> int:
        """Return the size of the weights, and of a context in proportion to them."""
        weights = _size(spec.model_path)
        return weights + weights // 100_000 * spec.ctx_size

    def memory(self, backend: str) -> MachineMemory:
        """Return what the system says, for whatever backend."""
        memory = psutil.virtual_memory()
        return MachineMemory(memory.total, memory.available)


def resident_bytes(pid: int) -> int | None:
    """Return the main memory that a process and its children have; ``None`` if it has gone. Blocking."""
    try:
        process = psutil.Process(pid)
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
    except psutil.Error:
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
