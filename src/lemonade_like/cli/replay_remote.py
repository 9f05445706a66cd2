"""A recorded turn asked once more of a server that runs, through its Chat Completions API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lemonade_like.harmony.messages import ChatMessage, TextPart
from lemonade_like.turns.recorded.difference import first_difference, text_difference
from lemonade_like.turns.recorded.replay import CannotReplay, Replayed, why_not
from lemonade_like.turns.request import TurnRequest

if TYPE_CHECKING:
    from lemonade_like.cli.server_client import RunningServer
    from lemonade_like.turns.recorded.schema import Record


def ask_again(record: Record, *, server: RunningServer, render: bool) -> Replayed:
    """Have the server answer the request again, with the recorded seed; compare what a client gets.

    The server renders the prompt itself. With ``render``, it is asked for it, and that is compared too.

    Raises:
        CannotReplay: the turn ended before the engine was asked, or the model had written something.
        ServerRefused: the server cannot be reached, or refuses.
    """
    if why := why_not(record):
        raise CannotReplay(why)
    if not isinstance(record.request, TurnRequest):
        raise CannotReplay("a raw completion can be run again on an engine only")
    body = chat_body(record, record.request)
    other_prompt = None
    if render and record.prompt is not None:
        rendered = server.ask("POST", "/chat/completions/render", body)
        other_prompt = text_difference("prompt", record.prompt.text or "", rendered["prompt"])
    choice = server.ask("POST", "/chat/completions", body)["choices"][0]
    message = choice["message"]
    events: list[dict[str, Any]] = [
        {"type": "reasoning", "text": message.get("reasoning_content") or ""},
        {"type": "content", "text": message.get("content") or ""},
        *({"type": "tool_call", **call["function"]} for call in message.get("tool_calls") or ()),
    ]
    # What the server does not tell of a turn stays as it was recorded: it is no difference.
    unknown = {"output": None, "model": None, "engine": None}
    now = record.model_copy(update={"events": events, "finish_reason": choice["finish_reason"], **unknown})
    return Replayed(record, now, first_difference(record, now), other_prompt)


def chat_body(record: Record, request: TurnRequest) -> dict[str, Any]:
    """Return the turn as the body of a chat completion, with the seed that was drawn for it."""
    told = record.prompt.system if record.prompt else None
    sampling = request.sampling
    body = {
        "model": request.model,
        "messages": [_message(message) for message in request.messages],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                    "strict": tool.strict,
                },
            }
            for tool in request.tools
        ]
        or None,
        "tool_choice": _tool_choice(request),
        "parallel_tool_calls": request.parallel_tool_calls,
        "response_format": _response_format(request),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": (record.payload or {}).get("seed"),
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        **sampling.extra,
        "max_tokens": request.max_tokens,
        "stop": list(request.stop) or None,
        "reasoning_effort": request.reasoning_effort or (told.effort if told else None),
        "reasoning_budget": request.reasoning_budget,
        "reasoning_preset": request.reasoning_preset,
        "reasoning_format": "separate",
        "model_identity": told.model_identity if told else None,
        "knowledge_cutoff": told.knowledge_cutoff if told else None,
        "current_date": told.current_date if told else None,
    }
    return {name: value for name, value in body.items() if value is not None}


def _message(message: ChatMessage) -> dict[str, Any]:
    parts = [
        {"type": "text", "text": part.text} if isinstance(part, TextPart) else part.data for part in message.content
    ]
    said = {
        "role": message.role,
        "content": parts or None,
        "name": message.name,
        "reasoning_content": message.reasoning,
        "tool_calls": [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
        or None,
        "tool_call_id": message.tool_call_id,
        "channel": message.channel,
        "recipient": message.recipient,
        "content_type": message.content_type,
    }
    return {name: value for name, value in said.items() if value is not None}


def _tool_choice(request: TurnRequest) -> Any:
    if not request.tools or request.allowed_tools is None:
        return request.tool_choice if request.tools else None
    tools = [{"type": "function", "function": {"name": name}} for name in sorted(request.allowed_tools)]
    return {"type": "allowed_tools", "allowed_tools": {"mode": request.tool_choice, "tools": tools}}


def _response_format(request: TurnRequest) -> dict[str, Any] | None:
    wanted = request.response_format
    if wanted is None:
        return None
    named = {"name": wanted.name, "description": wanted.description, "schema": wanted.schema, "strict": wanted.strict}
    return {"type": "json_schema", "json_schema": named}
