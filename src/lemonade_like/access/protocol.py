"""uvicorn's HTTP protocol, with bounds on what a client may have kept for it before there is a request to refuse.

uvicorn itself keeps headers that never end, and waits for ever for those that never come.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lemonade_like.access.door import MAX_HEAD_BYTES

if TYPE_CHECKING:
    import asyncio

_logger: Final = logging.getLogger(__name__)


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection.

    A head that is not complete after ``MAX_HEAD_BYTES`` (beside what came in one read with its beginning) is answered
    with 431. One that is not complete in time is answered with 408, as is a body of which nothing comes for too long.
    The connection is closed with it.
    """

    #: For the whole head, from its first byte on (of a new connection: from the start).
    head_seconds: ClassVar[float] = 30.0
    #: Between two reads of a body.
    body_seconds: ClassVar[float] = 60.0
    #: After it was told why it is cut off, for a client to read that: what it sends meanwhile is thrown away. Closed at
    #: once, with something of it unread, the connection would be reset, and the answer lost.
    last_words_seconds: ClassVar[float] = 1.0

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._in_head = False
        self._in_body = False
        self._given_up = False
        #: Bytes of the head after the read that began it; ``None`` within that read.
        self._head_bytes: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, None
        self._stop_waiting()

    def on_headers_complete(self) -> None:
        """Begin a body; one of no bytes ends in the same read."""
        self._in_head, self._in_body = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request."""
        self._in_body = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Take what was read, and see to it that the rest comes."""
        if self._given_up:
            return
        super().data_received(data)
        if self.transport.is_closing():
            self._stop_waiting()
        elif self._in_head:
            if self._timer is None:
                self._wait(self.head_seconds)
            self._head_bytes = 0 if self._head_bytes is None else self._head_bytes + len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._give_up(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    "headers_too_large",
                    f"The request's headers may have {MAX_HEAD_BYTES:,} bytes, and have more.",
                )
        elif self._in_body:
            self._wait(self.body_seconds)
        else:
            self._stop_waiting()

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self._too_slow, seconds)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self, seconds: float) -> None:
        self._timer = None
        if self.flow.read_paused:  # it is us who do not read
            self._wait(seconds)
        elif self._in_head or self._in_body:
            self._give_up(
                HTTPStatus.REQUEST_TIMEOUT, "request_timeout", f"The rest of the request did not come in {seconds:g} s."
            )
        else:  # somebody has connected, and said nothing
            self.transport.close()

    def _give_up(self, status: HTTPStatus, code: str, message: str) -> None:
        _logger.debug("a connection is closed: %s", message)
        self._given_up = True
        self._stop_waiting()
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started:  # and into an answer nothing else can be written
                self.transport.close()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        said = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        body = json.dumps({"error": said}).encode()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = self.loop.call_later(self.last_words_seconds, self.transport.close)
