"""/responses over a real connection, as SDKs and curl use it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.errors import BadRequest, ContextLengthExceeded, EngineFailure, EngineUnavailable, ModelNotFound
from lemonade_like.store.responses import ResponseStore, StoreLimits
from lemonade_like.turns.events import (
    ContentDelta,
    Finish,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
    Usage,
)
from tests.support.responses import WEATHER, checked, events_of, put_together
from tests.support.server import serving
from tests.support.turns import HELLO, ScriptedTurns, Step, client_of, scripted_app, scripted_services

PATHS = ["/v1/responses", "/api/v1/responses"]
PATH = PATHS[0]
BODY: dict[str, Any] = {"model": "tiny", "input": "Hi"}
FULL: list[Step] = [
    [ReasoningDelta("hm"), ContentDelta("Let me ", "commentary")],
    [ContentDelta("look.", "commentary"), ToolCallStart(0, "call_1", "look"), ToolCallArgumentsDelta(0, '{"a":')],
    [ToolCallArgumentsDelta(0, "1}"), Finish("tool_calls", Usage(9, 8, 3, 5))],
]


async def ask(script: list[Step], path: str = PATH, **fields: Any) -> httpx.Response:
    async with client_of(scripted_app(scripted_services(ScriptedTurns(script)))) as client:
        return await client.post(path, json={**BODY, **fields})


def error_of(answer: httpx.Response) -> dict[str, Any]:
    whole = answer.json()
    assert set(whole) == {"error"}
    assert set(whole["error"]) == {"message", "type", "param", "code"}
    error: dict[str, Any] = whole["error"]
    return error


@pytest.mark.parametrize("path", PATHS)
async def test_a_whole_response_and_a_stream(path: str) -> None:
    whole = checked((await ask(FULL, path)).json())
    answer = await ask(FULL, path, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    pieces = put_together(events_of(answer.content))
    kinds = [(item["type"], item.get("arguments")) for item in pieces["output"]]
    assert kinds == [(item["type"], item.get("arguments")) for item in whole["output"]]
    assert kinds == [("reasoning", None), ("message", None), ("function_call", '{"a":1}')]


async def test_an_input_of_items_with_nothing_in_it_is_refused() -> None:
    answer = await ask(HELLO, input=[])
    assert (answer.status_code, error_of(answer)["param"]) == (400, "input")
    async with client_of(scripted_app()) as client:
        without = await client.post(PATH, json={"model": "tiny"})
    assert without.status_code == 400


@pytest.mark.parametrize("field", ["background", "conversation", "prompt", "moderation"])
async def test_what_cannot_be_done_is_refused_by_name(field: str) -> None:
    answer = await ask(HELLO, **{field: {"id": "x"}})
    assert (answer.status_code, error_of(answer)["param"]) == (400, field)
    assert "not supported here" in error_of(answer)["message"]
    assert (await ask(HELLO, **{field: None})).status_code == 200


async def test_tools_that_are_left_out_are_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        answer = await ask(HELLO, tools=[{"type": "local_shell"}, WEATHER])
    assert [tool["type"] for tool in answer.json()["tools"]] == ["function"]
    assert "tools_left_out=local_shell" in caplog.text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "param"),
    [
        (BadRequest("'messages[2].content' is no.", param="messages[2].content"), 400, "input[2].content"),
        (ContextLengthExceeded("It has 9 tokens.", param="messages"), 400, "input"),
        (BadRequest("'tools[0].function.parameters' is no.", param="tools[0].function.parameters"), 400, "tools[0]"),
        (BadRequest("messages[-1] is no.", param="messages[-1].content"), 400, "previous_response_id"),
        (ModelNotFound("who?", param="model"), 404, "model"),
        (EngineFailure("cannot load", log_tail="bad magic"), 500, ""),
        (EngineUnavailable("bye"), 503, ""),
    ],
    ids=repr,
)
async def test_what_fails_before_the_first_event_has_its_status_and_the_names_of_this_api(
    error: Exception, status: int, param: str, stream: bool
) -> None:
    answer = await ask([error], stream=stream)
    told = error_of(answer)
    assert answer.status_code == status
    assert (told["param"] or "").startswith(param)
    assert "messages" not in told["message"] and ".function." not in told["message"]


@pytest.mark.parametrize("error", [EngineFailure("The engine died."), ZeroDivisionError("swordfish")])
async def test_the_sdk_reads_a_failure_in_the_stream(error: Exception) -> None:
    script: list[Step] = [[ContentDelta("Hel")], error]
    async with (
        serving(scripted_app(scripted_services(ScriptedTurns(script)))) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        events = [event async for event in await client.responses.create(**BODY, stream=True)]
    *_, told, failed = events
    assert (told.type, failed.type) == ("error", "response.failed")
    assert failed.type == "response.failed" and failed.response.output_text == "Hel"
    assert "swordfish" not in str(events)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_the_turn_and_nothing_is_kept(stream: bool) -> None:
    turns, store = ScriptedTurns([[ContentDelta("Hel")], asyncio.Event()]), ResponseStore(None)
    async with serving(scripted_app(scripted_services(turns, responses=store))) as url, httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.post(f"{url}{PATH}", json={**BODY, "stream": stream}))
        await turns.waiting.wait()
        asking.cancel()
        await turns.closed.wait()
    assert turns.cancelled == 1
    assert store._connection is None


async def test_a_conversation_goes_on_with_what_was_said() -> None:
    turns = ScriptedTurns(FULL)
    async with client_of(scripted_app(scripted_services(turns))) as client:
        first = (await client.post(PATH, json={**BODY, "instructions": "Be brief."})).json()
        output = {"type": "function_call_output", "call_id": "call_1", "output": "seen"}
        second = (await client.post(PATH, json={**BODY, "input": [output], "previous_response_id": first["id"]})).json()
        third = await client.post(PATH, json={**BODY, "previous_response_id": second["id"]})
    assert third.status_code == 200
    asked = turns.requests[1].messages
    assert [(message.role, message.text, message.reasoning) for message in asked] == [
        ("user", "Hi", None),
        ("assistant", "Let me look.", "hm"),
        ("tool", "seen", None),
    ]
    assert asked[1].tool_calls[0].id == "call_1"
    assert [message.role for message in turns.requests[2].messages][:3] == ["user", "assistant", "tool"]


async def test_a_long_conversation_goes_on_too() -> None:
    turns = ScriptedTurns(HELLO)
    said = [{"role": "user", "content": str(number)} for number in range(600)]
    async with client_of(scripted_app(scripted_services(turns))) as client:
        first = (await client.post(PATH, json={**BODY, "input": said})).json()
        await client.post(PATH, json={**BODY, "previous_response_id": first["id"]})
    assert [len(request.messages) for request in turns.requests] == [600, 602]


async def test_keys_have_conversations_of_their_own() -> None:
    store = ResponseStore(None)
    async with client_of(scripted_app(scripted_services(responses=store), api_key="one")) as client:
        mine = {"Authorization": "Bearer one"}
        made = (await client.post(PATH, json=BODY, headers=mine)).json()["id"]
        assert (await client.get(f"{PATH}/{made}", headers=mine)).status_code == 200
        assert (await client.get(f"{PATH}/{made}")).status_code == 401
    async with client_of(scripted_app(scripted_services(responses=store))) as client:
        for method, path in (("GET", made), ("DELETE", made), ("GET", f"{made}/input_items")):
            assert (await client.request(method, f"{PATH}/{path}")).status_code == 404
        answer = await client.post(PATH, json={**BODY, "previous_response_id": made})
        assert error_of(answer)["code"] == "previous_response_not_found"


async def test_a_server_that_keeps_nothing_says_so() -> None:
    store = ResponseStore(None, StoreLimits(max_bytes=0))
    async with client_of(scripted_app(scripted_services(responses=store))) as client:
        made = (await client.post(PATH, json=BODY)).json()
        assert made["store"] is False
        missing = await client.get(f"{PATH}/{made['id']}")
    assert (missing.status_code, error_of(missing)["code"]) == (404, "response_not_found")


async def test_a_broken_chain_names_the_response_that_is_gone() -> None:
    async with client_of(scripted_app()) as client:
        first = (await client.post(PATH, json=BODY)).json()["id"]
        second = (await client.post(PATH, json={**BODY, "previous_response_id": first})).json()["id"]
        deleted = (await client.delete(f"{PATH}/{first}")).json()
        answer = await client.post(PATH, json={**BODY, "previous_response_id": second})
    assert deleted == {"id": first, "object": "response", "deleted": True}
    assert answer.status_code == 400
    assert first in error_of(answer)["message"]


async def test_an_item_that_is_not_kept_cannot_be_referred_to() -> None:
    for item_id in ("msg_nobody", f"rs_{'0' * 48}_0"):
        answer = await ask(HELLO, input=[{"type": "item_reference", "id": item_id}])
        assert (answer.status_code, error_of(answer)["code"]) == (404, "item_not_found")


@pytest.mark.parametrize(
    ("query", "param"), [("limit=0", "limit"), ("order=up", "order"), ("after=x", "after"), ("limit=many", "limit")]
)
async def test_a_wrong_query_is_refused_by_name(query: str, param: str) -> None:
    async with client_of(scripted_app()) as client:
        made = (await client.post(PATH, json=BODY)).json()["id"]
        answer = await client.get(f"{PATH}/{made}/input_items?{query}")
    assert (answer.status_code, error_of(answer)["param"]) == (400, param)


async def test_a_kept_response_is_not_streamed() -> None:
    async with client_of(scripted_app()) as client:
        made = (await client.post(PATH, json=BODY)).json()["id"]
        answer = await client.get(f"{PATH}/{made}?stream=true")
    assert (answer.status_code, error_of(answer)["param"]) == (400, "stream")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=2) | st.dictionaries(st.text(max_size=5), children, max_size=2),
    max_leaves=4,
)
_ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "item_reference"]
        )
        | _JSON,
        "role": st.sampled_from(["user", "assistant", "system"]) | _JSON,
        "call_id": st.just("c") | _JSON,
        **dict.fromkeys(
            ["id", "content", "name", "arguments", "input", "output", "summary", "encrypted_content", "phase"],
            st.text(max_size=5) | _JSON,
        ),
    },
)
_FIELDS = ["instructions", "tools", "tool_choice", "reasoning", "text", "include", "metadata", "stream", "store"]
_BODIES = st.fixed_dictionaries(
    {"model": st.just("tiny"), "input": st.lists(_ITEMS, max_size=3) | _JSON}, optional=dict.fromkeys(_FIELDS, _JSON)
)


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client that many requests share."""
    async with client_of(scripted_app()) as client:
        yield client


@given(body=_BODIES)
async def test_no_body_is_the_servers_fault(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    answer = await client.post(PATH, content=orjson.dumps(body))
    assert answer.status_code in (200, 400, 404), answer.text
    if answer.status_code != 200:
        assert error_of(answer)["type"] == "invalid_request_error"
        assert error_of(answer)["message"]
