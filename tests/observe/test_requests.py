"""The request's id and its line in the log."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest

from lemonade_like.observe.context import new_request_id, request_id_var
from lemonade_like.observe.requests import RequestLog
from lemonade_like.turns.events import ContentDelta
from tests.support.server import serving
from tests.support.turns import ScriptedTurns, client_of, scripted_app, scripted_services

LOGGER = "lemonade_like.observe.requests"
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "a secret"}]}


@pytest.mark.parametrize("wished", ["abc", "req_1.2:3-4", "x" * 128])
def test_a_sane_id_of_the_client_is_kept(wished: str) -> None:
    assert new_request_id(wished) == wished


@pytest.mark.parametrize("wished", [None, "", "a b", "a\r\nb", "x" * 129, "é"])
def test_any_other_is_replaced(wished: str | None) -> None:
    assert new_request_id(wished).startswith("req_")
    assert new_request_id(wished) != new_request_id(wished)


async def test_the_id_is_in_the_answer_also_of_an_error() -> None:
    async with client_of(scripted_app()) as client:
        for path in ("/live", "/nowhere"):
            answer = await client.get(path, headers={"X-Request-ID": "mine"})
            assert answer.headers.get_list("x-request-id") == ["mine"]


async def test_the_id_is_in_the_context_of_the_request_and_of_its_tasks() -> None:
    seen: list[str | None] = []

    async def look() -> None:
        seen.append(request_id_var.get())

    async def app(scope: object, receive: object, send: object) -> None:
        await look()
        await asyncio.create_task(look())

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"x-request-id", b"mine")]}
    await RequestLog(app)(scope, None, None)  # type: ignore[arg-type]
    assert seen == ["mine", "mine"]
    assert request_id_var.get() is None


async def test_one_line_says_what_was_asked_and_what_it_took(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        async with client_of(scripted_app()) as client:
            await client.post("/v1/chat/completions?key=hidden", json=CHAT)
    (line,) = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert line.startswith("POST /v1/chat/completions 200 in ")
    assert line.endswith(" ms model=tiny stream=False prompt=3 cached=0 completion=2")
    assert "hidden" not in caplog.text
    assert "a secret" not in caplog.text


async def test_a_stream_is_logged_with_its_tokens_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        async with client_of(scripted_app()) as client:
            await client.post("/v1/chat/completions", json={**CHAT, "stream": True})
    assert "model=tiny stream=True prompt=3 cached=0 completion=2" in caplog.text


async def test_probes_are_logged_for_debugging_only(caplog: pytest.LogCaptureFixture) -> None:
    async with client_of(scripted_app()) as client:
        with caplog.at_level(logging.INFO, LOGGER):
            await client.get("/v1/health")
        assert "health" not in caplog.text
        with caplog.at_level(logging.DEBUG, LOGGER):
            await client.get("/v1/health")
        assert "GET /v1/health 200" in caplog.text


async def test_a_path_or_a_model_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        async with client_of(scripted_app()) as client:
            await client.get("/a%0Ab%1b[31m")
            await client.post("/v1/chat/completions", json={**CHAT, "model": "x\ny z"})
    lines = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert lines[0].startswith("GET /a%0Ab%1B%5B31m 404 in ")
    assert r"model='x\ny z'" in lines[1]
    assert all(line.isprintable() for line in lines)


async def test_a_failure_is_logged_with_its_status(caplog: pytest.LogCaptureFixture) -> None:
    broken = scripted_app(scripted_services(ScriptedTurns([ZeroDivisionError("oops")])))
    with caplog.at_level(logging.INFO):
        async with client_of(broken) as client:
            await client.post("/v1/chat/completions", json=CHAT)
    assert "POST /v1/chat/completions 500 in " in caplog.text


async def test_a_stream_that_its_client_left_is_logged_as_such(caplog: pytest.LogCaptureFixture) -> None:
    turns = ScriptedTurns([[ContentDelta("Hel")], asyncio.Event()])
    app = scripted_app(scripted_services(turns))
    with caplog.at_level(logging.INFO, LOGGER):
        async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
            async with client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}):
                await turns.waiting.wait()
            await turns.closed.wait()
    assert "200 in " in caplog.text
    assert "model=tiny stream=True client_left=True" in caplog.text
    assert "completion=" not in caplog.text


async def test_the_facts_of_a_request_are_fields_of_its_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        async with client_of(scripted_app()) as client:
            await client.post("/v1/chat/completions", json=CHAT)
    (record,) = [record for record in caplog.records if record.name == LOGGER]
    facts = dict(record.facts)  # type: ignore[attr-defined]
    assert facts.pop("ms") > 0
    assert facts == {
        "method": "POST", "path": "/v1/chat/completions", "status": 200,
        "model": "tiny", "stream": False, "prompt": 3, "cached": 0, "completion": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/chat/completions", {**CHAT, "stream": True}, 200),
        ("POST", "/v1/chat/completions", {}, 400),
        ("POST", "/v1/messages", {}, 400),
        ("GET", "/v1/chat/completions", None, 405),
        ("GET", "/nowhere", None, 404),
        ("GET", "/v1/models", None, 401),
    ],
)
async def test_every_answer_has_the_id_whatever_it_is(method: str, path: str, body: object, status: int) -> None:
    key = {} if status == 401 else {"Authorization": "Bearer sesame"}
    async with client_of(scripted_app(api_key="sesame")) as client:
        answer = await client.request(method, path, json=body, headers={"X-Request-ID": "mine", **key})
    assert (answer.status_code, answer.headers.get_list("x-request-id")) == (status, ["mine"])
