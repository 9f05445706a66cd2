"""A Messages request as a turn: a pure translation."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.api.anthropic.conversation import BlockReader
from lemonade_like.api.anthropic.errors import THREAD_UNSUPPORTED
from lemonade_like.api.anthropic.schema import (
    ClientToolIn,
    CountTokensRequest,
    MessagesRequest,
    SystemBlockIn,
    ToolUseChoiceIn,
)
from lemonade_like.api.anthropic.server_tools import server_uses
from lemonade_like.api.tools import distinct
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, TextPart
from lemonade_like.turns.choice import check_choice
from lemonade_like.turns.request import ResponseFormat, Sampling, ToolChoice, TurnRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lemonade_like.api.anthropic.blocks import ThinkingView

#: Tools that run on Anthropic's own servers. The model is not told of them: here nobody would run them.
_HOSTED: Final = re.compile(r"(web_search|web_fetch|code_execution|advisor)_\d+|tool_search_tool_\w+")

#: What Claude Code puts before its system prompt: words for Anthropic's billing, other ones in each request. Left in,
#: they would have the engine read the whole prompt anew each time.
_BILLING: Final = re.compile(r"\Ax-anthropic-billing-header:[^\n]*\n*")

_CHOICES: Final[dict[str, ToolChoice]] = {"auto": "auto", "any": "required", "tool": "required", "none": "none"}


def turn_request(body: CountTokensRequest) -> TurnRequest:
    """Return what is asked of the turn.

    Raises:
        BadRequest: a conversation is to be kept here, a block lacks what its type needs or cannot be shown to a model,
            a result answers no call, a tool is one that only Claude knows, two have one name, or the tool choice asks
            for one that is not offered.
    """
    _check_thread(body)
    tools = distinct(_tools(body.tools or ()), "name")
    servers = server_uses(body.mcp_servers or (), body.tools or ())
    names, choice = _chosen(tools, body.tool_choice, checked=not servers)
    blocks = BlockReader()
    messages = (*_system(body.system or ()), *blocks.chat(body.messages))
    turn = TurnRequest(
        model=body.model,
        messages=messages,
        tools=tools,
        tool_choice=choice,
        allowed_tools=names,
        parallel_tool_calls=not (body.tool_choice is not None and body.tool_choice.disable_parallel_tool_use),
        response_format=_response_format(body),
        reasoning_effort=body.output_config.effort if body.output_config is not None else None,
        reasoning_budget=_budget(body),
        # Who says something of thinking knows its blocks, whatever the server does for others.
        reasoning_format=None if body.thinking is None else "separate",
        tool_servers=servers,
        max_tool_rounds=body.max_tool_rounds,
        server_calls=blocks.server_calls,
    )
    if not isinstance(body, MessagesRequest):
        return turn
    return replace(
        turn,
        sampling=_sampling(body),
        max_tokens=body.max_tokens,
        stop=tuple(text for text in body.stop_sequences or () if text),
        whole=not body.stream,
    )


def tools_left_out(body: CountTokensRequest) -> list[str]:
    """Return the types of the tools that the model is not told of."""
    return [tool.type for tool in body.tools or () if tool.type is not None and _HOSTED.fullmatch(tool.type)]


def streamed_as_written(body: MessagesRequest) -> frozenset[str]:
    """Return the names of the tools whose input is wanted piece by piece, valid or not."""
    return frozenset(tool.name for tool in body.tools or () if tool.eager_input_streaming and tool.name is not None)


def thinking_view(body: MessagesRequest) -> ThinkingView:
    """Return what the client is to see of the reasoning."""
    if body.thinking is None:
        return "shown"
    if body.thinking.type == "disabled":
        return "none"
    return "omitted" if body.thinking.display == "omitted" else "shown"


def _check_thread(body: CountTokensRequest) -> None:
    if body.thread is not None:
        raise BadRequest(
            "'thread' is not supported here, since no conversation is kept: send all of it in 'messages' each time.",
            param="thread",
            code=THREAD_UNSUPPORTED,
        )


def _system(blocks: Sequence[SystemBlockIn]) -> Iterator[ChatMessage]:
    parts = tuple(TextPart(text) for block in blocks if (text := _BILLING.sub("", block.text)))
    if parts:
        yield ChatMessage("system", parts)


def _tools(offered: Sequence[ClientToolIn]) -> Iterator[FunctionTool]:
    for place, tool in enumerate(offered):
        if tool.is_custom and tool.name is not None:
            yield FunctionTool(tool.name, tool.description or "", tool.input_schema, bool(tool.strict), place)
        elif tool.type != "mcp_toolset" and (tool.type is None or not _HOSTED.fullmatch(tool.type)):
            raise BadRequest(
                f"'tools[{place}].type' is '{tool.type}', a tool that only Claude models know how to call. "
                "Declare it as a tool of your own, with 'name', 'description' and 'input_schema'.",
                param=f"tools[{place}].type",
                code="invalid_value",
            )


def _chosen(
    tools: tuple[FunctionTool, ...], choice: ToolUseChoiceIn | None, *, checked: bool
) -> tuple[frozenset[str] | None, ToolChoice]:
    """The names of the tools that may be called, ``None`` for all, and how free the model is to. With tools of the
    server, what may be chosen is not known yet, and so not ``checked``."""
    if choice is None:
        return None, "auto"
    names = [choice.name] if choice.type == "tool" and choice.name is not None else None
    mode = _CHOICES[choice.type]
    if checked:
        check_choice(tools, names=names, required=choice.type if mode == "required" else None)
    return None if names is None else frozenset(names), mode


def _budget(body: CountTokensRequest) -> int | None:
    if body.thinking is None or body.thinking.type == "disabled":
        return None if body.thinking is None else 0
    budget = body.thinking.budget_tokens
    if budget is not None and isinstance(body, MessagesRequest) and budget >= body.max_tokens:
        # What bounds the whole answer bounds the reasoning too: the model may be left free.
        return None
    return budget


def _response_format(body: CountTokensRequest) -> ResponseFormat | None:
    wanted, param = body.output_format, "output_format.schema"
    if body.output_config is not None and body.output_config.format is not None:
        wanted, param = body.output_config.format, "output_config.format.schema"
    return None if wanted is None else ResponseFormat("answer", wanted.schema_, param=param)


def _sampling(body: MessagesRequest) -> Sampling:
    extra: dict[str, Any] = {} if body.top_k is None else {"top_k": body.top_k}
    return Sampling(temperature=body.temperature, top_p=body.top_p, extra=extra)
