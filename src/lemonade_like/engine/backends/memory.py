"""How much memory there is and how much is free: of the machine, within what a container may use, and of its GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lemonade_like.engine.backends.gpus import gpus_with_memory
from lemonade_like.engine.backends.probe import Ram, guarded, this_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lemonade_like.engine.backends.gpus import Gpu
    from lemonade_like.engine.backends.probe import Probe

#: Backends that compute in the machine's own memory, with or without its GPU.
_IN_RAM = frozenset({"cpu", "bundled", "metal"})


@dataclass(frozen=True)
class MachineMemory:
    """Bytes. ``ram`` is what this process may use; ``vram`` is the GPUs' own, where they have some and say how much.

    A model that is mapped into memory counts as free RAM in part, because the system could read it from disk again:
    what the engines hold has to be kept account of apart from this.
    """

    ram_total: int
    ram_free: int
    vram_total: int
    vram_free: int

    def total_for(self, backend: str) -> int:
        """Return all the memory that engines of ``backend`` can use: what a GPU cannot hold, llama.cpp keeps in RAM."""
        return self.ram_total + (0 if backend in _IN_RAM else self.vram_total)

    def free_for(self, backend: str) -> int:
        """Return what is free of it."""
        return self.ram_free + (0 if backend in _IN_RAM else self.vram_free)


def free_and_total(probe: Probe | None = None) -> MachineMemory:
    """Return the memory of the machine; blocking (asks the GPU's driver), never raises."""
    here = probe or this_machine()
    ram = guarded(lambda: usable_ram(here), Ram(0, 0))
    return MachineMemory(ram.total, ram.available, *_sums(guarded(lambda: gpus_with_memory(here), [])))


def usable_ram(probe: Probe) -> Ram:
    """Return the RAM that this process may use: the machine's, or what its control groups leave of it."""
    ram = probe.ram()
    for limit, used in _limits(probe):
        if limit < ram.total:
            ram = Ram(limit, min(ram.available, max(0, limit - used)))
    return ram


def _sums(gpus: list[Gpu]) -> tuple[int, int]:
    total = sum(gpu.memory_total or 0 for gpu in gpus)
    free = sum((gpu.memory_total or 0) if gpu.memory_free is None else gpu.memory_free for gpu in gpus)
    return total, free


def _limits(probe: Probe) -> Iterator[tuple[int, int]]:
    """Yield limit and use of each control group that this process is in, inner ones first, in bytes.

    Each level counts: a container may sit in a group that is given less than the container. Caches that can be dropped
    are no use. Version 1 writes "no limit" as a number beyond any memory.
    """
    for line in (probe.read("proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            names = ("memory.max", "memory.current", "inactive_file")
            base = "sys/fs/cgroup"
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            base = "sys/fs/cgroup/memory"
        else:
            continue
        # In a container the path may be that of the host, and not be there: the root then is the container's own group.
        for group in (PurePosixPath(path), *PurePosixPath(path).parents):
            folder = f"{base}{group}".rstrip("/")
            limit = probe.number(f"{folder}/{names[0]}")
            used = probe.number(f"{folder}/{names[1]}")
            if limit is not None and used is not None:
                yield limit, max(0, used - _statistic(probe, f"{folder}/memory.stat", names[2]))


def _statistic(probe: Probe, path: str, name: str) -> int:
    for line in (probe.read(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdecimal():
            return int(value)
    return 0
