"""Real processes are looked at: stopped ones are found, working ones are left alone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from lemonade_like.engine.client import EngineConnectionLost
from lemonade_like.engine.find import bundled_command
from lemonade_like.engine.process import EngineProcess
from lemonade_like.engine.vitals import look
from lemonade_like.engine.watchdog import Slots
from tests.engine.conftest import QUICK, StartFake, spec_for
from tests.support.fake_llama_server import frames_for, one_by_one
from tests.support.processes import wait_until_gone

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot stop a process with a signal")

HANGS = [*one_by_one(frames_for([(1, b"Hello")], final=False)), {"hang": True}]


async def _read_all(engine: EngineProcess) -> None:
    async for _ in engine.client.stream_completion({"prompt": [1]}):
        pass


async def test_a_real_engine_at_work_and_at_rest(smollm: Path, tmp_path: Path, session: aiohttp.ClientSession) -> None:
    spec = spec_for(smollm, bundled_command(), backend="bundled", ctx_size=4096, parallel=1, extra_args=QUICK)
    engine = await EngineProcess.start(spec, log_dir=tmp_path, session=session)
    at_rest = await look(engine.client, engine.pid)
    stream = engine.client.stream_completion({"prompt": [1], "n_predict": 4000, "ignore_eos": True})
    await anext(stream)
    first = second = await look(engine.client, engine.pid)
    while second.slots == first.slots:
        second = await look(engine.client, engine.pid)
    await stream.aclose()
    await engine.stop()

    assert (at_rest.streams, at_rest.answered, at_rest.slots) == (0, True, Slots.RESTING)
    assert first.streams == 1
    assert isinstance(first.slots, str)
    assert isinstance(second.slots, str)
    assert first.cpu_seconds is not None and second.cpu_seconds is not None
    assert first.cpu_seconds <= second.cpu_seconds
    assert engine.client.streams == 0


async def test_a_stopped_engine_is_killed_and_its_stream_ends(start_fake: StartFake) -> None:
    engine = await start_fake(HANGS, watchdog_timeout=0.5)
    stream = engine.client.stream_completion({})
    await anext(stream)
    os.kill(engine.pid, signal.SIGSTOP)
    with pytest.raises(EngineConnectionLost):
        async for _ in stream:
            pass
    assert await engine.wait() == -signal.SIGKILL
    assert engine.how_it_ended() == "gave no sign of life for 0.5 s and was killed"


async def test_an_engine_that_still_answers_but_whose_turn_is_stuck_is_killed(start_fake: StartFake) -> None:
    engine = await start_fake(HANGS, watchdog_timeout=1)
    with pytest.raises(EngineConnectionLost):
        await _read_all(engine)
    assert await engine.wait() == -signal.SIGKILL


async def test_an_engine_whose_slots_move_is_left_alone_although_it_sends_nothing_and_sleeps(
    start_fake: StartFake,
) -> None:
    engine = await start_fake(HANGS, watchdog_timeout=0.5, advances=True)
    stream = engine.client.stream_completion({})
    await anext(stream)
    await asyncio.sleep(2)  # four times as long as a hang
    assert engine.exit_code() is None
    await stream.aclose()


async def test_a_stopped_engine_that_has_nothing_to_do_is_left_alone(start_fake: StartFake) -> None:
    engine = await start_fake(one_by_one(frames_for([(1, b"Hello")])), watchdog_timeout=0.05)
    await _read_all(engine)
    os.kill(engine.pid, signal.SIGSTOP)
    await asyncio.sleep(0.5)  # ten times as long as a hang
    assert engine.exit_code() is None
    os.kill(engine.pid, signal.SIGCONT)
    await _read_all(engine)


async def test_the_watch_ends_with_the_engine(start_fake: StartFake) -> None:
    before = asyncio.all_tasks()
    engine = await start_fake(watchdog_timeout=60)
    await engine.stop()
    assert wait_until_gone(engine.pid)
    assert {task for task in asyncio.all_tasks() - before if not task.done() and "_watch" in repr(task)} == set()
