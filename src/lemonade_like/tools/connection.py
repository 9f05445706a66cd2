"""One MCP server: opened when it is needed, kept, and opened again when it was lost.

A connection's cancel scopes have to be left by the task that has entered them, so each has a task of its own, which
opens it, waits until it is lost or no longer wanted, and closes it. Calls are made by whoever wants them, side by side.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson
from mcp import MCPError
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST

from lemonade_like.tools.catalogue import Tool
from lemonade_like.tools.errors import ToolFailed, ToolServerUnavailable, ToolTimeout
from lemonade_like.tools.results import ToolOutcome, text_of
from lemonade_like.tools.transport import connect

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from mcp import Client

    from lemonade_like.settings.tools import ToolServer

_logger = logging.getLogger("lemonade_like.tools")

Status = Literal["connected", "connecting", "failed", "disabled"]

#: Servers that are downloaded when they are started (npx, uvx) take long the first time.
CONNECT_SECONDS: Final = 60.0
#: A server that tells of its changes is asked at once; others may have changed all the same.
_LISTING_SECONDS: Final = 60.0
#: How long a server that could not be reached is left alone, the first time and at most.
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
#: More pages than any server has; one that never ends must not be followed for ever.
_MOST_PAGES: Final = 100
#: The protocol asks for letters, digits and a few signs. What is no word, no client could send back.
_NAME: Final = re.compile(r"\S{1,128}")
_LONGEST_MESSAGE: Final = 500
#: How long a connection may take to close before it is broken off. The SDK ends a process that does not end by itself,
#: and takes 7 s at most for that: to break it off before would leave the process.
_CLOSE_SECONDS: Final = 8.0
_URL: Final = re.compile(r"\bhttps?://[^\s'\"<>]+", re.IGNORECASE)
_LATE: Final = f"did not answer in {CONNECT_SECONDS:g} seconds"


@dataclass
class _Live:
    """An open connection. ``gone`` is set when it is lost or not wanted any more."""

    client: Client
    gone: asyncio.Event
    tools: tuple[Tool, ...] = ()
    listed_at: float = field(default_factory=monotonic)


class Connection:
    """The server that the configuration calls ``label``. ``log`` is the file for what a process says on stderr."""

    def __init__(self, label: str, server: ToolServer, log: Path) -> None:
        self.label = label
        self.error: str | None = None
        self._server = server
        self._log = log
        self._opening: asyncio.Future[_Live] | None = None
        self._owners: set[asyncio.Task[None]] = set()
        self._stale = False
        self._closed = False
        #: Set when the connection that is being opened has taken too long.
        self._late = asyncio.Event()
        self._pause = _FIRST_PAUSE
        self._not_before = 0.0

    @property
    def status(self) -> Status:
        """How it stands with it."""
        if not self._server.enabled:
            return "disabled"
        opening = self._current()
        if opening is None:
            return "failed" if self.error else "connecting"
        return "connected" if opening.done() else "connecting"

    async def tools(self) -> tuple[Tool, ...]:
        """Return the tools that may run. Raises ``ToolServerUnavailable``."""
        for last in (False, True):
            live = await self._live()
            if not self._stale and monotonic() - live.listed_at < _LISTING_SECONDS:
                break
            self._stale = False
            try:
                live.tools = await asyncio.wait_for(self._listed(live.client, live.tools), self._server.timeout)
                live.listed_at = monotonic()
                break
            except Exception as error:  # also those of what the SDK is made of
                live.gone.set()
                if last:
                    raise self._unavailable(f"does not list its tools: {_said(error)}") from error
        return live.tools

    async def call(self, tool: Tool, arguments: dict[str, Any]) -> ToolOutcome:
        """Run a tool; cancelling this tells the server to stop.

        Raises:
            ToolFailed, ToolTimeout, ToolServerUnavailable.
        """
        live = await self._live()
        started = monotonic()
        try:
            result = await asyncio.wait_for(live.client.call_tool(tool.name, arguments), self._server.timeout)
        except asyncio.TimeoutError:
            raise ToolTimeout(
                f"The tool {tool.name} of {self.label} was stopped after {self._server.timeout:g} seconds. Its server "
                "may be given more in the configuration ('timeout')."
            ) from None
        except MCPError as error:
            if not self._is_lost(error):
                raise _failed(tool, error.message) from None
            live.gone.set()
            raise self._unavailable(f"went away while {tool.name} ran, which may be done, half done or not") from None
        except Exception as error:
            # The SDK holds results to the protocol and to the schema that the tool has for them.
            # What exactly was returned is the caller's, and not for the log.
            _logger.debug("the tool %s of %s returned something else (%s)", tool.name, self.label, type(error).__name__)
            raise _failed(tool, _said(error)) from error
        said = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        if not _is_writable(said):
            raise _failed(tool, "it returned what cannot be written as JSON")
        content, structured = said["content"], said.get("structuredContent")
        text = text_of(content, structured)
        if result.is_error:
            raise _failed(tool, text)
        return ToolOutcome(text, content, structured, monotonic() - started)

    def open(self) -> None:
        """Begin to connect, for whoever will need it."""
        if self._server.enabled and self._current() is None:
            self._begin()

    async def close(self) -> None:
        """Close the connection; a process that does not end by itself is ended."""
        self._closed = True
        opening = self._current()
        if opening is not None and opening.done():
            opening.result().gone.set()
        elif opening is not None and not self._late.is_set():
            # One that is given up already ends its process now, in which a second cancellation would disturb it.
            for owner in self._owners:
                owner.cancel()
        if not self._owners:
            return
        _, late = await asyncio.wait(self._owners, timeout=_CLOSE_SECONDS)
        for owner in late:
            _logger.warning("the tool server %s does not let go of its connection, which is broken off", self.label)
            owner.cancel()
        if late:
            await asyncio.wait(late, timeout=1.0)

    def _current(self) -> asyncio.Future[_Live] | None:
        """What is being opened or is open."""
        opening = self._opening
        if opening is None or not opening.done():
            return opening
        if opening.exception() is not None or opening.result().gone.is_set():
            return None
        return opening

    async def _live(self) -> _Live:
        if not self._server.enabled:
            raise self._unavailable("is disabled in the configuration")
        opening = self._current()
        if opening is None:
            if self._closed:
                raise self._unavailable("is closed, because the server is to stop")
            if self.error is not None and monotonic() < self._not_before:
                raise self._unavailable(self.error)
            opening = self._begin()
        # Others wait for it too.
        return await asyncio.shield(opening)

    def _begin(self) -> asyncio.Future[_Live]:
        loop = asyncio.get_running_loop()
        self._opening = opening = loop.create_future()
        # Nobody may be waiting for it.
        opening.add_done_callback(lambda done: done.exception())
        owner = loop.create_task(self._own(opening))
        self._owners.add(owner)
        owner.add_done_callback(self._owners.discard)
        return opening

    async def _own(self, opening: asyncio.Future[_Live]) -> None:
        """Be the task of one connection, from its beginning to its end."""
        gone, late = asyncio.Event(), asyncio.Event()
        self._late = late
        timer = _cancel_after(CONNECT_SECONDS, late)
        error: BaseException | None = None
        try:
            async with connect(self._server, self._log, on_lost=gone.set, on_change=self._changed) as client:
                live = _Live(client, gone, await self._listed(client))
                timer.cancel()
                self.error, self._pause = None, _FIRST_PAUSE
                opening.set_result(live)
                _logger.info("connected to the tool server %s, which has %d tools", self.label, len(live.tools))
                await gone.wait()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as raised:  # also the cancellations of a scope in which the transport failed
            error = _innermost(raised)
        finally:
            timer.cancel()
            gone.set()
            if not opening.done():
                self._failed(opening, _LATE if late.is_set() else self._why(error))
            elif not self._closed:
                _logger.warning("the tool server %s is gone; the next call connects again", self.label)

    def _failed(self, opening: asyncio.Future[_Live], why: str) -> None:
        self.error = why
        self._not_before = monotonic() + self._pause
        self._pause = min(_LONGEST_PAUSE, 2 * self._pause)
        opening.set_exception(self._unavailable(why))
        if not self._closed:
            _logger.warning("the tool server %s %s", self.label, why)

    def _why(self, error: BaseException | None) -> str:
        """Why there is no connection, in words that go on after the server's name."""
        if error is None or isinstance(error, asyncio.CancelledError):
            return "was given up"
        if self._server.command is None:
            return f"cannot be reached: {_said(error)}"
        if isinstance(error, FileNotFoundError):
            return f"cannot be started: there is no command '{self._server.command}', or not the folder to run it in"
        if isinstance(error, MCPError):
            return f"does not speak MCP, or ended at once: {_said(error)}. What it said is in {self._log.name}"
        return f"cannot be started: {_said(error)}"

    def _is_lost(self, error: MCPError) -> bool:
        """Whether there is no connection any more; over HTTP, also whether the server does not know of it any more."""
        return error.code == CONNECTION_CLOSED or (self._server.command is None and error.code == INVALID_REQUEST)

    def _unavailable(self, why: str) -> ToolServerUnavailable:
        return ToolServerUnavailable(f"The tool server {self.label} {why}.")

    def _changed(self) -> None:
        self._stale = True

    async def _listed(self, client: Client, before: Collection[Tool] = ()) -> tuple[Tool, ...]:
        """Return the tools that may run; those that are as they were ``before`` stay the same, with their checks."""
        known = {tool.name: tool for tool in before}
        found: list[Tool] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor, cache_mode="refresh")
            found += [
                Tool(
                    self.label,
                    tool.name,
                    tool.description or "",
                    tool.input_schema,
                    bool(tool.annotations and tool.annotations.read_only_hint),
                )
                for tool in page.tools
                if _NAME.fullmatch(tool.name) and _is_writable(tool.input_schema)
            ]
            cursor = page.next_cursor
            if cursor is None:
                break
        found = [known[tool.name] if known.get(tool.name) == tool else tool for tool in found]
        allowed = self._server.tools
        if allowed is None:
            return tuple(found)
        if missing := set(allowed) - {tool.name for tool in found}:
            _logger.warning("the tool server %s has no %s, which the configuration names", self.label, sorted(missing))
        return tuple(tool for tool in found if tool.name in allowed)


def _cancel_after(seconds: float, late: asyncio.Event) -> asyncio.TimerHandle:
    task = asyncio.current_task()

    def give_up() -> None:
        late.set()
        if task is not None:
            task.cancel()

    return asyncio.get_running_loop().call_later(seconds, give_up)


def _is_writable(value: Any) -> bool:
    """Whether it has no numbers of more than 64 bits, nor anything else that JSON is not written with here."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def _failed(tool: Tool, text: str) -> ToolFailed:
    return ToolFailed(f"The tool {tool.name} of {tool.label} failed: {text[:_LONGEST_MESSAGE]}", text)


def _innermost(error: BaseException) -> BaseException:
    """The first of the errors that a group of tasks has gathered."""
    while inner := getattr(error, "exceptions", None):
        error = inner[0]
    return error


def _said(error: BaseException) -> str:
    """What an error says. Anybody may read it, and a server's URL may have a key in it."""
    text = _URL.sub("its URL", str(error).strip()) or type(error).__name__
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"
