"""Streams on the wire: what comes while nothing is said, and what comes when something goes wrong."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import openai
import pytest

from lemonade_like.errors import EngineFailure
from lemonade_like.turns.events import ContentDelta
from tests.support.chunks import checked_error, chunks_of
from tests.support.faults import FaultyServer, after, faulty_server
from tests.support.messages import events_of as message_events
from tests.support.responses import events_of as response_events
from tests.support.server import serving
from tests.support.turns import ScriptedTurns, scripted_app, scripted_services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TINY = "tiny-gpt-oss"
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hello"}]},
    "/v1/responses": {"input": "Hello", "store": False},
    "/v1/messages": {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 200},
}


def body(path: str, **more: Any) -> dict[str, Any]:
    return {"model": TINY, "temperature": 0, "stream": True, **BODIES[path], **more}


@pytest.fixture(scope="module")
async def one_slot(cache_dir: Path) -> AsyncIterator[FaultyServer]:
    """A server that answers one turn at a time, survives no crash, and is never silent for long."""
    async with faulty_server(cache_dir, parallel=1, ctx_size=16_384, max_crashes=1, keep_alive=0.05) as server:
        yield server


@pytest.fixture
async def http(one_slot: FaultyServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=one_slot.url, timeout=60) as client:
        yield client


@pytest.mark.parametrize("path", BODIES)
async def test_a_stream_says_that_the_model_loads(one_slot: FaultyServer, http: httpx.AsyncClient, path: str) -> None:
    await one_slot.services.pool.unload()

    answer = await http.post(path, json=body(path))

    assert answer.status_code == 200
    if path == "/v1/messages":
        events = message_events(answer.content)
        assert [event["type"] for event in events[:2]] == ["message_start", "ping"]
        return
    chunks = chunks_of(answer.content) if path == "/v1/chat/completions" else response_events(answer.content)
    first = next(line for line in answer.text.splitlines() if line.startswith(":"))
    assert first == ": loading"
    assert chunks


async def test_a_stream_says_that_it_waits_in_line_and_how_far_a_long_prompt_is_read(
    one_slot: FaultyServer, http: httpx.AsyncClient
) -> None:
    path = "/v1/chat/completions"
    long = body(path, messages=[{"role": "user", "content": "One word after the other. " * 1_500}], max_tokens=20)
    async with http.stream("POST", path, json=long) as reading:
        lines = reading.aiter_lines()
        begun = [await anext(lines)]
        waiting = asyncio.create_task(http.post(path, json=body(path)))
        begun += [line async for line in lines]
    waited = await waiting

    comments = [line for line in begun if line.startswith(": prefill ")]
    done, total = zip(*(map(int, line.removeprefix(": prefill ").split("/")) for line in comments), strict=True)
    assert list(done) == sorted(done)
    assert set(total) == {total[0]} and total[0] > 7_000 > done[0]
    assert ": queued at place 1" in waited.text.splitlines()
    assert chunks_of(waited.content)


async def test_an_engine_that_dies_for_good_ends_the_stream_with_an_error(
    one_slot: FaultyServer, http: httpx.AsyncClient
) -> None:
    path = "/v1/chat/completions"
    one_slot.reaper.places = [after("The user")]
    answer = await http.post(path, json=body(path))
    *chunks, error = chunks_of(answer.content)

    assert "The user" in "".join(chunk["choices"][0]["delta"].get("reasoning_content", "") for chunk in chunks)
    assert (error["error"]["type"], error["error"]["code"]) == ("server_error", "engine_failure")
    assert "died in the middle of the turn (was killed by SIGKILL)" in error["error"]["message"]
    assert chunks_of((await http.post(path, json=body(path))).content)[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.fixture(scope="module")
async def url() -> AsyncIterator[str]:
    """A server whose turns all fail in the middle."""
    script = [[ContentDelta("Hel")], EngineFailure("The engine died.")]
    async with serving(scripted_app(scripted_services(ScriptedTurns(script)))) as url:
        yield url


class TestErrorsInAStream:
    """Each API's own form of an error behind the first byte, and what its SDK makes of it."""

    async def test_chat_completions_have_an_error_and_done(self, url: str) -> None:
        async with httpx.AsyncClient(base_url=url) as http:
            stream = (await http.post("/v1/chat/completions", json=body("/v1/chat/completions"))).text
        *_, error, done, rest = stream.split("\n\n")
        assert error.startswith('data: {"error":{')
        assert checked_error(json.loads(error.removeprefix("data: ")))["error"]["message"] == "The engine died."
        assert (done, rest) == ("data: [DONE]", "")

        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            chunks = await client.chat.completions.create(**body("/v1/chat/completions"))
            with pytest.raises(openai.APIError, match=r"The engine died\."):
                [chunk async for chunk in chunks]

    async def test_responses_have_an_error_and_a_failed_response(self, url: str) -> None:
        async with httpx.AsyncClient(base_url=url) as http:
            stream = (await http.post("/v1/responses", json=body("/v1/responses"))).content
        *_, error, failed = response_events(stream)
        assert (error["type"], error["message"], error["code"]) == ("error", "The engine died.", "engine_failure")
        assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
        assert failed["response"]["error"] == {"code": "server_error", "message": "The engine died."}
        assert failed["response"]["output"][0]["content"][0]["text"] == "Hel"

        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            # They are events like others to it.
            *_, told, last = [event async for event in await client.responses.create(**body("/v1/responses"))]
            assert (told.type, told.message) == ("error", "The engine died.")
            assert last.type == "response.failed" and last.response.error is not None
            assert last.response.error.message == "The engine died."

    async def test_messages_have_an_error_event(self, url: str) -> None:
        async with httpx.AsyncClient(base_url=url) as http:
            stream = (await http.post("/v1/messages", json=body("/v1/messages"))).content
        *_, error = message_events(stream)
        assert (error["type"], error["error"]) == ("error", {"type": "api_error", "message": "The engine died."})

        async with anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0) as client:
            asked = {key: value for key, value in body("/v1/messages").items() if key != "temperature"}
            events = await client.messages.create(**asked)
            with pytest.raises(anthropic.APIStatusError, match=r"The engine died\."):
                [event async for event in events]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(("wrong", "status"), [({"model": "nobody"}, 404), ({"model": 7}, 400)])
async def test_an_error_before_the_first_byte_has_its_status(
    http: httpx.AsyncClient, path: str, wrong: dict[str, Any], status: int
) -> None:
    answer = await http.post(path, json=body(path, **wrong))

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["message"]
