"""One conversation as each API's clients would send it. An API that is added has its dialect here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from lemonade_like.api.anthropic.calls import shown_id
from lemonade_like.api.anthropic.schema import MessagesRequest
from lemonade_like.api.anthropic.turn import turn_request as of_messages
from lemonade_like.api.openai.responses.schema import ResponsesRequest
from lemonade_like.api.openai.responses.turn import turn_request as of_responses
from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.api.openai.turn import turn_request as of_chat
from lemonade_like.api.validation import validated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lemonade_like.harmony.messages import ChatMessage, FunctionTool
    from lemonade_like.turns.request import TurnRequest


@dataclass(frozen=True)
class Conversation:
    """What is said, in no dialect. ``arguments`` of its calls are JSON objects."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[FunctionTool, ...] = ()
    effort: str | None = None
    calls_forbidden: bool = False
    answer_schema: dict[str, Any] | None = field(default=None)


def chat_request(said: Conversation) -> TurnRequest:
    """As a chat completion."""
    body: dict[str, Any] = {"model": "m", "messages": [_chat_message(message) for message in said.messages]}
    if said.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
            }
            for tool in said.tools
        ]
    if said.calls_forbidden:
        body["tool_choice"] = "none"
    if said.effort is not None:
        body["reasoning_effort"] = said.effort
    if said.answer_schema is not None:
        schema = {"name": "answer", "schema": said.answer_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return of_chat(validated(ChatCompletionRequest, body))


def _chat_message(message: ChatMessage) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.reasoning:
        written["reasoning_content"] = message.reasoning
    if message.tool_calls:
        written["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        written["tool_call_id"] = message.tool_call_id
    return written


def messages_request(said: Conversation) -> TurnRequest:
    """As a message of Anthropic's API: results, and what the user says after them, in one message."""
    messages: list[dict[str, Any]] = []
    body: dict[str, Any] = {"model": "m", "max_tokens": 1_000, "messages": messages}
    for message in said.messages:
        if message.role == "system":
            if "system" not in body and not messages:
                body["system"] = message.text
            else:
                messages.append({"role": "system", "content": message.text})
            continue
        role = "assistant" if message.role == "assistant" else "user"
        follows_results = bool(messages) and _is_of_results(messages[-1])
        if role == "user" and follows_results:
            messages[-1]["content"] += _blocks(message)
        else:
            messages.append({"role": role, "content": _blocks(message)})
    if said.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters} for tool in said.tools
        ]
    if said.calls_forbidden:
        body["tool_choice"] = {"type": "none"}
    if said.effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif said.effort is not None:
        body["output_config"] = {"effort": said.effort}
    if said.answer_schema is not None:
        body.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": said.answer_schema}
    return of_messages(validated(MessagesRequest, body))


def _is_of_results(message: dict[str, Any]) -> bool:
    return message["role"] == "user" and all(block["type"] == "tool_result" for block in message["content"])


def _blocks(message: ChatMessage) -> list[dict[str, Any]]:
    text = {"type": "text", "text": message.text}
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": shown_id(message.tool_call_id or ""), "content": [text]}]
    blocks: list[dict[str, Any]] = []
    if message.reasoning:
        blocks.append({"type": "thinking", "thinking": message.reasoning, "signature": "s"})
    if message.text or message.role == "user":
        blocks.append(text)
    for call in message.tool_calls:
        value = orjson.loads(call.arguments)
        blocks.append({"type": "tool_use", "id": shown_id(call.id), "name": call.name, "input": value})
    return blocks


def responses_request(said: Conversation) -> TurnRequest:
    """As a response: what the assistant said and called is one item each."""
    body: dict[str, Any] = {"model": "m", "input": [item for message in said.messages for item in _items(message)]}
    if said.tools:
        body["tools"] = [
            {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in said.tools
        ]
    if said.calls_forbidden:
        body["tool_choice"] = "none"
    if said.effort is not None:
        body["reasoning"] = {"effort": said.effort}
    if said.answer_schema is not None:
        body["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": said.answer_schema}}
    return of_responses(validated(ResponsesRequest, body))


def _items(message: ChatMessage) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.tool_call_id, "output": message.text}
        return
    if message.reasoning:
        yield {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": message.reasoning}]}
    if message.role != "assistant":
        yield {"role": message.role, "content": message.text}
    elif message.text:
        yield {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": message.text}]}
    for call in message.tool_calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


DIALECTS: Mapping[str, Callable[[Conversation], TurnRequest]] = {
    "chat": chat_request,
    "messages": messages_request,
    "responses": responses_request,
}
