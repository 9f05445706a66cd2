"""OpenAI's response streams, read as the documentation says: events in their order, put together item by item."""

from __future__ import annotations

from typing import Any

import orjson
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

#: The tool of OpenAI's own documentation, in the flat form of this API.
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "The city."}},
        "required": ["location"],
    },
    "strict": False,
}

_TEXTS = {"reasoning": "reasoning_text", "message": "output_text"}
_CALLS = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The data of each event, which has the name of its type and the next number; strictly of the SDK's types."""
    events: list[dict[str, Any]] = []
    *written, rest = stream.decode().split("\n\n")
    assert rest == ""
    for event in written:
        if event.startswith(":"):
            continue
        name, data = event.split("\n")
        events.append(orjson.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
        assert events[-1]["sequence_number"] == len(events) - 1
        _EVENT.validate_json(data.removeprefix("data: "), strict=True)
    return events


def checked(response: dict[str, Any]) -> dict[str, Any]:
    """A whole response, strictly of the SDK's type."""
    Response.model_validate_json(orjson.dumps(response), strict=True)
    return response


def put_together(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client has at the end of a stream, made of its deltas; checks that each event may stand where it does."""
    created, in_progress, *middle, last = events
    assert (created["type"], in_progress["type"]) == ("response.created", "response.in_progress")
    assert created["response"] == in_progress["response"]
    assert (created["response"]["status"], created["response"]["output"]) == ("in_progress", [])
    response: dict[str, Any] = last["response"]
    assert last["type"] == f"response.{response['status']}"
    items: list[dict[str, Any]] = []
    steps = iter(middle)
    for event in steps:
        if event["type"].startswith("response.mcp_call."):
            items[event["output_index"]] = _returned(items[event["output_index"]], event, next(steps))
            continue
        assert event["type"] == "response.output_item.added", event
        item = event["item"]
        if item["type"].startswith("mcp_"):
            assert event["output_index"] == len(items)
            items.append(_offer(item, steps) if item["type"] == "mcp_list_tools" else _server_call(item, steps))
            continue
        assert (event["output_index"], item["status"]) == (len(items), "in_progress")
        items.append(_text_item(item, steps) if item["type"] in _TEXTS else _call_item(item, steps))
        done = next(steps)
        assert (done["type"], done["output_index"]) == ("response.output_item.done", len(items) - 1)
        items[-1]["status"] = done["item"]["status"]
        assert done["item"]["status"] != "in_progress"
        encrypted = done["item"].get("encrypted_content")
        assert done["item"] == {**items[-1], **({} if encrypted is None else {"encrypted_content": encrypted})}
        items[-1] = done["item"]
    assert response["output"] == items
    return {**response, "output": items}


def _text_item(item: dict[str, Any], steps: Any) -> dict[str, Any]:
    assert item["content"] == []
    kind = _TEXTS[item["type"]]
    added = next(steps)
    assert (added["type"], added["part"]["text"]) == ("response.content_part.added", "")
    text, logprobs = "", []
    for event in steps:
        assert (event["item_id"], event["content_index"]) == (item["id"], 0)
        if event["type"] == f"response.{kind}.done":
            break
        assert event["type"] == f"response.{kind}.delta"
        assert event["delta"]
        text += event["delta"]
        logprobs += event.get("logprobs", [])
    part = {**added["part"], "text": text}
    if kind == "output_text":
        part["logprobs"] = logprobs
        assert event["logprobs"] == logprobs
    done = next(steps)
    assert (event["text"], done["type"], done["part"]) == (text, "response.content_part.done", part)
    return {**item, "content": [part]}


def _call_item(item: dict[str, Any], steps: Any) -> dict[str, Any]:
    kind, field = _CALLS[item["type"]]
    assert item[field] == ""
    text = ""
    for event in steps:
        assert event["item_id"] == item["id"]
        if event["type"] == f"{kind}.done":
            break
        assert event["type"] == f"{kind}.delta"
        text += event["delta"]
    assert event[field] == text
    return {**item, field: text}


def _offer(item: dict[str, Any], steps: Any) -> dict[str, Any]:
    assert item["tools"] == []
    for kind in ("in_progress", "completed"):
        event = next(steps)
        assert (event["type"], event["item_id"]) == (f"response.mcp_list_tools.{kind}", item["id"])
    done = next(steps)
    assert done["type"] == "response.output_item.done"
    assert done["item"] == {**item, "tools": done["item"]["tools"]}
    return done["item"]


def _server_call(item: dict[str, Any], steps: Any) -> dict[str, Any]:
    """A call that the server runs: others may begin before it has its result."""
    assert (item["status"], item["arguments"], item["output"]) == ("in_progress", "", None)
    event = next(steps)
    assert (event["type"], event["item_id"]) == ("response.mcp_call.in_progress", item["id"])
    arguments = ""
    while (event := next(steps))["type"] == "response.mcp_call_arguments.delta":
        arguments += event["delta"]
    assert (event["type"], event["arguments"]) == ("response.mcp_call_arguments.done", arguments)
    return {**item, "arguments": arguments}


def _returned(item: dict[str, Any], event: dict[str, Any], done: dict[str, Any]) -> dict[str, Any]:
    assert event["item_id"] == item["id"]
    assert (done["type"], done["output_index"]) == ("response.output_item.done", event["output_index"])
    status = event["type"].removeprefix("response.mcp_call.")
    result = {field: done["item"][field] for field in ("output", "error")}
    assert done["item"] == {**item, **result, "status": status}
    return done["item"]
