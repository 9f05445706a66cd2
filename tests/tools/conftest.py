"""Real MCP servers: one process that speaks stdio, one that speaks HTTP."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.settings.tools import ToolServer
from lemonade_like.tools.toolbox import Toolbox, open_toolbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SERVER = Path(__file__).parents[1] / "support" / "mcp_server.py"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a Python that imports the SDK takes its time to answer."""
    monkeypatch.setattr("lemonade_like.tools.toolbox.LISTING_SECONDS", 60.0)


def stdio(folder: Path, **more: Any) -> ToolServer:
    """The test server as a process that writes its log into ``folder``."""
    return ToolServer(command=sys.executable, args=(str(SERVER),), env={"TOOL_LOG": str(folder)}, **more)


def log_of(folder: Path) -> list[str]:
    """What that process has done."""
    path = folder / "calls.log"
    return path.read_text().splitlines() if path.exists() else []


async def until_logged(folder: Path, line: str, times: int = 1) -> None:
    """Wait until it has done something so often."""
    while sum(each.startswith(line) for each in log_of(folder)) < times:
        await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(folder: Path, **servers: ToolServer) -> AsyncIterator[Toolbox]:
    """A toolbox with these servers, closed at the end."""
    toolbox = open_toolbox(servers, folder / "logs")
    try:
        yield toolbox
    finally:
        await toolbox.close()


@asynccontextmanager
async def http_process(port: int) -> AsyncIterator[subprocess.Popen[bytes]]:
    """The test server on a port, when it listens; killed at the end."""
    process = subprocess.Popen([sys.executable, str(SERVER), str(port)], stderr=subprocess.DEVNULL)  # noqa: ASYNC220 (it returns at once)
    try:
        while not _listens(port):
            assert process.poll() is None
            await asyncio.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port that nobody else is given meanwhile, for a server that has to be told one."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
