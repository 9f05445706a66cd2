"""All tools that may run here, whichever server has them."""

from __future__ import annotations

import asyncio
import difflib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from lemonade_like.tools.catalogue import Tool, find, offered_names
from lemonade_like.tools.errors import ToolNotFound, ToolServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from lemonade_like.errors import ServerError
    from lemonade_like.settings.tools import ToolServer
    from lemonade_like.tools.results import ToolOutcome

_logger = logging.getLogger("lemonade_like.tools")

#: Whoever asks what there is does not wait for a server that takes long to start: it is told that it is connecting.
LISTING_SECONDS: Final = 10.0


class ToolConnection(Protocol):
    """A tool server; see ``lemonade_like.tools.connection.Connection``."""

    error: str | None

    @property
    def status(self) -> str:
        """How it stands with it: ``connected``, ``connecting``, ``failed`` or ``disabled``."""

    async def tools(self) -> tuple[Tool, ...]:
        """Return the tools that may run. Raises ``ToolServerUnavailable``."""

    async def call(self, tool: Tool, arguments: dict[str, Any]) -> ToolOutcome:
        """Run a tool. Raises ``ServerError``; cancelling this stops it."""

    def open(self) -> None:
        """Begin to connect."""

    async def close(self) -> None:
        """End the connection."""


@dataclass(frozen=True)
class ToolServerReport:
    """How it stands with a tool server; ``error`` is why it has no tools to offer."""

    label: str
    status: str
    error: str | None
    tools: tuple[Tool, ...]


class Toolbox:
    """The servers by their labels. A server that cannot be reached holds up nobody who does not ask for it."""

    def __init__(self, servers: Mapping[str, ToolConnection]) -> None:
        self._servers = servers

    @property
    def labels(self) -> list[str]:
        """The labels of all servers that the configuration names."""
        return list(self._servers)

    def open(self) -> None:
        """Begin to connect to all servers."""
        for server in self._servers.values():
            server.open()

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    async def report(self) -> list[ToolServerReport]:
        """Return what each server has to offer, or why it has nothing; never raises."""
        return list(await asyncio.gather(*(self._report(label) for label in self._servers)))

    async def tools_of(self, label: str) -> tuple[Tool, ...]:
        """Return the tools of one server.

        Raises:
            KeyError: the configuration names no server of that label.
            ToolServerUnavailable: it cannot be reached.
        """
        return await self._servers[label].tools()

    async def named(self, name: str) -> Tool:
        """Return the tool of that name: its own, or its server's label and its own (``LABEL__NAME``).

        Raises:
            ToolNotFound: there is none; the message has the nearest names.
            ToolServerUnavailable: there is none, but a server that may have it cannot be reached.
        """
        # A server that is away, or takes long to come, holds up none of the others' tools.
        there = [label for label, server in self._servers.items() if server.status == "connected"]
        for labels in (there, self._servers):
            reports = await asyncio.gather(*(self._report(label) for label in labels))
            names = offered_names([tool for report in reports for tool in report.tools])
            if (tool := find(names, name)) is not None:
                return tool
        raise _unknown(name, names, reports)

    async def call(self, tool: Tool, arguments: dict[str, Any]) -> ToolOutcome:
        """Check the arguments, and run the tool.

        Raises:
            InvalidArguments, ToolFailed, ToolTimeout, ToolServerUnavailable.
        """
        await tool.arguments.check(arguments)
        outcome = await self._servers[tool.label].call(tool, arguments)
        _logger.debug("the tool %s of %s took %.2f s", tool.name, tool.label, outcome.seconds)
        return outcome

    async def _report(self, label: str) -> ToolServerReport:
        server = self._servers[label]
        try:
            tools = await asyncio.wait_for(server.tools(), LISTING_SECONDS)
        except (ToolServerUnavailable, asyncio.TimeoutError) as error:
            said = error.message if isinstance(error, ToolServerUnavailable) else None
            return ToolServerReport(label, server.status, said, ())
        return ToolServerReport(label, server.status, None, tools)


def open_toolbox(servers: Mapping[str, ToolServer], log_dir: Path) -> Toolbox:
    """Return the toolbox of these servers, and begin to connect to them. To be called where an event loop runs."""
    if not servers:
        return Toolbox({})
    # MCP's SDK takes half a second and 25 MB, which is for those who use it.
    from lemonade_like.tools.connection import Connection  # noqa: PLC0415

    toolbox = Toolbox(
        {label: Connection(label, server, log_dir / f"tools-{label}.log") for label, server in servers.items()}
    )
    toolbox.open()
    return toolbox


def _unknown(name: str, names: Mapping[str, Tool], reports: Iterable[ToolServerReport]) -> ServerError:
    away = [report for report in reports if report.status in ("failed", "connecting")]
    if away:
        return ToolServerUnavailable(
            f"There is no tool called '{name}' now, but not all tool servers can be reached: "
            + " ".join(report.error or f"{report.label} is still connecting." for report in away)
        )
    like = difflib.get_close_matches(name, [*names, *(tool.word for tool in names.values())], n=3)
    near = [offered for offered, tool in names.items() if offered in like or tool.word in like]
    hint = f"Did you mean {' or '.join(near)}?" if near else "GET /v1/tools lists those that there are."
    return ToolNotFound(f"There is no tool called '{name}' here. {hint}", param="tool_name")
