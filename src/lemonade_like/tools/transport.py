"""How an MCP server is reached: a process of ours, or HTTP. Imported only where the configuration names a server."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx2
import mcp_types
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mcp.client._transport import TransportStreams

    from lemonade_like.settings.tools import ToolServer

#: A call may take as long as its server is given; what is bounded here is the way there.
_HTTP_SECONDS: Final = 30.0


@asynccontextmanager
async def connect(
    server: ToolServer, log: Path, *, on_lost: Callable[[], None], on_change: Callable[[], None]
) -> AsyncIterator[Client]:
    """Open a connection. To be left by the task that has entered it.

    A process gets the SDK's few variables and those that the configuration gives it: nothing else of our environment,
    where keys are. What it writes to stderr goes to ``log``. ``on_lost`` is called when it ends by itself, and
    ``on_change`` when it says that it has other tools now.
    """

    async def notified(message: Any) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            on_change()

    async with AsyncExitStack() as stack:
        transport = _over_http(server) if server.command is None else _as_process(server, server.command, log, on_lost)
        client = Client(transport, message_handler=notified, cache=None)
        yield await stack.enter_async_context(client)


def _over_http(server: ToolServer) -> AbstractAsyncContextManager[TransportStreams]:
    @asynccontextmanager
    async def open_() -> AsyncGenerator[TransportStreams, None]:
        headers = {name: value.get_secret_value() for name, value in server.headers.items()}
        timeout = httpx2.Timeout(_HTTP_SECONDS, read=max(_HTTP_SECONDS, server.timeout))
        url = server.url.get_secret_value() if server.url is not None else ""
        async with (
            httpx2.AsyncClient(headers=headers, timeout=timeout) as http,
            streamable_http_client(url, http_client=http) as streams,
        ):
            yield streams

    return open_()


def _as_process(
    server: ToolServer, command: str, log: Path, on_lost: Callable[[], None]
) -> AbstractAsyncContextManager[TransportStreams]:
    @asynccontextmanager
    async def open_() -> AsyncGenerator[TransportStreams, None]:
        parameters = StdioServerParameters(
            command=command,
            args=list(server.args),
            env={name: value.get_secret_value() for name, value in server.env.items()},
            cwd=server.cwd,
        )
        _make_private(log)
        with log.open("w", encoding="utf-8") as stderr:
            async with stdio_client(parameters, stderr) as (read, write):
                yield _Watched(read, on_lost), write

    return open_()


def _make_private(log: Path) -> None:
    """Have only us read it: nobody knows what a process writes there."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch(0o600)
    log.chmod(0o600)


class _Watched:
    """A stream that says when it has ended: the SDK tells only the next call that its process is gone."""

    def __init__(self, stream: Any, on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._on_end = on_end

    @property
    def last_context(self) -> Any:
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Any:
        return await self._stream.receive()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> _Watched:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._on_end()
            raise

    async def __aenter__(self) -> _Watched:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> Any:
        return await self._stream.__aexit__(*raised)
