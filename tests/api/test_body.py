"""How much of a body is taken."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request

from lemonade_like.api.body import MAX_DEPTH, MAX_OBJECTS, read_json_object
from lemonade_like.api.errors import install_error_handlers
from lemonade_like.api.limits import BodyLimits
from lemonade_like.app import create_app
from lemonade_like.settings import Settings
from tests.support.server import serving
from tests.support.turns import client_of, scripted_app, scripted_services


async def _pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size):
        yield b" "


def _small_app(limit: int = 100) -> FastAPI:
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/")
    async def length(request: Request) -> int:
        return len(await read_json_object(request, BodyLimits(max_bytes=limit, max_messages=2)))

    return app


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_refused(announced: bool) -> None:
    transport = httpx.ASGITransport(_small_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        answer = await client.post("/", content=b" " * 101 if announced else _pieces(101))
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"
    assert "100 bytes" in answer.json()["error"]["message"]


async def test_a_compressed_body_is_called_that() -> None:
    transport = httpx.ASGITransport(_small_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        answer = await client.post("/", content=gzip.compress(b'{"a":1}'), headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert "compressed ('gzip'): send it as it is" in answer.json()["error"]["message"]


async def test_a_body_at_the_limit_is_taken() -> None:
    transport = httpx.ASGITransport(_small_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        assert (await client.post("/", content=b'{"a":1}'.ljust(100))).status_code == 200


async def test_a_refusal_does_not_wait_for_the_body() -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {BodyLimits().max_bytes + 1}\r\n\r\n"
    async with serving(scripted_app()) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.encode() + b"{")
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")])
async def test_a_body_that_is_nested_too_deeply_is_refused(opening: str, closing: str) -> None:
    statuses = {}
    transport = httpx.ASGITransport(_small_app(10_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        for levels in (MAX_DEPTH - 1, MAX_DEPTH, 500):
            body = '{"x":' + opening * levels + "1" + closing * levels + "}"
            answer = await client.post("/", content=body)
            statuses[levels] = answer.status_code
    assert statuses == {MAX_DEPTH - 1: 200, MAX_DEPTH: 400, 500: 400}
    assert answer.json()["error"]["code"] == "invalid_json"
    assert f"{MAX_DEPTH} levels" in answer.json()["error"]["message"]


async def test_a_body_of_too_many_parts_is_refused() -> None:
    transport = httpx.ASGITransport(_small_app(10_000_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        fits = await client.post("/", json={"x": [[]] * (MAX_OBJECTS - 3), "y": [1] * 100_000})
        flat = await client.post("/", json={"x": [[]] * MAX_OBJECTS})
        deep = await client.post("/", json={"x": [[{}] * 10] * (MAX_OBJECTS // 10)})
    assert (fits.status_code, flat.status_code, deep.status_code) == (200, 400, 400)
    assert "20,000 objects and lists" in flat.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "field"), [("chat/completions", "messages"), ("messages", "messages"), ("responses", "input")]
)
async def test_too_many_messages_are_refused(path: str, field: str) -> None:
    services = scripted_services()
    services.limits = BodyLimits(max_messages=3)
    async with client_of(scripted_app(services)) as client:

        async def ask(count: int) -> httpx.Response:
            body = {"model": "tiny", "max_tokens": 9, field: [{"role": "user", "content": "Hi"}] * count}
            return await client.post(f"/v1/{path}", json=body)

        assert (await ask(3)).status_code == 200
        refused = await ask(4)
    assert refused.status_code == 400
    assert "more than 3 messages" in refused.json()["error"]["message"]


async def test_texts_and_tokens_in_an_input_are_no_messages() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(_small_app()), base_url="http://server") as client:
        answer = await client.post("/", json={"input": [1, 2, 3, "x"]})
    assert answer.status_code == 200


async def test_the_settings_bound_a_body(tmp_path: Path) -> None:
    settings = Settings(cache_dir=tmp_path, max_body_mb=1, max_messages=1)
    async with client_of(create_app(settings)) as client:
        large = await client.post("/v1/chat/completions", content=b" " * (1 << 20) + b"{}")
        many = await client.post("/v1/chat/completions", json={"messages": [{}, {}]})
    assert (large.status_code, large.json()["error"]["code"]) == (413, "request_too_large")
    assert (many.status_code, many.json()["error"]["param"]) == (400, "messages")
