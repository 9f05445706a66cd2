"""Who gets in with which key, and what they are told who do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.access.gate import KeyGate
from lemonade_like.access.key_files import NamedKey
from lemonade_like.access.keys import Keyring
from lemonade_like.api.errors import error_response
from tests.support.turns import ScriptedTurns, client_of, scripted_app, scripted_services

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

KEY = "s3cret-ключ"
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}
CLOSED = [
    ("GET", "/v1/models"),
    ("GET", "/api/v1/models"),
    ("GET", "/v1/models/tiny"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/api/v1/chat/completions"),
    ("GET", "/v1/tools"),
    ("GET", "/metrics"),
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


async def test_clients_are_told_apart_by_their_keys_and_no_key_is_told() -> None:
    turns = ScriptedTurns()
    async with client_of(scripted_app(scripted_services(turns), api_key=["one", "two"])) as client:
        for key in ("one", "two", "one"):
            assert (await client.post("/v1/chat/completions", headers={"x-api-key": key}, json=CHAT)).status_code == 200
    one, two, again = (request.owner for request in turns.requests)

    assert one == again != two
    assert "one" not in one and one and two


@pytest.mark.parametrize(
    ("settings", "key", "says"),
    [
        ({"api_key": KEY}, KEY, "the server has no admin key. Start it with one"),
        ({"api_key": KEY, "admin_key": "boss"}, KEY, "the key is that of a user. Send the admin key"),
    ],
)
async def test_a_user_is_told_what_it_takes_to_be_an_admin(settings: dict[str, Any], key: str, says: str) -> None:
    async with client_of(scripted_app(**settings)) as client:
        refused = await client.post("/v1/unload", headers={"x-api-key": key.encode()})
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "admin_key_required"
    assert says in refused.json()["error"]["message"]
    assert "www-authenticate" not in refused.headers


async def test_where_users_need_no_key_a_stranger_is_asked_for_the_admins() -> None:
    async with client_of(scripted_app(admin_key="boss")) as client:
        assert (await client.get("/v1/models", headers={"x-api-key": "anything"})).status_code == 200
        assert "models" in (await client.get("/health")).json()
        none = await client.post("/v1/unload")
        wrong = await client.post("/v1/unload", headers={"x-api-key": "anything"})
    assert [none.status_code, wrong.status_code] == [401, 401]
    assert "wants an admin key" in none.json()["error"]["message"]
    assert "The admin key is not one" in wrong.json()["error"]["message"]


async def test_a_user_who_mistypes_is_told_so_and_not_that_admins_may() -> None:
    async with client_of(scripted_app(api_key=KEY), headers={"x-api-key": KEY.encode()}) as client:
        assert (await client.post("/v1/chat/completion", json=CHAT)).status_code == 404
        assert (await client.get("/v1/load")).status_code == 405
        assert (await client.get("/v1/chat/completions")).status_code == 405
        assert (await client.post("/load")).status_code == 404


async def test_an_endpoint_that_nobody_has_decided_about_is_for_admins() -> None:
    app = scripted_app(api_key=KEY, admin_key="boss")
    app.add_api_route("/v1/brand-new", lambda: "in")
    async with client_of(app, checked=False) as client:
        answers = [await client.get("/v1/brand-new", headers={"x-api-key": key.encode()}) for key in ("", KEY, "boss")]
    assert [answer.status_code for answer in answers] == [401, 403, 200]


async def test_an_answer_to_messages_is_refused_in_its_own_form() -> None:
    async with client_of(scripted_app(api_key=KEY)) as client:
        refused = await client.post("/v1/messages", json={}, headers={"Origin": "http://evil.example"})
    assert refused.status_code == 403
    assert refused.json()["error"]["type"] == "permission_error"


async def test_a_websocket_needs_a_key_too() -> None:
    opened: list[str] = []
    sent: list[dict[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        opened.append(scope["path"])

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nobody listens")

    gate = KeyGate(app, keys=Keyring([NamedKey("one")], [NamedKey("boss")]), refuse=error_response)
    for path, key in (("/v1/models", b"wrong"), ("/v1/models", b"one"), ("/v1/models", b"boss")):
        await gate({"type": "websocket", "path": path, "headers": [(b"x-api-key", key)]}, receive, send)
    # None is classified, so all are for admins.
    assert opened == ["/v1/models"]
    assert [message["type"] for message in sent] == ["websocket.close"] * 2


async def test_the_log_names_the_key_and_does_not_tell_it(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"alice {KEY}\nnameless\n")
    (tmp_path / "keys").chmod(0o600)
    caplog.set_level("INFO", "lemonade_like.observe.requests")
    async with client_of(scripted_app(api_key_file=tmp_path / "keys")) as client:
        for key in (KEY, "nameless", "wrong"):
            await client.get("/v1/models", headers={"x-api-key": key.encode()})
    named, nameless, wrong = caplog.messages
    assert "key=alice" in named
    assert "key=" in nameless and "nameless" not in nameless
    assert "key=" not in wrong and "wrong" not in wrong


async def test_a_mistake_of_ours_does_not_tell_the_key(caplog: pytest.LogCaptureFixture) -> None:
    turns = ScriptedTurns([RuntimeError("nobody foresaw this")])
    async with client_of(scripted_app(scripted_services(turns), api_key=KEY)) as client:
        failed = await client.post("/v1/chat/completions", headers={"x-api-key": KEY.encode()}, json=CHAT)
    assert failed.status_code == 500
    assert "nobody foresaw this" in caplog.text
    assert KEY not in caplog.text + failed.text
