from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

from lemonade_like.engine.backends.probe import Ram
from lemonade_like.engine.backends.report import Reporter
from lemonade_like.engine.backends.states import Engines
from tests.support.machines import GB, NVIDIA_QUERY, recorded


class Watched:
    """A machine that can be held while it is looked at; counts the looks."""

    def __init__(self, folder: Path) -> None:
        self.looks = 0
        self.now = 0.0
        self.free = 20 * GB
        self.go = threading.Event()
        self.go.set()
        self.gpus = ""
        probe = replace(recorded(folder), run=self.run, ram=lambda: Ram(32 * GB, self.free))
        engines = Engines(None, "auto", folder / "backends", environ={}, which=lambda *_, **__: None)
        self.reporter = Reporter(engines, folder, probe, clock=lambda: self.now)

    def run(self, command: object) -> str | None:
        if "--query-gpu" not in str(command):
            return None
        self.looks += 1
        self.go.wait()
        return self.gpus

    async def gpu_count(self) -> int:
        return len((await self.reporter.report()).machine.gpus)


async def test_many_who_ask_at_once_wait_for_one_look(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.gpus = NVIDIA_QUERY
    assert await asyncio.gather(*(watched.gpu_count() for _ in range(20))) == [2] * 20
    assert watched.looks == 1


async def test_a_look_holds_for_a_minute_and_then_nobody_waits_for_the_next(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    assert await watched.gpu_count() == 0
    watched.gpus = NVIDIA_QUERY
    watched.now = 59
    assert await watched.gpu_count() == 0
    assert watched.looks == 1

    watched.now = 61
    watched.go.clear()
    assert await watched.gpu_count() == 0
    assert await watched.gpu_count() == 0
    watched.go.set()
    while await watched.gpu_count() == 0:
        await asyncio.sleep(0.01)
    assert watched.looks == 2


async def test_free_memory_is_that_of_the_moment(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    assert (await watched.reporter.report()).ram.available == 20 * GB
    watched.free = 3 * GB
    assert (await watched.reporter.report()).ram.available == 3 * GB
    assert watched.looks == 1


async def test_one_who_gives_up_does_not_end_the_look_for_the_others(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.go.clear()
    impatient = asyncio.create_task(watched.gpu_count())
    patient = asyncio.create_task(watched.gpu_count())
    while not watched.looks:
        await asyncio.sleep(0.01)
    impatient.cancel()
    watched.go.set()
    assert await patient == 0


async def test_what_was_looked_at_before_an_install_is_forgotten(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.go.clear()
    before = asyncio.create_task(watched.gpu_count())
    while not watched.looks:
        await asyncio.sleep(0.01)
    watched.reporter.forget()
    after = asyncio.create_task(watched.gpu_count())
    while watched.looks < 2:
        await asyncio.sleep(0.01)
    watched.gpus = NVIDIA_QUERY
    watched.go.set()
    assert await asyncio.gather(before, after) == [2, 2]
    assert await watched.gpu_count() == 2
    assert watched.looks == 2

    watched.reporter.forget()
    assert await watched.gpu_count() == 2
    assert watched.looks == 3


async def test_the_disk_is_known_before_there_is_a_model_on_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.reporter._storage = tmp_path / "not" / "yet"
    storage = (await watched.reporter.report()).storage
    assert storage is not None
    assert storage.path == str(tmp_path / "not" / "yet")
    assert storage.total >= storage.free > 0
