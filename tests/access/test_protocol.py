"""How long a client may take over a request, and how much of it is kept meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from lemonade_like.access.door import MAX_HEAD_BYTES
from lemonade_like.access.protocol import BoundedHttpProtocol
from tests.support.server import serving
from tests.support.turns import ScriptedTurns, scripted_app, scripted_services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MESSAGES = b'{"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(MESSAGES)
GET = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"


class Impatient(BoundedHttpProtocol):
    head_seconds = 0.05
    body_seconds = 0.05


class Patient(BoundedHttpProtocol):
    head_seconds = 60.0
    body_seconds = 60.0


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(
    protocol: type[BoundedHttpProtocol], turns: ScriptedTurns | None = None
) -> AsyncIterator[Connection]:
    async with serving(scripted_app(scripted_services(turns)), http=protocol) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield reader, writer
        finally:
            writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
    return int(head.split()[1]), await reader.readexactly(length)


async def test_who_says_nothing_is_cut_off() -> None:
    async with connected(Impatient) as (reader, _):
        assert await reader.read() == b""


@pytest.mark.parametrize("begun", [b"G", b"GET /live HTTP/1.1\r\nHost: x\r\n", HEAD, HEAD + MESSAGES[:5]])
async def test_a_request_that_stops_half_way_is_given_up(begun: bytes) -> None:
    async with connected(Impatient) as (reader, writer):
        writer.write(begun)
        status, body = await answer(reader)
        assert (status, b"request_timeout" in body) == (408, True)
        assert await reader.read() == b""


async def test_so_is_the_next_one_on_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(Patient) as (reader, writer):
        writer.write(GET)
        assert (await answer(reader))[0] == 200
        monkeypatch.setattr(Patient, "head_seconds", Impatient.head_seconds)
        writer.write(b"GET /live")
        assert (await answer(reader))[0] == 408


async def test_an_answer_takes_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = asyncio.Event()
    turns = ScriptedTurns([slow, *ScriptedTurns().script])
    async with connected(Patient, turns) as (reader, writer):
        monkeypatch.setattr(Patient, "head_seconds", Impatient.head_seconds)
        monkeypatch.setattr(Patient, "body_seconds", Impatient.body_seconds)
        writer.write(HEAD + MESSAGES)
        await turns.waiting.wait()
        asyncio.get_running_loop().call_later(4 * Impatient.head_seconds, slow.set)
        assert (await answer(reader))[0] == 200
        writer.write(GET)
        assert (await answer(reader))[0] == 200


async def test_headers_without_end_are_not_kept() -> None:
    async with connected(Patient) as (reader, writer):
        writer.write(b"GET /live HTTP/1.1\r\nHost: x\r\nX: ")
        for _ in range(64):
            writer.write(b"x" * MAX_HEAD_BYTES)
            await asyncio.sleep(0)
        status, body = await answer(reader)
    assert (status, b"headers_too_large" in body) == (431, True)


async def test_requests_in_pieces_are_taken() -> None:
    async with connected(Patient) as (reader, writer):
        for _ in range(2):
            for byte in HEAD + MESSAGES:
                writer.write(bytes([byte]))
                await writer.drain()
            assert (await answer(reader))[0] == 200
        writer.write(GET * 3)
        assert [(await answer(reader))[0] for _ in range(3)] == [200] * 3
