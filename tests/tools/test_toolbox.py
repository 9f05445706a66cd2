"""Tools of real MCP servers: kept open, opened again, and never a danger to the server."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import stat
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import psutil
import pytest
from mcp_types import ListToolsResult
from mcp_types import Tool as McpTool

from lemonade_like.settings.tools import ToolServer
from lemonade_like.tools.connection import Connection
from lemonade_like.tools.errors import (
    InvalidArguments,
    ToolFailed,
    ToolNotFound,
    ToolServerUnavailable,
    ToolTimeout,
)
from lemonade_like.tools.toolbox import Toolbox, open_toolbox
from tests.support.toolboxes import FakeConnection, tool, toolbox
from tests.tools.conftest import SERVER, http_process, log_of, opened, stdio, until_logged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WEATHER = '{"temperature": 22, "condition": "sunny"}'


async def call(tools: Toolbox, name: str, **arguments: object) -> str:
    return (await tools.call(await tools.named(name), arguments)).text


async def test_one_process_is_kept_for_all_calls_and_ended_with_the_toolbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEMONADE_LIKE_API_KEY", "s3cret")
    monkeypatch.setenv("HF_TOKEN", "s3cret")
    async with opened(tmp_path, mine=stdio(tmp_path)) as tools:
        (report,) = await tools.report()
        weather = await call(tools, "get_weather", location="Tokyo")
        outcome = await tools.call(await tools.named("count"), {"numbers": [1, 2]})
        variables = json.loads(await call(tools, "mine__environment"))
        with pytest.raises(ToolFailed) as failed:
            await call(tools, "get_time")
        with pytest.raises(ToolFailed, match="cannot be written as JSON"):
            await call(tools, "large")
        with pytest.raises(InvalidArguments) as invalid:
            await call(tools, "get_weather", location=1)
        with pytest.raises(ToolNotFound, match="Did you mean get_weather"):
            await tools.named("get_wether")

    assert (report.status, report.error) == ("connected", None)
    assert {one.name: one.read_only for one in report.tools if one.name.startswith("get_")} == {
        "get_weather": True,
        "get_time": False,
    }
    assert weather == WEATHER
    assert outcome.structured == {"sum": 3}
    assert "the clock has stopped" in failed.value.text
    assert invalid.value.param == "arguments.location"
    # None of our own variables, and so none of our keys.
    assert "TOOL_LOG" in variables
    assert not [name for name in variables if name.startswith(("LEMONADE", "HF_"))]
    started, *done = log_of(tmp_path)
    assert done == ["get_weather Tokyo"]
    assert not psutil.pid_exists(int(started.split()[1]))


async def test_a_crash_is_told_to_the_call_that_hit_it_and_the_next_call_is_served_again(tmp_path: Path) -> None:
    connection = Connection("mine", stdio(tmp_path), tmp_path / "stderr")
    tools = Toolbox({"mine": connection})
    try:
        with pytest.raises(ToolServerUnavailable, match="went away while crash ran"):
            await call(tools, "crash")
        assert await call(tools, "get_weather", location="Oslo") == WEATHER

        # One that dies while nobody calls is not noticed by anybody.
        psutil.Process(int(log_of(tmp_path)[1].split()[1])).kill()
        while connection.status == "connected":
            await asyncio.sleep(0.01)
        assert await call(tools, "get_weather", location="Oslo") == WEATHER
    finally:
        await tools.close()

    assert sum(line.startswith("started") for line in log_of(tmp_path)) == 3


async def test_calls_run_side_by_side_and_one_that_is_given_up_is_stopped(tmp_path: Path) -> None:
    async with opened(tmp_path, mine=stdio(tmp_path)) as tools:
        waiting = asyncio.create_task(call(tools, "wait"))
        await until_logged(tmp_path, "wait began")
        assert await call(tools, "get_weather", location="Rome") == WEATHER
        waiting.cancel()
        await until_logged(tmp_path, "wait was cancelled")


async def test_a_tool_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    async with opened(tmp_path, mine=stdio(tmp_path, timeout=0.2)) as tools:
        # Connecting has a time of its own.
        with pytest.raises(ToolTimeout, match=r"stopped after 0\.2 seconds"):
            await call(tools, "wait")
        await until_logged(tmp_path, "wait was cancelled")


async def test_only_the_tools_that_the_configuration_names_are_there(tmp_path: Path) -> None:
    async with opened(
        tmp_path,
        mine=stdio(tmp_path, tools=("get_weather", "no_such_tool")),
        off=stdio(tmp_path, enabled=False),
    ) as tools:
        mine, off = await tools.report()
        with pytest.raises(ToolNotFound):
            await tools.named("crash")

    assert [one.name for one in mine.tools] == ["get_weather"]
    assert (off.status, off.tools) == ("disabled", ())
    assert off.error is not None and "disabled" in off.error


async def test_servers_that_cannot_be_reached_say_why_and_hold_up_nobody(tmp_path: Path, free_port: int) -> None:
    async with opened(
        tmp_path,
        none=ToolServer(command="no-such-command-here"),
        dead=ToolServer(command="false"),
        far=ToolServer(url=f"http://127.0.0.1:{free_port}/mcp", headers={"Authorization": "s3cret"}),
        mine=stdio(tmp_path),
    ) as tools:
        reports = {report.label: report for report in await tools.report()}
        assert await call(tools, "get_weather", location="Rome") == WEATHER
        with pytest.raises(ToolServerUnavailable, match="not all tool servers"):
            await tools.named("search")

    errors = {label: report.error or "" for label, report in reports.items()}
    assert [report.status for report in reports.values()] == ["failed", "failed", "failed", "connected"]
    assert "no command 'no-such-command-here'" in errors["none"]
    assert "ended at once" in errors["dead"]
    assert "cannot be reached" in errors["far"]
    assert "s3cret" not in str(errors)


async def test_a_server_that_speaks_http_is_reached_again_after_it_was_away(tmp_path: Path, free_port: int) -> None:
    async with opened(tmp_path) as nothing:
        assert await nothing.report() == []
    async with http_process(free_port) as process:
        far = ToolServer(url=f"http://127.0.0.1:{free_port}/mcp", headers={"X-Key": "1"})
        tools = open_toolbox({"far": far}, tmp_path)
        assert await call(tools, "get_weather", location="Rome") == WEATHER
        with pytest.raises(ToolFailed):
            await call(tools, "get_time")
        process.kill()
        process.wait()
        with pytest.raises(ToolServerUnavailable):
            await call(tools, "get_weather", location="Rome")
    async with http_process(free_port):
        while (await tools.report())[0].status != "connected":
            await asyncio.sleep(0.05)
        assert await call(tools, "get_weather", location="Rome") == WEATHER
        assert len(await call(tools, "much", characters=200_000)) == 200_000
        await tools.close()


async def test_closing_while_a_server_is_still_starting_leaves_no_process(tmp_path: Path) -> None:
    script = f"echo $$ > {tmp_path}/pid; exec sleep 1000"
    tools = open_toolbox({"slow": ToolServer(command="sh", args=("-c", script))}, tmp_path)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.01)
    await tools.close()

    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


async def test_only_we_may_read_what_a_process_has_said(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "tools-mine.log"
    log.parent.mkdir()
    log.touch(0o644)
    async with opened(tmp_path, mine=stdio(tmp_path)) as tools:
        await tools.report()
    assert os.name == "nt" or stat.S_IMODE(log.stat().st_mode) == 0o600


class Listing:
    """An open connection that lists what it is told to, and then ``error``."""

    def __init__(self) -> None:
        self.schemas: list[dict[str, Any]] = [{"type": "object"}, {"type": "object"}]
        self.error: Exception | None = None
        self.closing = asyncio.Event()
        self.closed = False

    async def list_tools(self, **_: Any) -> ListToolsResult:
        if self.error is not None:
            raise self.error
        return ListToolsResult(
            tools=[McpTool(name=name, input_schema=schema) for name, schema in zip("ab", self.schemas, strict=True)]
        )

    @asynccontextmanager
    async def connect(self, *_: Any, **__: Any) -> AsyncIterator[Listing]:
        try:
            yield self
            self.closing.set()
            await asyncio.Event().wait()
        finally:
            self.closed = True


@pytest.fixture
def listing(monkeypatch: pytest.MonkeyPatch) -> Listing:
    one = Listing()
    monkeypatch.setattr("lemonade_like.tools.connection.connect", one.connect)
    monkeypatch.setattr("lemonade_like.tools.connection._CLOSE_SECONDS", 0.05)
    return one


async def test_a_tool_that_is_listed_again_as_it_was_keeps_its_check(tmp_path: Path, listing: Listing) -> None:
    connection = Connection("mine", stdio(tmp_path), tmp_path / "stderr")
    first = await connection.tools()
    listing.schemas[1] = {"type": "object", "required": ["x"]}
    connection._changed()
    second = await connection.tools()
    await connection.close()

    assert second[0].arguments is first[0].arguments
    assert second[1] != first[1]


@pytest.mark.parametrize("error", [ValueError("no page"), anyio.ClosedResourceError()])
async def test_whatever_goes_wrong_with_a_listing_is_told_as_the_servers_fault(
    tmp_path: Path, listing: Listing, error: Exception
) -> None:
    connection = Connection("mine", stdio(tmp_path), tmp_path / "stderr")
    await connection.tools()
    listing.error = error
    connection._changed()
    (report,) = await Toolbox({"mine": connection}).report()
    await connection.close()
    assert report.error is not None


async def test_a_connection_that_does_not_close_is_broken_off(tmp_path: Path, listing: Listing) -> None:
    connection = Connection("mine", stdio(tmp_path), tmp_path / "stderr")
    await connection.tools()
    await asyncio.wait_for(connection.close(), 10)
    assert listing.closing.is_set()
    assert listing.closed


async def test_a_process_that_does_not_want_to_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp.client.stdio.PROCESS_TERMINATION_TIMEOUT", 0.1)
    monkeypatch.setattr("mcp.client.stdio.FORCE_KILL_TIMEOUT", 0.1)
    script = (
        f"trap '' TERM; echo $$ > {shlex.quote(str(tmp_path / 'pid'))}; {shlex.join([sys.executable, str(SERVER)])}; "
        "while :; do sleep 1; done"
    )
    server = ToolServer(command="sh", args=("-c", script), env={"TOOL_LOG": str(tmp_path)})
    async with opened(tmp_path, stubborn=server) as tools:
        assert await call(tools, "get_weather", location="Rome") == WEATHER
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


async def test_a_process_that_is_given_up_while_the_server_stops_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lemonade_like.tools.connection.CONNECT_SECONDS", 0.5)
    pid = tmp_path / "pid"
    script = f"trap '' TERM; echo $$ > {shlex.quote(str(pid))}; while :; do sleep 1; done"
    async with opened(tmp_path, mute=ToolServer(command="sh", args=("-c", script))) as tools:
        tools.open()
        mute = tools._servers["mute"]
        while not mute._late.is_set():
            await asyncio.sleep(0.01)
    assert not psutil.pid_exists(int(pid.read_text()))


async def test_a_name_that_two_servers_have_is_asked_for_with_the_server() -> None:
    tools = toolbox(one=FakeConnection(tool("one", "read")), two=FakeConnection(tool("two", "read")))

    assert (await tools.named("two__read")).label == "two"
    with pytest.raises(ToolNotFound, match="one__read"):
        await tools.named("read")
