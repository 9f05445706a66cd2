"""An answer that has begun is finished, whatever happens to the line while its tools run."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.errors import QueueFull, ShuttingDown
from lemonade_like.turns.events import Event, ServerToolResult
from lemonade_like.turns.request import ToolServerUse
from lemonade_like.turns.tool_loop import ToolLoop
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, one_by_one, write_scenario
from tests.support.rig import Rig, content, finish, rig
from tests.support.toolboxes import FakeConnection, tool, toolbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from lemonade_like.tools.catalogue import Tool
    from tests.support.written import Writer

CALL = (
    "<|channel|>analysis<|message|>I look.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather "
    '<|constrain|>json<|message|>{"location":"Tokyo"}<|call|>'
)
ANSWER = "<|channel|>final<|message|>It is sunny.<|return|>"


@dataclass
class Asked:
    """An answer in the making, whose tool runs until it is told to ``go``."""

    rooms: Rig
    answer: asyncio.Task[list[Event]]
    go: asyncio.Event

    async def is_whole(self) -> bool:
        events = await self.answer
        told = [event.text for event in events if isinstance(event, ServerToolResult)]
        return (told, content(events), finish(events).reason) == (["sunny"], "It is sunny.", "stop")


@asynccontextmanager
async def asked(folder: Path, vocabulary: Path, writer: Writer, **settings: Any) -> AsyncIterator[Asked]:
    """An answer whose tool runs now."""
    began, go = asyncio.Event(), asyncio.Event()

    async def act(_: Tool, __: dict[str, Any]) -> str:
        began.set()
        await go.wait()
        return "sunny"

    tools = toolbox(weather=FakeConnection(tool("weather", "get_weather"), act=act))
    model = write_scenario(
        folder / "gpt-oss-fake.gguf", *(one_by_one(writer.frames(written)) for written in (CALL, ANSWER))
    )
    async with rig(model, vocabulary, folder, llama_server=str(FAKE_LLAMA_SERVER), parallel=1, **settings) as rooms:
        loop = ToolLoop(rooms.turns, tools, answering=rooms.pool.answer)
        request = rooms.request(tool_servers=(ToolServerUse("weather"),))

        async def answer() -> list[Event]:
            return [event async for batch in loop.run(request) for event in batch]

        task = asyncio.create_task(answer())
        await began.wait()
        yield Asked(rooms, task, go)


async def test_a_drain_waits_for_the_tool_and_for_the_turn_behind_it(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    async with asked(tmp_path, vocabulary, writer) as one:
        drain = asyncio.create_task(one.rooms.pool.drain())
        while not one.rooms.pool.draining:
            await asyncio.sleep(0)
        with pytest.raises(ShuttingDown):
            await one.rooms.ask()
        assert not drain.done()
        one.go.set()
        assert await one.is_whole()
        await drain


async def test_a_drain_does_not_send_away_a_turn_that_continues_an_answer(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    async with asked(tmp_path, vocabulary, writer) as one:
        pool, model = one.rooms.pool, one.rooms.model
        async with pool.lease(model):
            one.go.set()
            while not (pool._scheduler.state(model).queue or one.answer.done()):
                await asyncio.sleep(0)
            drain = asyncio.create_task(pool.drain())
            while not pool.draining:
                await asyncio.sleep(0)
        assert await one.is_whole()
        await drain


async def test_a_full_line_does_not_cut_an_answer(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    async with asked(tmp_path, vocabulary, writer, queue_size=1) as one:
        pool, model = one.rooms.pool, one.rooms.model
        async with pool.lease(model), pool.ticket(model) as waits:
            with pytest.raises(QueueFull):
                await one.rooms.ask()
            one.go.set()
            while len(pool._scheduler.state(model).queue) < 2 and not one.answer.done():
                await asyncio.sleep(0)
            assert not waits.granted
        assert await one.is_whole()


async def test_an_answer_that_takes_longer_than_a_stop_may_keeps_what_it_has(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    async with asked(tmp_path, vocabulary, writer) as one:
        await one.rooms.pool.close()
        one.go.set()
        events = await one.answer
        assert [event.text for event in events if isinstance(event, ServerToolResult)] == ["sunny"]
        assert finish(events).reason == "length"
