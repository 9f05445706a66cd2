"""What is turned away before its key is looked at."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from lemonade_like.access.addresses import Hosts
from lemonade_like.access.door import MAX_HEAD_BYTES, MAX_HEADERS, FrontDoor
from lemonade_like.access.origins import Origins
from lemonade_like.api.errors import error_response
from tests.support.turns import client_of, scripted_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE = "https://chat.example.com"
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}
METHODS = ("GET", "POST", "DELETE", "OPTIONS")


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@asynccontextmanager
async def reached_at(address: str, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server whose connections come in on that address, as uvicorn tells it."""
    app = scripted_app(**settings)

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"server": (address, 8000)}, receive, send)

    async with client_of(app), httpx.AsyncClient(transport=httpx.ASGITransport(listening)) as client:
        yield client


@pytest.mark.parametrize("method", METHODS)
async def test_a_name_that_is_not_ours_is_refused_whatever_is_asked(method: str) -> None:
    async with client_of(scripted_app()) as client:
        refused = await client.request(method, "/v1/models", headers={"Host": "evil.example:8000"})
    assert error_of(refused) == (403, "host_not_allowed")
    assert "--allowed-host" in refused.json()["error"]["message"]
    assert refused.headers["x-request-id"]


async def test_a_name_that_is_set_is_ours() -> None:
    for names in ("ai.example.com", ["other.example.com", "*.example.com"], "*"):
        async with client_of(scripted_app(allowed_hosts=names)) as client:
            assert (await client.get("/v1/models", headers={"Host": "ai.example.com"})).status_code == 200


async def test_no_host_is_no_other_host_and_two_are_refused() -> None:
    async with client_of(scripted_app()) as client:
        request = client.build_request("GET", "/v1/models")
        del request.headers["host"]
        assert (await client.send(request)).status_code == 200
        twice = [("Host", "localhost"), ("Host", "localhost")]
        assert error_of(await client.get("/v1/models", headers=twice)) == (400, "invalid_host")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000", ""])
@pytest.mark.parametrize("method", METHODS)
async def test_a_page_of_somebody_else_is_refused_whatever_it_asks(method: str, origin: str) -> None:
    async with client_of(scripted_app(cors_origins=PAGE)) as client:
        # What a page may send without asking first.
        simple = {"Origin": origin, "Content-Type": "text/plain"}
        refused = await client.request(method, "/v1/unload", headers=simple, content=b"{}")
    assert error_of(refused) == (403, "origin_not_allowed")
    assert "--cors-origin" in refused.json()["error"]["message"]
    assert "access-control-allow-origin" not in refused.headers


async def test_without_origins_only_the_servers_own_pages_may() -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    async with client_of(scripted_app()) as client:
        assert error_of(await client.options("/v1/chat/completions", headers=asked)) == (403, "origin_not_allowed")
        own = await client.post("/v1/chat/completions", json=CHAT, headers={"Origin": "http://server"})
    assert own.status_code == 200
    assert "access-control-allow-origin" not in own.headers


@pytest.mark.parametrize(("allowed", "said"), [(PAGE, PAGE), (["http://other", PAGE.upper() + "/"], PAGE), ("*", "*")])
async def test_a_listed_page_may_and_can_read_what_it_is_told(allowed: Any, said: str) -> None:
    app = scripted_app(cors_origins=allowed, api_key="sesame")
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, x-stainless-os",
        "Access-Control-Request-Private-Network": "true",
    }
    async with client_of(app, headers={"Origin": PAGE.encode()}) as client:
        preflight = await client.options("/v1/chat/completions", headers=asked)
        refused = await client.post("/v1/chat/completions", json=CHAT)
        answered = await client.post("/v1/chat/completions", json=CHAT, headers={"Authorization": "Bearer sesame"})
    assert [preflight.status_code, refused.status_code, answered.status_code] == [200, 401, 200]
    for answer in (preflight, refused, answered):
        assert answer.headers["access-control-allow-origin"] == said
        assert "access-control-allow-credentials" not in answer.headers
    assert "x-stainless-os" in preflight.headers["access-control-allow-headers"]
    assert preflight.headers["access-control-allow-private-network"] == "true"
    assert "x-request-id" in answered.headers["access-control-expose-headers"]


async def test_a_head_is_taken_up_to_its_bounds() -> None:
    async with client_of(scripted_app()) as client:
        own = len(client.build_request("GET", "/v1/models").headers)
        many = {f"x-{number}": "" for number in range(MAX_HEADERS - own)}
        assert (await client.get("/v1/models", headers=many)).status_code == 200
        assert error_of(await client.get("/v1/models", headers={**many, "x": ""})) == (431, "headers_too_large")
        room = MAX_HEAD_BYTES - 1000
        assert (await client.get("/v1/models", headers={"x": "x" * room})).status_code == 200
        assert error_of(await client.get("/v1/models", headers={"x": "x" * MAX_HEAD_BYTES}))[0] == 431
        assert error_of(await client.get(f"/v1/models?{'x' * MAX_HEAD_BYTES}"))[0] == 431


@pytest.mark.parametrize(
    ("settings", "address", "taken"),
    [
        ({}, "127.0.0.1", True),
        ({}, "::1", True),
        ({}, "192.168.1.20", False),
        ({"admin_key": "boss"}, "192.168.1.20", False),
        ({"api_key": "sesame"}, "192.168.1.20", True),
        ({"insecure": True}, "192.168.1.20", True),
    ],
)
async def test_an_app_without_a_key_serves_only_its_own_machine_whoever_runs_it(
    settings: dict[str, Any], address: str, taken: bool
) -> None:
    async with reached_at(address, **settings) as client:
        answer = await client.get("http://192.168.1.20:8000/live")
    assert answer.status_code == (200 if taken else 403)
    if not taken:
        assert error_of(answer) == (403, "api_key_not_set")


async def test_a_websocket_of_another_page_is_closed() -> None:
    opened: list[bytes] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        opened.append(dict(scope["headers"])[b"origin"])

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nobody listens")

    door = FrontDoor(app, hosts=Hosts(), origins=Origins(), only_for_itself=True, refuse=error_response)
    for origin in (b"http://evil.example", b"http://localhost:8000"):
        headers = [(b"host", b"localhost:8000"), (b"origin", origin)]
        await door({"type": "websocket", "path": "/", "query_string": b"", "headers": headers}, receive, send)
    assert opened == [b"http://localhost:8000"]
    assert [message["type"] for message in sent] == ["websocket.close"]
