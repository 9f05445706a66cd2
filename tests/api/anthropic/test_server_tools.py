"""Tools of the server in a Messages request, and their calls in a conversation and in an answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from pydantic import TypeAdapter

from lemonade_like.api.anthropic.schema import MessagesRequest
from lemonade_like.api.anthropic.turn import turn_request
from lemonade_like.api.anthropic.writer import EventWriter, MessageFold, MessageHeader
from lemonade_like.api.validation import validated
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.messages import ChatMessage, TextPart, ToolCall
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    ReasoningDelta,
    ServerToolCall,
    ServerToolResult,
    ServerTools,
    Usage,
)
from lemonade_like.turns.request import ToolServerUse, TurnRequest
from tests.support.messages import WEATHER

FILES = {"type": "url", "name": "files"}
TOOLSET = {"type": "mcp_toolset", "mcp_server_name": "files"}
USER: dict[str, Any] = {"role": "user", "content": "Hi"}

EVENTS: list[Event] = [
    ServerTools("files", ()),
    ReasoningDelta("hm"),
    ServerToolCall(0, "call_1", "files", "read/all", '{"a":1}', 0),
    ServerToolCall(1, "call_2", "files", "read", "{", 0),
    ServerToolResult(1, "call_2", "two", failed=True),
    ServerToolResult(0, "call_1", "one"),
    ReasoningDelta("\nI see."),
    ContentDelta("Done."),
    Finish("stop", Usage(10, 5)),
]


def turn(**fields: Any) -> TurnRequest:
    return turn_request(validated(MessagesRequest, {"model": "m", "max_tokens": 9, "messages": [USER], **fields}))


@pytest.mark.parametrize(
    ("toolset", "allowed", "excluded"),
    [
        ({}, None, set()),
        ({"default_config": {"enabled": True, "defer_loading": True}}, None, set()),
        ({"configs": {"read": {"enabled": False}, "write": {}}}, None, {"read"}),
        ({"default_config": {"enabled": False}, "configs": {"read": {"enabled": True}, "x": {}}}, {"read"}, set()),
        ({"default_config": {"enabled": False}}, set(), set()),
    ],
)
def test_a_toolset_says_which_tools_of_its_server_may_be_called(
    toolset: dict[str, Any], allowed: set[str] | None, excluded: set[str]
) -> None:
    asked = turn(mcp_servers=[FILES], tools=[WEATHER, {**TOOLSET, **toolset}], max_tool_rounds=2)
    names = None if allowed is None else frozenset(allowed)

    assert asked.tool_servers == (
        ToolServerUse("files", names, index=1, param="tools[1].mcp_server_name", excluded=frozenset(excluded)),
    )
    assert [tool.name for tool in asked.tools] == ["get_weather"]
    assert asked.max_tool_rounds == 2


def test_a_server_has_one_toolset() -> None:
    with pytest.raises(BadRequest) as caught:
        turn(mcp_servers=[FILES], tools=[TOOLSET, TOOLSET])
    assert caught.value.param == "tools[1].mcp_server_name"


def test_what_may_be_chosen_is_checked_when_the_servers_tools_are_known() -> None:
    asked = turn(mcp_servers=[FILES], tools=[TOOLSET], tool_choice={"type": "tool", "name": "read"})
    assert (asked.allowed_tools, asked.tool_choice) == ({"read"}, "required")


def test_an_answer_has_blocks_for_each_call_and_its_result() -> None:
    header = MessageHeader("m", 100)
    fold = MessageFold(header)
    fold.add(EVENTS)
    message = orjson.loads(fold.answer())
    BetaMessage.model_validate(message, strict=True)
    thought, first, second, failed, done, more, text = message["content"]

    assert (first["type"], first["server_name"], first["name"], first["input"]) == (
        "mcp_tool_use",
        "files",
        "read/all",
        {"a": 1},
    )
    assert second["input"] == {"INVALID_JSON": "{"}
    assert (failed["tool_use_id"], failed["is_error"], failed["content"][0]["text"]) == (second["id"], True, "two")
    assert (done["tool_use_id"], done["is_error"], done["content"][0]["text"]) == (first["id"], False, "one")
    assert [thought["thinking"], more["thinking"], text["text"]] == ["hm", "I see.", "Done."]
    assert message["stop_reason"] == "end_turn"
    assert _streamed(EventWriter(header)) == message["content"]


def _streamed(writer: EventWriter) -> list[dict[str, Any]]:
    """The blocks of the stream, whose events are strictly of the SDK's types."""
    adapter: TypeAdapter[Any] = TypeAdapter(BetaRawMessageStreamEvent)
    blocks: list[dict[str, Any]] = []
    for event in (writer.write(EVENTS) + writer.end()).decode().split("\n\n")[:-1]:
        data = orjson.loads(event.partition("\ndata: ")[2])
        adapter.validate_python(data, strict=True)
        if data["type"] == "content_block_start":
            blocks.append(data["content_block"])
        elif data["type"] == "content_block_delta":
            delta = data["delta"]
            if delta["type"] == "input_json_delta":
                blocks[-1]["input"] = orjson.loads(delta["partial_json"])
            else:
                field = delta["type"].removesuffix("_delta")
                blocks[-1][field] = blocks[-1].get(field, "") + delta[field]
    return blocks


def test_the_blocks_of_an_answer_come_back_as_the_model_wrote_and_read_them() -> None:
    fold = MessageFold(MessageHeader("m", 100))
    fold.add(EVENTS)
    asked = turn(messages=[USER, {"role": "assistant", "content": orjson.loads(fold.answer())["content"]}, USER])
    calls = (ToolCall("call_1", "read_all", '{"a":1}'), ToolCall("call_2", "read", "{"))

    assert list(asked.messages[1:5]) == [
        ChatMessage("assistant", reasoning="hm", tool_calls=calls),
        ChatMessage("tool", (TextPart("Error: two"),), tool_call_id="call_2"),
        ChatMessage("tool", (TextPart("one"),), tool_call_id="call_1"),
        ChatMessage("assistant", (TextPart("Done."),), reasoning="I see."),
    ]
    assert asked.server_calls == {"call_1": ("files", "read/all"), "call_2": ("files", "read")}


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "mcp_tool_use", "id": "x", "name": "read", "input": {}}, "server_name"),
        ({"type": "mcp_tool_use", "id": "x", "server_name": "files", "input": {}}, "name"),
        ({"type": "mcp_tool_result", "tool_use_id": "nobody", "content": "x"}, "tool_use_id"),
    ],
)
def test_a_block_that_is_not_whole_is_refused(block: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        turn(messages=[USER, {"role": "assistant", "content": [block]}])
    assert caught.value.param == f"messages[1].content[0].{param}"
