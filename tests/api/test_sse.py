"""The stream's own rules, whatever its wire format: when headers go out, keep-alives, failures, disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from lemonade_like.api.sse import EventStream
from lemonade_like.errors import BadRequest, ServerError


class EchoWriter:
    def write(self, batch: bytes) -> bytes:
        return batch

    def keep_alive(self) -> bytes:
        return b": still here\n\n"

    def fail(self, error: ServerError) -> bytes:
        return f"failed: {error.message}".encode()

    def end(self) -> bytes:
        return b"end"


class Connection:
    """The two ends of an ASGI connection. ``sent`` says what arrived; ``arrived`` is set at each message."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.messages.append(message)
        self.arrived.set()

    async def until(self, body: bytes) -> None:
        while body not in self.body:
            self.arrived.clear()
            await self.arrived.wait()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def started(self) -> bool:
        return bool(self.messages)


async def play(*steps: bytes | BaseException | asyncio.Event) -> AsyncGenerator[bytes, None]:
    for step in steps:
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, asyncio.Event):
            await step.wait()
        else:
            yield step


async def run(connection: Connection, batches: AsyncGenerator[bytes, None], **options: Any) -> None:
    stream = EventStream(batches, EchoWriter(), **{"keep_alive_seconds": 60.0, **options})
    await stream({"type": "http", "state": {"request_id": "req_1"}}, connection.receive, connection.send)


async def test_each_batch_is_one_message_and_the_end_is_the_last() -> None:
    connection = Connection()
    await run(connection, play(b"one", b"two"))
    start, *bodies = connection.messages
    headers = dict(start["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-cache"
    assert headers[b"x-accel-buffering"] == b"no"
    assert b"content-length" not in headers
    assert [(body["body"], body["more_body"]) for body in bodies] == [(b"one", True), (b"two", True), (b"end", False)]


async def test_batches_that_say_nothing_do_not_open_the_stream() -> None:
    connection = Connection()
    with pytest.raises(BadRequest):
        await run(connection, play(b"", b"", BadRequest("no")))
    assert not connection.started


async def test_an_error_after_the_first_bytes_is_written_into_the_stream() -> None:
    connection = Connection()
    await run(connection, play(b"one", BadRequest("too late")))
    assert connection.body == b"onefailed: too late"
    assert connection.messages[-1]["more_body"] is False


async def test_an_unforeseen_error_in_the_stream_shows_the_request_id_and_no_internals() -> None:
    connection = Connection()
    await run(connection, play(b"one", ZeroDivisionError("secret")))
    assert b"req_1" in connection.body
    assert b"secret" not in connection.body


async def test_a_silent_stream_opens_with_a_comment() -> None:
    connection, go_on = Connection(), asyncio.Event()
    running = asyncio.create_task(run(connection, play(go_on, b"one"), keep_alive_seconds=0.01))
    await connection.until(b": still here\n\n")
    go_on.set()
    await running
    assert connection.messages[0]["type"] == "http.response.start"
    assert connection.body.endswith(b"oneend")


async def test_an_error_after_a_comment_is_written_into_the_stream() -> None:
    connection, go_on = Connection(), asyncio.Event()
    running = asyncio.create_task(run(connection, play(go_on, BadRequest("sorry")), keep_alive_seconds=0.01))
    await connection.until(b": still here\n\n")
    go_on.set()
    await running
    assert connection.body.endswith(b"failed: sorry")


@pytest.mark.parametrize("before", [b"", b"one"])
async def test_a_client_that_goes_away_closes_the_batches(before: bytes) -> None:
    connection, closed, waiting = Connection(), asyncio.Event(), asyncio.Event()

    async def batches() -> AsyncGenerator[bytes, None]:
        try:
            yield before
            waiting.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    running = asyncio.create_task(run(connection, batches()))
    await waiting.wait()
    connection.gone.set()
    await running
    assert closed.is_set()
    assert b"end" not in connection.body


async def test_a_client_that_does_not_read_and_goes_away_closes_the_batches() -> None:
    connection, closed, stuck = Connection(), asyncio.Event(), asyncio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            stuck.set()
            await asyncio.Event().wait()

    async def batches() -> AsyncGenerator[bytes, None]:
        try:
            yield b"one"
            yield b"two"
        finally:
            closed.set()

    stream = EventStream(batches(), EchoWriter(), keep_alive_seconds=60.0)
    running = asyncio.create_task(stream({"type": "http"}, connection.receive, send))
    await stuck.wait()
    connection.gone.set()
    await running
    assert closed.is_set()


@pytest.mark.parametrize("last", [b"two", BadRequest("no")])
async def test_the_end_of_the_turn_is_told_however_it_came(last: bytes | BadRequest) -> None:
    ended: list[bool] = []
    await run(Connection(), play(b"one", last), on_end=lambda: ended.append(True))
    assert ended == [True]


async def test_a_stream_that_the_server_cancels_ends_with_an_error() -> None:
    connection = Connection()
    running = asyncio.create_task(run(connection, play(b"one", asyncio.Event())))
    await connection.until(b"one")
    running.cancel()
    await running
    assert b"failed: The server shut down" in connection.body
    assert connection.messages[-1]["more_body"] is False
