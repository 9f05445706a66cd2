"""How much of a body is taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from lemonade_like.api.body import MAX_BODY_BYTES, read_json_object
from lemonade_like.api.errors import install_error_handlers
from tests.support.server import serving
from tests.support.turns import scripted_app


async def _pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size):
        yield b" "


def _small_app() -> FastAPI:
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/")
    async def length(request: Request) -> int:
        return len(await read_json_object(request, limit=100))

    return app


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_refused(announced: bool) -> None:
    transport = httpx.ASGITransport(_small_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        answer = await client.post("/", content=b" " * 101 if announced else _pieces(101))
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"
    assert "100 bytes" in answer.json()["error"]["message"]


async def test_a_body_at_the_limit_is_taken() -> None:
    transport = httpx.ASGITransport(_small_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        assert (await client.post("/", content=b'{"a":1}'.ljust(100))).status_code == 200


async def test_a_refusal_does_not_wait_for_the_body() -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"
    async with serving(scripted_app()) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.encode() + b"{")
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()
        await writer.wait_closed()
