"""POST /chat/completions over a real connection, as SDKs and curl use it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.errors import BadRequest, ContextLengthExceeded, EngineFailure, EngineUnavailable, ModelNotFound
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
    Usage,
)
from tests.api.openai.test_writer import objects
from tests.support.server import serving
from tests.support.turns import HELLO, ScriptedTurns, Step, client_of, scripted_app, scripted_services

PATHS = ["/v1/chat/completions", "/api/v1/chat/completions"]
PATH = PATHS[0]
MESSAGES: list[Any] = [{"role": "user", "content": "Hi"}]
CHAT: dict[str, Any] = {"model": "tiny", "messages": MESSAGES}
FULL: list[Step] = [
    [ReasoningDelta("hm"), ContentDelta("Let me ")],
    [ContentDelta("look."), ToolCallStart(0, "call_1", "look"), ToolCallArgumentsDelta(0, '{"a":')],
    [ToolCallArgumentsDelta(0, "1}"), Finish("tool_calls", Usage(9, 8, 3, 5), timings={"prompt_ms": 1.5})],
]


async def ask(script: list[Step], **fields: Any) -> httpx.Response:
    async with client_of(scripted_app(scripted_services(ScriptedTurns(script)))) as client:
        return await client.post(PATH, json={**CHAT, **fields})


@pytest.mark.parametrize("path", PATHS)
async def test_a_whole_answer(path: str) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.post(path, json=CHAT)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["choices"][0]["message"]["content"] == "Hello"


@pytest.mark.parametrize("path", PATHS)
async def test_a_stream(path: str) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.post(path, json={**CHAT, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, done = objects(answer.content)
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks] == ["Hel", "lo", None]
    assert done == "[DONE]"


async def test_the_model_is_called_as_the_client_calls_it() -> None:
    assert (await ask(HELLO, model="TINY")).json()["model"] == "TINY"


async def test_several_choices_are_told_apart() -> None:
    answer = (await ask(HELLO, n=3)).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert {choice["message"]["content"] for choice in answer["choices"]} == {"Hello"}
    assert answer["usage"]["completion_tokens"] == 6
    chunks = objects((await ask(HELLO, n=3, stream=True)).content)[:-1]
    for index in range(3):
        own = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == index]
        assert "".join(choice["delta"].get("content", "") for choice in own) == "Hello"
        assert own[-1]["finish_reason"] == "stop"


async def test_the_sdk_reads_whole_answers_and_streams() -> None:
    async with (
        serving(scripted_app(scripted_services(ScriptedTurns(FULL)))) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        whole = await client.chat.completions.create(model="tiny", messages=MESSAGES)
        message = whole.choices[0].message
        assert (message.content, whole.choices[0].finish_reason) == ("Let me look.", "tool_calls")
        assert message.model_extra is not None
        assert message.model_extra["reasoning_content"] == message.model_extra["reasoning"] == "hm"
        assert message.tool_calls
        assert message.tool_calls[0].model_dump() == {
            "id": "call_1",
            "type": "function",
            "function": {"name": "look", "arguments": '{"a":1}'},
        }
        assert whole.usage
        assert whole.usage.completion_tokens_details
        assert whole.usage.completion_tokens_details.reasoning_tokens == 3
        assert whole.usage.prompt_tokens_details
        assert whole.usage.prompt_tokens_details.cached_tokens == 5

        stream = await client.chat.completions.create(
            model="tiny", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        content = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert content == message.content
        assert chunks[-1].usage == whole.usage

        async with client.chat.completions.stream(model="tiny", messages=MESSAGES) as helper:
            final = await helper.get_final_completion()
        assert final.choices[0].message.content == message.content
        assert final.choices[0].message.tool_calls
        assert final.choices[0].message.tool_calls[0].function.arguments == '{"a":1}'


async def test_the_sdk_raises_an_error_of_the_stream() -> None:
    script: list[Step] = [[ContentDelta("Hel")], EngineFailure("The engine died.", log_tail="boom")]
    async with (
        serving(scripted_app(scripted_services(ScriptedTurns(script)))) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        stream = await client.chat.completions.create(model="tiny", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError, match="The engine died"):
            async for _ in stream:
                pass


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BadRequest("no", param="reasoning_effort"), 400, None),
        (ContextLengthExceeded("too long", param="messages"), 400, "context_length_exceeded"),
        (ModelNotFound("who?", param="model"), 404, "model_not_found"),
        (EngineFailure("cannot load", log_tail="bad magic"), 500, "engine_failure"),
        (EngineUnavailable("bye"), 503, "engine_unavailable"),
        (ZeroDivisionError("internal"), 500, "internal_error"),
    ],
    ids=repr,
)
async def test_an_error_before_the_first_token_has_its_own_status(
    error: Exception, status: int, code: str | None, stream: bool
) -> None:
    answer = await ask([[], error], stream=stream)
    assert answer.status_code == status
    said = answer.json()["error"]
    assert said["code"] == code
    assert said["param"] == getattr(error, "param", None)
    assert said["message"].startswith(getattr(error, "message", "The server made a mistake"))
    assert "ZeroDivision" not in answer.text
    assert "internal" not in said["message"]


async def test_an_error_of_a_whole_answer_throws_no_half_answer_out() -> None:
    answer = await ask([[ContentDelta("Hel")], EngineFailure("died")])
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "died"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("tokens", [[], [ContentDelta("Hel")]])
async def test_a_client_that_disconnects_ends_the_turn(stream: bool, tokens: list[Event]) -> None:
    turns = ScriptedTurns([tokens, asyncio.Event()])
    async with serving(scripted_app(scripted_services(turns))) as url, httpx.AsyncClient(base_url=url) as client:
        asking = asyncio.create_task(client.post(PATH, json={**CHAT, "stream": stream}))
        await turns.waiting.wait()
        asking.cancel()
        await asyncio.wait_for(turns.closed.wait(), 10)
    assert turns.cancelled == 1


async def test_a_turn_that_is_answered_is_not_cancelled() -> None:
    turns = ScriptedTurns()
    async with serving(scripted_app(scripted_services(turns))) as url, httpx.AsyncClient(base_url=url) as client:
        for stream in (False, True):
            assert (await client.post(PATH, json={**CHAT, "stream": stream})).status_code == 200
    assert (turns.closed.is_set(), turns.cancelled) == (True, 0)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is empty"),
        (b" \n", "The body is empty"),
        (b'{"model": }', "line 1 column 11"),
        (b'{"model": "\xff"}', "The body is not valid JSON"),
        (b"[1, 2]", "The body must be a JSON object, not a list."),
        (b'"hi"', "The body must be a JSON object, not a string."),
        (b"null", "The body must be a JSON object, not null."),
        (b"model=tiny", "The body is not valid JSON"),
        (b"[" * 100_000, "The body is not valid JSON"),
        (b'{"model": NaN}', "The body is not valid JSON"),
        (b'{"model": "\\ud800", "messages": []}', "The body is not valid JSON"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_a_body_that_is_no_json_object_is_explained(body: bytes, message: str) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.post(PATH, content=body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]
    assert answer.json()["error"]["code"] == "invalid_json"


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", ""])
async def test_the_content_type_does_not_matter(content_type: str) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.post(PATH, content=orjson.dumps(CHAT), headers={"Content-Type": content_type})
    assert answer.status_code == 200


async def test_a_byte_order_mark_does_not_matter() -> None:
    async with client_of(scripted_app()) as client:
        assert (await client.post(PATH, content=b"\xef\xbb\xbf" + orjson.dumps(CHAT))).status_code == 200


async def test_a_wrong_field_is_a_400_that_names_it() -> None:
    answer = await ask(HELLO, temperature="hot")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "temperature")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["messages", "tools", "tool_choice", "stop", "stream_options", "reasoning", "logit_bias", "n", "temperature"]
)
PARTS = ["role", "content", "tool_calls", "function_call", "name", "tool_call_id", "reasoning", "type", "function"]
NEARLY = st.dictionaries(st.sampled_from(PARTS), JSON | st.sampled_from(["user", "tool", "function"]), max_size=5)


@given(
    JSON
    | st.fixed_dictionaries({"model": st.just("tiny"), "messages": st.lists(NEARLY, max_size=3)})
    | st.dictionaries(FIELDS, JSON | st.lists(NEARLY, max_size=2), max_size=4).map(lambda fields: {**CHAT, **fields})
)
async def test_no_json_is_the_servers_fault(body: Any) -> None:
    async with client_of(scripted_app()) as client:
        # The standard library's writer, because orjson will not write what it will not read.
        answer = await client.post(PATH, json=body)
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        error = answer.json()["error"]
        assert error["message"]
        assert error["type"] == "invalid_request_error"


async def test_a_chat_of_many_messages_is_read_all_the_same() -> None:
    turns = ScriptedTurns(HELLO)
    async with client_of(scripted_app(scripted_services(turns))) as client:
        many = await client.post(PATH, json={**CHAT, "messages": MESSAGES * 2_000})
        wrong = await client.post(PATH, json={**CHAT, "messages": [*MESSAGES * 2_000, {"role": "nobody"}]})

    assert (many.status_code, len(turns.requests[0].messages)) == (200, 2_000)
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "messages[2000].role")
