"""Tool servers without a server: they have the tools, and do what a test says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lemonade_like.tools.catalogue import Tool
from lemonade_like.tools.errors import ToolServerUnavailable
from lemonade_like.tools.results import ToolOutcome
from lemonade_like.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CITY: dict[str, Any] = {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}


def tool(label: str, name: str, *, read_only: bool = False) -> Tool:
    """A tool that takes a location."""
    return Tool(label, name, f"The tool {name}.", CITY, read_only)


class FakeConnection:
    """Answers each call with what ``act`` returns; remembers what it was called with. One that is ``away`` has no
    tools."""

    def __init__(
        self,
        *tools: Tool,
        act: Callable[[Tool, dict[str, Any]], Awaitable[str]] | None = None,
        away: bool = False,
    ) -> None:
        self.error = "The tool server is away." if away else None
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._tools = tools
        self._act = act

    @property
    def status(self) -> str:
        return "failed" if self.error else "connected"

    async def tools(self) -> tuple[Tool, ...]:
        if self.error:
            raise ToolServerUnavailable(self.error)
        return self._tools

    async def call(self, tool: Tool, arguments: dict[str, Any]) -> ToolOutcome:
        self.calls.append((tool.name, arguments))
        text = "sunny" if self._act is None else await self._act(tool, arguments)
        return ToolOutcome(text, [{"type": "text", "text": text}], None, 0.0)

    def open(self) -> None:
        raise AssertionError("nobody opens it")

    async def close(self) -> None:
        raise AssertionError("nobody closes it")


def toolbox(**servers: FakeConnection) -> Toolbox:
    """A toolbox with these servers."""
    return Toolbox(servers)
