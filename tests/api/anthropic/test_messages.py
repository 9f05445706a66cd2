"""POST /messages and /messages/count_tokens over a real connection, as Anthropic's SDK and curl use them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.errors import BadRequest, ContextLengthExceeded, EngineFailure, EngineUnavailable, ModelNotFound
from lemonade_like.turns.events import (
    ContentDelta,
    Finish,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
    Usage,
)
from lemonade_like.turns.preview import RenderedPrompt
from lemonade_like.turns.request import TurnRequest
from tests.support.messages import WEATHER, checked, events_of, put_together
from tests.support.server import serving
from tests.support.turns import HELLO, ScriptedTurns, Step, client_of, scripted_app, scripted_services

PATHS = ["/v1/messages", "/api/v1/messages", "/v1/messages?beta=true"]
PATH = PATHS[0]
COUNT = f"{PATH}/count_tokens"
CHAT: dict[str, Any] = {"model": "tiny", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
HEADERS = {"anthropic-version": "2023-06-01", "anthropic-beta": "interleaved-thinking-2025-05-14,claude-code-20250219"}
FULL: list[Step] = [
    [ReasoningDelta("hm"), ContentDelta("Let me ")],
    [ContentDelta("look."), ToolCallStart(0, "call_1", "look"), ToolCallArgumentsDelta(0, '{"a":')],
    [ToolCallArgumentsDelta(0, "1}"), Finish("tool_calls", Usage(9, 8, 3, 5), timings={"prompt_ms": 1.5})],
]


class RenderingTurns(ScriptedTurns):
    """Renders every request as the same prompt."""

    async def render(self, request: TurnRequest) -> RenderedPrompt:
        self.requests.append(request)
        return RenderedPrompt("…", [1, 2, 3], True)


async def ask(script: list[Step], path: str = PATH, **fields: Any) -> httpx.Response:
    async with client_of(scripted_app(scripted_services(RenderingTurns(script)))) as client:
        return await client.post(path, json={**CHAT, **fields}, headers=HEADERS)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error, which has Anthropic's shape and the id of the request."""
    whole = answer.json()
    assert set(whole) == {"type", "error", "request_id"}
    assert whole["type"] == "error"
    assert whole["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]
    assert set(whole["error"]) == {"type", "message"}
    error: dict[str, Any] = whole["error"]
    return error


@pytest.mark.parametrize("path", PATHS)
async def test_a_whole_message(path: str) -> None:
    answer = await ask(HELLO, path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert checked(answer.json())["content"] == [{"type": "text", "text": "Hello"}]


@pytest.mark.parametrize("path", PATHS)
async def test_a_stream(path: str) -> None:
    answer = await ask(FULL, path, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    message = put_together(events_of(answer.content))
    whole = checked((await ask(FULL)).json())
    assert {**message, "id": whole["id"]} == whole


async def test_the_model_is_called_as_the_client_calls_it() -> None:
    assert (await ask(HELLO, model="TINY")).json()["model"] == "TINY"


async def test_a_count_is_of_the_prompt_that_would_be_sent() -> None:
    answer = await ask([], COUNT)
    assert (answer.status_code, answer.json()) == (200, {"input_tokens": 3})
    assert answer.headers["request-id"]


async def test_a_count_wants_no_max_tokens() -> None:
    async with client_of(scripted_app(scripted_services(RenderingTurns()))) as client:
        without = {name: value for name, value in CHAT.items() if name != "max_tokens"}
        assert (await client.post(COUNT, json=without)).status_code == 200
        missing = await client.post(PATH, json=without)
    assert (missing.status_code, error_of(missing)["type"]) == (400, "invalid_request_error")
    assert "'max_tokens' is required" in error_of(missing)["message"]


async def test_tools_that_are_left_out_are_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search"}, WEATHER]
    with caplog.at_level(logging.INFO):
        answer = await ask(HELLO, tools=tools)
    assert answer.status_code == 200
    assert "tools_left_out=web_search_20250305" in caplog.text


async def test_the_sdk_reads_whole_messages_and_streams() -> None:
    async with (
        serving(scripted_app(scripted_services(RenderingTurns(FULL)))) as url,
        anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0) as client,
    ):
        whole = await client.messages.create(**CHAT)
        thinking, text, use = whole.content
        assert thinking.type == "thinking" and thinking.thinking == "hm"
        assert text.type == "text" and text.text == "Let me look."
        assert use.type == "tool_use" and (use.id, use.name, use.input) == ("toolu_1", "look", {"a": 1})
        assert (whole.stop_reason, whole.usage.input_tokens, whole.usage.cache_read_input_tokens) == ("tool_use", 4, 5)

        async with client.messages.stream(**CHAT) as stream:
            texts = [text async for text in stream.text_stream]
            final = await stream.get_final_message()
        assert texts == ["Let me ", "look."]
        assert {**final.model_dump(exclude_none=True), "id": whole.id} == whole.model_dump(exclude_none=True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "kind", "says"),
    [
        (BadRequest("'x' is no.", param="x"), 400, "invalid_request_error", "'x' is no."),
        (ContextLengthExceeded("It has 9 tokens."), 400, "invalid_request_error", "prompt is too long: It has 9"),
        (ModelNotFound("who?", param="model"), 404, "not_found_error", "who?"),
        (ModelNotFound("no 'claude-haiku-4-5'"), 404, "not_found_error", "ANTHROPIC_DEFAULT_HAIKU_MODEL"),
        (EngineFailure("cannot load", log_tail="bad magic"), 500, "api_error", "bad magic"),
        (EngineUnavailable("bye"), 529, "overloaded_error", "bye"),
        (
            BadRequest("'tools[0].function.parameters.x' is no."),
            400,
            "invalid_request_error",
            "tools[0].input_schema.x",
        ),
        (BadRequest("'response_format' is no."), 400, "invalid_request_error", "'output_config.format' is no."),
    ],
    ids=repr,
)
async def test_what_fails_before_the_first_event_has_its_status(
    error: Exception, status: int, kind: str, says: str, stream: bool
) -> None:
    answer = await ask([error], stream=stream)
    assert (answer.status_code, error_of(answer)["type"]) == (status, kind)
    assert says in error_of(answer)["message"]


async def test_a_thread_is_refused_with_the_code_at_which_the_sdk_sends_everything() -> None:
    answer = await ask(HELLO, thread={"type": "create"})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["error_code"] == "thread_unsupported_request"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_unforeseen_error_is_answered_without_its_cause(stream: bool) -> None:
    async with client_of(scripted_app(scripted_services(ScriptedTurns([ZeroDivisionError("swordfish")])))) as client:
        answer = await client.post(PATH, json={**CHAT, "stream": stream})
    assert (answer.status_code, error_of(answer)["type"]) == (500, "api_error")
    assert answer.headers["request-id"] in error_of(answer)["message"]
    assert "swordfish" not in answer.text


@pytest.mark.parametrize("error", [EngineFailure("The engine died.", log_tail="boom"), ZeroDivisionError("internal")])
async def test_the_sdk_raises_an_error_of_the_stream(error: Exception) -> None:
    script: list[Step] = [[ContentDelta("Hel")], error]
    async with (
        serving(scripted_app(scripted_services(ScriptedTurns(script)))) as url,
        anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0) as client,
    ):
        said = ""
        with pytest.raises(anthropic.APIStatusError) as caught:
            async with client.messages.stream(**CHAT) as stream:
                async for text in stream.text_stream:
                    said += text
    assert (said, caught.value.type) == ("Hel", "api_error")
    assert "internal" not in str(caught.value)


