"""What a response repeats of the request, with what holds where the request does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lemonade_like.api.openai.responses.tools import custom_tools, namespaces, offered_tools
from lemonade_like.api.openai.responses.writer import ResponseHeader

if TYPE_CHECKING:
    from lemonade_like.api.openai.responses.schema import (
        ResponsesRequest,
        ResponseToolChoiceIn,
        ResponseToolIn,
        TextConfigIn,
    )


def response_header(body: ResponsesRequest, *, stored: bool, listed: frozenset[str] = frozenset()) -> ResponseHeader:
    """Return the header of the response to this request.

    ``stored`` says whether it will be kept; ``listed`` are the tool servers of which the conversation tells already.
    """
    reasoning = body.reasoning
    asked = {
        "model": body.model,
        "instructions": body.instructions,
        "previous_response_id": body.previous_response_id,
        "metadata": body.metadata or {},
        "tools": [_tool(tool) for tool in offered_tools(body.tools)],
        "tool_choice": _tool_choice(body.tool_choice),
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "top_logprobs": body.top_logprobs or 0,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "reasoning": {
            "effort": reasoning.effort if reasoning is not None else None,
            "summary": reasoning.summary if reasoning is not None else None,
        },
        "text": _text(body.text),
        "truncation": "disabled",
        "store": stored,
        "background": False,
        "service_tier": "default",
        "user": body.user,
        "safety_identifier": body.safety_identifier,
        "prompt_cache_key": body.prompt_cache_key,
    }
    custom, inside = custom_tools(body.tools), namespaces(body.tools)
    return ResponseHeader(asked, custom, body.wants_encrypted_reasoning, listed, inside)


def _tool(tool: ResponseToolIn) -> dict[str, Any]:
    if tool.is_on_server:
        said = {"server_label", "server_description", "allowed_tools"}
        return {"type": "mcp", "require_approval": "never", **tool.model_dump(include=said, exclude_none=True)}
    if tool.type == "namespace":
        inner = [_tool(one) for one in offered_tools(tool.tools)]
        return {"type": tool.type, "name": tool.name, "description": tool.description or "", "tools": inner}
    if tool.type == "custom":
        return tool.model_dump(exclude_none=True, include={"type", "name", "description", "format"})
    return {
        "type": tool.type,
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": bool(tool.strict),
    }


def _tool_choice(choice: ResponseToolChoiceIn | None) -> str | dict[str, Any]:
    if choice is None:
        return "auto"
    if choice.type in ("none", "auto", "required"):
        return choice.type
    return choice.model_dump(exclude_none=True)


def _text(text: TextConfigIn | None) -> dict[str, Any]:
    verbosity = text.verbosity if text is not None and text.verbosity is not None else "medium"
    wanted = text.format if text is not None else None
    if wanted is None or wanted.type != "json_schema":
        return {"format": {"type": wanted.type if wanted is not None else "text"}, "verbosity": verbosity}
    schema = wanted.schema_ if isinstance(wanted.schema_, dict) else {}
    described = {"description": wanted.description, "strict": wanted.strict is not False}
    return {
        "format": {"type": "json_schema", "name": wanted.name, "schema": schema, **described},
        "verbosity": verbosity,
    }
