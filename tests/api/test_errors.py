"""Every error has OpenAI's shape, and none shows internals."""

from __future__ import annotations

import asyncio
import difflib
import logging
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import ClientDisconnect

from lemonade_like.api.errors import UnexpectedErrors
from lemonade_like.api.hints import hint
from lemonade_like.errors import QueueFull, ShuttingDown
from lemonade_like.observe.requests import RequestLog
from tests.support.turns import ScriptedTurns, client_of, scripted_app, scripted_services

if TYPE_CHECKING:
    from collections.abc import Sequence

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/v1/chat/completion", "/v1/chat/completions"),
        ("/v1/model", "/v1/models"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/chat", "/v1/chat/completions"),
        ("/api/chat", "/v1/chat/completions"),
        ("/v1/v1/responses", "/v1/responses"),
        ("/v1/engines", "/v1/models"),
        ("/api/tags", "/v1/models"),
        ("/v1/modles", "/v1/models"),
        ("/version", "/v1/health"),
        ("/zzzzzzzzzzzzzzzzzz", "/docs"),
    ],
)
async def test_an_unknown_path_is_answered_with_near_ones(path: str, near: str) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.post(path, json=CHAT)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == "unknown_url"
    assert f"POST {path}" in error["message"]
    assert near in error["message"]


async def test_of_a_long_path_only_the_beginning_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    class Matcher(difflib.SequenceMatcher[str]):
        def set_seq1(self, a: Sequence[str]) -> None:
            compared.append(len(a))
            super().set_seq1(a)

        def set_seq2(self, b: Sequence[str]) -> None:
            compared.append(len(b))
            super().set_seq2(b)

    monkeypatch.setattr(difflib, "SequenceMatcher", Matcher)
    assert (
        hint("/engines/" * 3_000, ["/v1/completions", "/v1/models"])
        == "The API is under /v1, and /docs lists all of it."
    )
    assert max(compared) == 200


async def test_a_hint_names_no_path_that_is_much_less_like() -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.post("/v1/chat/completion", json=CHAT)
    assert answer.json()["error"]["message"].endswith("Did you mean /v1/chat/completions?")


async def test_a_wrong_method_is_answered_with_the_right_one() -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.get("/v1/chat/completions")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["error"]["message"] == "/v1/chat/completions takes POST, not GET."


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_a_path_with_several_endpoints_allows_what_each_of_them_takes(prefix: str) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.put(f"{prefix}/responses/resp_1")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, HEAD"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/models", "GET, HEAD"),
        ("/v1/responses/resp_1", "DELETE, GET, HEAD"),
        ("/v1/load", "POST"),
        ("/", "GET, HEAD"),
    ],
)
async def test_options_says_what_a_path_takes(path: str, allowed: str) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.options(path)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allowed, b"")


@pytest.mark.parametrize("path", ["/", "/health", "/live", "/v1/health", "/api/v1/models", "/v1/models/tiny", "/docs"])
async def test_head_says_what_get_would_without_the_body(path: str) -> None:
    async with client_of(scripted_app()) as client:
        read, asked = await client.get(path), await client.head(path)
    assert (asked.status_code, asked.headers["content-type"]) == (read.status_code, read.headers["content-type"])
    assert asked.headers["content-length"] == str(len(read.content))


@pytest.mark.parametrize(
    ("path", "param", "code"),
    [
        ("/v1/models?show_all=maybe", "show_all", "invalid_value"),
        ("/v1/responses/resp_1?stream=2", "stream", "invalid_value"),
        ("/v1/responses/resp_1/input_items?limit=many", "limit", "invalid_value"),
        ("/v1/responses/resp_1/input_items?limit=0", "limit", "invalid_value"),
        ("/v1/responses/resp_1/input_items?order=up", "order", "invalid_value"),
        ("/v1/pull/variants", "checkpoint", "missing_required_parameter"),
    ],
)
async def test_a_parameter_that_is_wrong_is_named(path: str, param: str, code: str) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.get(path)
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, code)
    assert f"'{param}'" in answer.json()["error"]["message"]


async def test_an_unforeseen_error_is_logged_with_its_traceback_and_answered_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    services = scripted_services(ScriptedTurns([ZeroDivisionError("the password is swordfish")]))
    with caplog.at_level(logging.ERROR):
        async with client_of(scripted_app(services)) as client:
            answer = await client.post("/v1/chat/completions", json=CHAT, headers={"X-Request-ID": "mine"})
    assert answer.status_code == 500
    assert answer.json()["error"] == {
        "message": "The server made a mistake while it answered. Its log has the details under request id mine.",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }
    assert "Traceback" in caplog.text
    assert caplog.text.count("swordfish") == 1


@pytest.mark.parametrize(
    ("error", "status", "seconds"),
    [(QueueFull("Full.", retry_after=7), 429, "7"), (ShuttingDown("Bye."), 503, "5")],
)
async def test_an_error_that_passes_says_when_to_come_again(error: Exception, status: int, seconds: str) -> None:
    async with client_of(scripted_app(scripted_services(ScriptedTurns([error])))) as client:
        answer = await client.post("/v1/chat/completions", json=CHAT)

    assert (answer.status_code, answer.headers["retry-after"]) == (status, seconds)


async def test_a_request_that_the_server_cancels_is_told_to_come_again() -> None:
    waiting = asyncio.Event()
    messages: list[Any] = []

    async def app(scope: object, receive: object, send: object) -> None:
        waiting.set()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "GET", "path": "/"}
    running = asyncio.create_task(UnexpectedErrors(app)(scope, None, send))  # type: ignore[arg-type]
    await waiting.wait()
    running.cancel()
    await running
    assert messages[0]["status"] == 503
    assert b"shutting_down" in messages[1]["body"]
    assert (b"retry-after", b"5") in messages[0]["headers"]


async def test_a_request_whose_client_left_is_logged_as_such_and_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    messages: list[Any] = []

    async def app(scope: object, receive: object, send: object) -> None:
        raise ClientDisconnect

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with caplog.at_level(logging.INFO):
        await RequestLog(UnexpectedErrors(app))(scope, None, send)  # type: ignore[arg-type]
    assert messages == []
    assert caplog.messages[0].startswith("GET / 499 in ")
    assert len(caplog.messages) == 1