@pytest.mark.parametrize("path", [PATH, "/api/v1/messages", COUNT])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"model": "tiny", "max_tokens": 1, "messages": 3}', "'messages' must be a list"),
        (b'{"model": "tiny", "max_tokens": 1, "messages": ' + b"[" * 200 + b"]" * 200 + b"}", "nested too deeply"),
        (b'{"model": "tiny", "max_tokens": 1, "messages": [{"role": "user", "content": "\xff"}]}', "not valid JSON"),
    ],
)
async def test_a_body_that_cannot_be_read_is_anthropics_error(path: str, content: bytes, says: str) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.post(path, content=content)
    assert (answer.status_code, error_of(answer)["type"]) == (400, "invalid_request_error")
    assert says in error_of(answer)["message"]


async def test_a_body_that_is_too_large_is_anthropics_error() -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.post(PATH, content=b"{}", headers={"content-length": str(10**9)})
    assert (answer.status_code, error_of(answer)["type"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", PATH, 405, "invalid_request_error"),
        ("DELETE", COUNT, 405, "invalid_request_error"),
        ("POST", "/v1/messages/batches", 404, "not_found_error"),
        ("POST", "/api/v1/messages/nowhere", 404, "not_found_error"),
    ],
)
async def test_a_wrong_path_or_method_below_messages_is_anthropics_error(
    method: str, path: str, status: int, kind: str
) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.request(method, path, json=CHAT)
        elsewhere = await client.request(method, "/v1/chat/nowhere", json=CHAT)
    assert (answer.status_code, error_of(answer)["type"]) == (status, kind)
    assert set(elsewhere.json()["error"]) == {"message", "type", "param", "code"}


