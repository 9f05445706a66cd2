"""An MCP server for tests, made with the official SDK: ``mcp_server.py`` speaks stdio, ``mcp_server.py PORT`` HTTP.

Its tools do what tests need: answer, fail, take long, crash, return much. ``calls.log`` in ``$TOOL_LOG`` has a line for
each thing that happened.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ToolAnnotations

server = MCPServer("test", log_level="CRITICAL")


def _log(line: str) -> None:
    if folder := os.environ.get("TOOL_LOG"):
        with (Path(folder) / "calls.log").open("a") as file:
            file.write(f"{line}\n")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def get_weather(location: str) -> str:
    """Get the current weather in a city."""
    _log(f"get_weather {location}")
    return json.dumps({"temperature": 22, "condition": "sunny"})


@server.tool()
def get_time() -> str:
    """Get the current time."""
    raise ToolError("the clock has stopped")


@server.tool()
async def wait() -> str:
    """Wait for ever."""
    _log("wait began")
    try:
        await asyncio.Event().wait()
    finally:
        _log("wait was cancelled")
    return "never"


@server.tool()
def crash() -> str:
    """End the process."""
    os._exit(3)


@server.tool(structured_output=False)
def much(characters: int) -> str:
    """Return a long text."""
    return "x" * characters


@server.tool(structured_output=False)
def environment() -> str:
    """Return the names of the environment's variables."""
    return json.dumps(sorted(os.environ))


@server.tool(structured_output=False)
def large() -> CallToolResult:
    """Return a number that JSON has no room for."""
    return CallToolResult(content=[], structured_content={"number": 2**70})


@server.tool()
def count(numbers: list[int]) -> dict[str, int]:
    """Return structured content."""
    return {"sum": sum(numbers)}


if __name__ == "__main__":
    _log(f"started {os.getpid()}")
    if sys.argv[1:]:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")
