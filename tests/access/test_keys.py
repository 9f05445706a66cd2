"""Who gets in with which key."""

from __future__ import annotations

import httpx
import pytest

from lemonade_like.access.keys import ApiKeys, KeyGate
from lemonade_like.api.errors import error_response
from tests.support.turns import ScriptedTurns, client_of, scripted_app, scripted_services

KEY = "s3cret-ключ"
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}
CLOSED = [
    ("GET", "/v1/models"),
    ("GET", "/api/v1/models"),
    ("GET", "/v1/models/tiny"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/api/v1/chat/completions"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/nowhere"),
]
OPEN = [f"{prefix}/{probe}" for prefix in ("", "/v1", "/api/v1") for probe in ("live", "health")] + ["/"]
WRONG = [
    {},
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer "},
    {"Authorization": f"Basic {KEY}".encode()},
    {"Authorization": KEY.encode()},
    {"Authorization": f"Bearer {KEY}x".encode()},
    {"x-api-key": ""},
    {"x-api-key": "wrong"},
]
RIGHT = [
    {"Authorization": f"Bearer {KEY}".encode()},
    {"Authorization": f"bearer  {KEY} ".encode()},
    {"x-api-key": KEY.encode()},
    {"Authorization": "Bearer wrong", "x-api-key": KEY.encode()},
]


@pytest.mark.parametrize("headers", WRONG, ids=str)
@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_without_the_right_key_nothing_is_told(method: str, path: str, headers: dict[str, str]) -> None:
    async with client_of(scripted_app(api_key=KEY)) as client:
        answer = await client.request(method, path, headers=headers, json=CHAT)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-request-id"]
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
    assert KEY not in answer.text


@pytest.mark.parametrize("headers", RIGHT, ids=str)
async def test_the_right_key_opens(headers: dict[str, str]) -> None:
    async with client_of(scripted_app(api_key=KEY)) as client:
        assert (await client.get("/v1/models", headers=headers)).status_code == 200
        assert (await client.post("/v1/chat/completions", headers=headers, json=CHAT)).status_code == 200


@pytest.mark.parametrize("path", OPEN)
async def test_probes_need_no_key(path: str) -> None:
    async with client_of(scripted_app(api_key=KEY)) as client:
        assert (await client.get(path)).status_code == 200


async def test_without_the_key_health_is_a_word() -> None:
    async with client_of(scripted_app(api_key=KEY)) as client:
        assert (await client.get("/v1/health")).json() == {"status": "ok"}
        told = (await client.get("/v1/health", headers={"x-api-key": KEY.encode()})).json()
    assert "models" in told


async def test_a_server_without_a_key_is_open() -> None:
    async with client_of(scripted_app()) as client:
        assert (await client.get("/v1/models", headers={"Authorization": "Bearer anything"})).status_code == 200
        assert "models" in (await client.get("/health")).json()


async def test_the_refusal_says_whether_a_key_came() -> None:
    async with client_of(scripted_app(api_key=KEY)) as client:
        none = (await client.get("/v1/models")).json()["error"]["message"]
        wrong = (await client.get("/v1/models", headers={"x-api-key": "wrong"})).json()["error"]["message"]
    assert "carries none" in none
    assert "not one of this server's" in wrong


def test_any_of_several_keys_opens_and_an_empty_one_is_no_key() -> None:
    keys = ApiKeys(["", "a", "b"])
    assert keys.match([b"x", b"b"])
    assert not keys.match([b""])
    assert not keys.match([])
    assert not ApiKeys([""])


async def test_clients_are_told_apart_by_their_keys_and_no_key_is_told() -> None:
    turns = ScriptedTurns()
    app = scripted_app(scripted_services(turns))
    gate = KeyGate(app, keys=ApiKeys(["one", "two"]), refuse=error_response)
    async with (
        client_of(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://server") as client,
    ):
        for key in ("one", "two", "one"):
            assert (await client.post("/v1/chat/completions", headers={"x-api-key": key}, json=CHAT)).status_code == 200
    one, two, again = (request.owner for request in turns.requests)

    assert one == again != two
    assert "one" not in one and one and two