KEY = "s3cret-ключ"


@pytest.mark.parametrize("path", [*PATHS, COUNT, "/v1/messages/nowhere"])
@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}, {"Authorization": "Bearer wrong"}], ids=str)
async def test_a_wrong_key_is_anthropics_error(path: str, headers: dict[str, str]) -> None:
    async with client_of(scripted_app(api_key=KEY)) as client:
        answer = await client.post(path, json=CHAT, headers=headers)
    assert (answer.status_code, error_of(answer)["type"]) == (401, "authentication_error")


@pytest.mark.parametrize("headers", [{"x-api-key": KEY.encode()}, {"Authorization": f"Bearer {KEY}".encode()}], ids=str)
async def test_the_right_key_opens_and_tells_its_owner(headers: dict[str, Any]) -> None:
    turns = RenderingTurns()
    async with client_of(scripted_app(scripted_services(turns), api_key=KEY)) as client:
        for path in (PATH, COUNT):
            assert (await client.post(path, json=CHAT, headers=headers)).status_code == 200
    owners = {request.owner for request in turns.requests}
    assert len(owners) == 1
    assert "" not in owners


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_the_turn(stream: bool) -> None:
    turns = ScriptedTurns([[ContentDelta("Hel")], asyncio.Event()])
    async with serving(scripted_app(scripted_services(turns))) as url, httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.post(f"{url}{PATH}", json={**CHAT, "stream": stream}))
        await turns.waiting.wait()
        asking.cancel()
        await turns.closed.wait()
    assert turns.cancelled == 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=2) | st.dictionaries(st.text(max_size=5), children, max_size=2),
    max_leaves=4,
)
_BLOCKS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["text", "thinking", "tool_use", "tool_result", "image", "document", "search_result", "server_tool_use"]
        )
        | _JSON,
        **dict.fromkeys(
            ["text", "thinking", "id", "name", "input", "tool_use_id", "content", "source", "is_error", "title"], _JSON
        ),
    },
)
_MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system"]), "content": st.lists(_BLOCKS, max_size=3) | _JSON}
    ),
    max_size=3,
)


_FIELDS = ["system", "tools", "tool_choice", "thinking", "output_config", "stop_sequences", "top_k", "stream"]
_BODIES = st.fixed_dictionaries(
    {"model": st.just("tiny"), "max_tokens": st.just(5) | _JSON, "messages": _MESSAGES},
    optional=dict.fromkeys(_FIELDS, _JSON),
)


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client that many requests share."""
    async with client_of(scripted_app()) as client:
        yield client


@given(body=_BODIES)
async def test_no_body_is_the_servers_fault(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    answer = await client.post(PATH, content=orjson.dumps(body))
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert error_of(answer)["type"] == "invalid_request_error"
        assert error_of(answer)["message"]
