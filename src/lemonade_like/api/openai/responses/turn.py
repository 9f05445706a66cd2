"""A request for a response as a turn: a pure translation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lemonade_like.api.openai.responses.items import chat, server_calls
from lemonade_like.api.openai.responses.schema import CountInputTokensRequest, NamedResponseToolIn, ResponsesRequest
from lemonade_like.api.openai.responses.tools import MCP, OWN, function_tools
from lemonade_like.api.openai.server_tools import server_uses
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.conversation import EFFORTS
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, TextPart
from lemonade_like.tools.catalogue import qualified
from lemonade_like.turns.choice import check_choice
from lemonade_like.turns.request import ResponseFormat, Sampling, ToolChoice, TurnRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lemonade_like.api.openai.responses.schema import ItemIn, TextFormatIn


def turn_request(body: CountInputTokensRequest, history: Sequence[ItemIn] = ()) -> TurnRequest:
    """Return what is asked of the turn; ``history`` is what was said before the input.

    Raises:
        BadRequest: an item lacks what its type needs or cannot be shown to a model, an output answers no call, there
            are no items, a tool is of an unknown type, two have one name, the tool choice asks for one that is not
            offered, or the effort is none that is known.
    """
    tools = function_tools(body.tools)
    servers = server_uses(body.tools or ())
    allowed, allowed_servers, choice = _chosen(tools, body, checked=not servers)
    sampled = body if isinstance(body, ResponsesRequest) else None
    messages = tuple(chat(history, body.input or ()))
    if not messages:
        raise BadRequest("'input' must not be empty.", param="input", code="invalid_value")
    return TurnRequest(
        model=body.model,
        messages=(*_instructions(body.instructions), *messages),
        tools=tools,
        tool_choice=choice,
        allowed_tools=allowed,
        parallel_tool_calls=body.parallel_tool_calls is not False,
        response_format=_response_format(body.text.format if body.text is not None else None),
        sampling=Sampling() if sampled is None else Sampling(temperature=sampled.temperature, top_p=sampled.top_p),
        max_tokens=None if sampled is None else sampled.max_output_tokens,
        reasoning_effort=_effort(body),
        top_logprobs=(sampled.top_logprobs or 0) if sampled is not None and sampled.wants_logprobs else None,
        whole=sampled is not None and not sampled.stream,
        tool_servers=servers,
        allowed_servers=allowed_servers,
        max_tool_rounds=None if sampled is None else sampled.max_tool_rounds,
        max_server_calls=None if sampled is None else sampled.max_tool_calls,
        server_calls=server_calls((*history, *(body.input or ()))),
    )


def _instructions(text: str | None) -> Iterator[ChatMessage]:
    if text:
        yield ChatMessage("system", (TextPart(text),), index=-1)


def _chosen(
    tools: tuple[FunctionTool, ...], body: CountInputTokensRequest, *, checked: bool
) -> tuple[frozenset[str] | None, frozenset[str], ToolChoice]:
    """The names of the tools that may be called, ``None`` for all; the tool servers all of whose tools may; and how
    free the model is to. With tools of the server, what may be chosen is not known yet, and so not ``checked``."""
    choice = body.tool_choice
    if choice is None or choice.type in ("none", "auto", "required"):
        mode: ToolChoice = "auto" if choice is None else choice.type  # type: ignore[assignment]
        if checked:
            check_choice(tools, names=None, required=mode if mode == "required" else None)
        return None, frozenset(), mode
    if choice.type == "allowed_tools":
        chosen, mode = [tool for tool in choice.tools or () if tool.type in (*OWN, MCP)], choice.mode or "auto"
        word: str | None = mode if mode == "required" else None
    else:
        chosen = [NamedResponseToolIn(type=choice.type, name=choice.name, server_label=choice.server_label)]
        mode, word = "required", choice.type
    names = [_name(tool) for tool in chosen if tool.type != MCP or tool.name is not None]
    servers = [tool.server_label or "" for tool in chosen if tool.type == MCP and tool.name is None]
    if checked:
        check_choice(tools, names=[*names, *servers], required=word)
    if mode == "required" and not chosen:
        raise BadRequest(
            "'tool_choice' allows none of the tools that can be called here: tools that OpenAI runs are left out.",
            param="tool_choice",
            code="invalid_value",
        )
    return frozenset(names), frozenset(servers), mode


def _name(tool: NamedResponseToolIn) -> str:
    return qualified(tool.server_label or "", tool.name or "") if tool.type == MCP else tool.name or ""


def _response_format(wanted: TextFormatIn | None) -> ResponseFormat | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object" or wanted.name is None:
        return ResponseFormat("json_object", {"type": "object"}, param="text.format")
    if wanted.schema_ is None:
        raise BadRequest(
            "'text.format.schema' is required in a format of type 'json_schema', but missing.",
            param="text.format.schema",
            code="missing_required_parameter",
        )
    return ResponseFormat(
        wanted.name,
        wanted.schema_,
        wanted.description or "",
        strict=wanted.strict is not False,
        param="text.format.schema",
    )


def _effort(body: CountInputTokensRequest) -> str | None:
    effort = body.reasoning.effort if body.reasoning is not None else None
    if effort is not None and effort not in EFFORTS:
        known = ", ".join(f"'{word}'" for word in EFFORTS)
        raise BadRequest(f"'reasoning.effort' must be one of {known}.", param="reasoning.effort", code="invalid_value")
    return effort
