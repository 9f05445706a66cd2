"""Server-sent events: a turn's batches, written out as they come."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from fastapi import Response
from starlette.requests import ClientDisconnect

from lemonade_like.api.connection import while_connected
from lemonade_like.api.errors import shutting_down, unexpected
from lemonade_like.api.services import note
from lemonade_like.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.types import Receive, Scope, Send

logger: Final = logging.getLogger(__name__)

_LAST_WORDS_SECONDS: Final = 1.0

_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

BatchT_contra = TypeVar("BatchT_contra", contravariant=True)
BatchT = TypeVar("BatchT")


class StreamWriter(Protocol[BatchT_contra]):
    """What a wire format knows: how its stream is spelt."""

    def write(self, batch: BatchT_contra) -> bytes:
        """Return the bytes of a batch; none, if it says nothing that the wire format has a word for."""

    def keep_alive(self) -> bytes:
        """Return a comment that says what is being waited for."""

    def fail(self, error: ServerError) -> bytes:
        """Return the bytes that end a stream which has failed."""

    def end(self) -> bytes:
        """Return the bytes that end a stream which has not."""


class EventStream(Response, Generic[BatchT]):
    """Writes each batch in one piece, as soon as it is there.

    The headers wait for the first bytes, so that what goes wrong before them has its own status; but not longer than
    ``keep_alive_seconds``, after which the stream opens with a comment, as it goes on with one whenever it was silent
    for so long. When the client goes away, ``batches`` is closed at once. ``on_end`` is called when the turn is over,
    however it ended. (Starlette's StreamingResponse has more layers between a batch and the socket.)
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        batches: AsyncGenerator[BatchT, None],
        writer: StreamWriter[BatchT],
        *,
        keep_alive_seconds: float,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(headers=_HEADERS)
        # A stream has no length that could be known beforehand.
        del self.headers["content-length"]
        self._batches = batches
        self._writer = writer
        self._on_end = on_end
        self._keep_alive_seconds = keep_alive_seconds
        self._started = False
        self._opened = False
        self._ended = False
        self._last_write = 0.0
        self._opening = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the turn ends or the client goes away."""
        try:
            await while_connected(receive, self._stream(scope, send))
        except ClientDisconnect:
            note(scope, client_left=True)
        except asyncio.CancelledError:
            # The server stops, and the turn has ended. Whoever reads is told; whoever does not is not waited for.
            if not self._started or self._ended:
                raise
            last = self._writer.fail(shutting_down())
            await asyncio.wait_for(self._send(send, last, more=False), _LAST_WORDS_SECONDS)

    async def _stream(self, scope: Scope, send: Send) -> None:
        self._clock = asyncio.get_running_loop().time
        self._last_write = self._clock()
        keeping_alive = asyncio.create_task(self._keep_alive(send))
        try:
            last = await self._write_batches(scope, send)
        finally:
            keeping_alive.cancel()
            await self._batches.aclose()
            if self._on_end is not None:
                self._on_end()
        await self._send(send, last, more=False)

    async def _write_batches(self, scope: Scope, send: Send) -> bytes:
        """Write all batches, and return the bytes that end the stream."""
        write = self._writer.write
        try:
            async for batch in self._batches:
                if data := write(batch):
                    await self._send(send, data)
        except ServerError as error:
            if not self._started:
                raise
            if error.status >= 500:
                logger.error("The stream broke: %s", error.message)
            return self._writer.fail(error)
        except Exception:
            if not self._started:
                raise
            logger.exception("Unexpected error in a stream")
            return self._writer.fail(unexpected(scope))
        return self._writer.end()

    async def _send(self, send: Send, data: bytes, *, more: bool = True) -> None:
        if not self._opened:
            await self._open(send)
        self._ended = not more
        await send({"type": "http.response.body", "body": data, "more_body": more})
        self._last_write = self._clock()

    async def _open(self, send: Send) -> None:
        # A keep-alive comes from another task, which must not send the headers again, nor bytes before them.
        async with self._opening:
            if not self._started:
                self._started = True
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                self._opened = True

    async def _keep_alive(self, send: Send) -> None:
        clock = self._clock
        while True:
            await asyncio.sleep(self._last_write + self._keep_alive_seconds - clock())
            if clock() - self._last_write >= self._keep_alive_seconds:
                await self._send(send, self._writer.keep_alive())
