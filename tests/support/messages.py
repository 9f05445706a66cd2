"""Anthropic's streams, read as the documentation says: events with names, put together block by block."""

from __future__ import annotations

import json
from typing import Any

import orjson
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from pydantic import TypeAdapter

_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
_BETA_EVENT: TypeAdapter[Any] = TypeAdapter(BetaRawMessageStreamEvent)

#: The tool of OpenAI's own documentation, as Anthropic's clients declare it.
WEATHER: Any = {
    "name": "get_weather",
    "description": "Get the current weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "The city."}},
        "required": ["location"],
    },
}


def events_of(stream: bytes, *, beta: bool = False) -> list[dict[str, Any]]:
    """The data of each event, which has the name of its type; strictly of the SDK's types, or of its ``beta`` ones."""
    events = []
    *written, rest = stream.decode().split("\n\n")
    assert rest == ""
    for event in written:
        name, data = event.split("\n")
        events.append(orjson.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
        if events[-1]["type"] not in ("ping", "error"):
            (_BETA_EVENT if beta else _EVENT).validate_python(events[-1], strict=True)
    return events


def checked(message: dict[str, Any], *, beta: bool = False) -> dict[str, Any]:
    """A whole message, strictly of the SDK's type, or of its ``beta`` one."""
    (BetaMessage if beta else Message).model_validate(message, strict=True)
    return message


def put_together(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client has at the end of a stream; checks that each event may stand where it does."""
    started, *blocks, delta, stopped = [event for event in events if event["type"] != "ping"]
    assert [each["type"] for each in (started, delta, stopped)] == ["message_start", "message_delta", "message_stop"]
    message: dict[str, Any] = started["message"]
    content: list[dict[str, Any]] = message["content"]
    inputs: dict[int, str] = {}
    open_block: int | None = None
    for event in blocks:
        if event["type"] == "content_block_start":
            assert (open_block, event["index"]) == (None, len(content))
            open_block = event["index"]
            content.append(event["content_block"])
            continue
        assert event["index"] == open_block
        if event["type"] == "content_block_stop":
            if content[-1]["type"] == "tool_use":
                content[-1]["input"] = json.loads(inputs.pop(event["index"], "{}"))
            open_block = None
            continue
        change = event["delta"]
        if change["type"] == "input_json_delta":
            inputs[event["index"]] = inputs.get(event["index"], "") + change["partial_json"]
        elif change["type"] == "signature_delta":
            content[-1]["signature"] = change["signature"]
        else:
            content[-1][change["type"].removesuffix("_delta")] += change[change["type"].removesuffix("_delta")]
    assert open_block is None
    return {**message, **delta["delta"], "usage": {**message["usage"], **delta["usage"]}}
