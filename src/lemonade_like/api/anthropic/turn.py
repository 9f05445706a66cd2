"""A Messages request as a turn: a pure translation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.api.anthropic.conversation import BlockReader
from lemonade_like.api.anthropic.errors import THREAD_UNSUPPORTED
from lemonade_like.api.anthropic.schema import ClientToolIn, CountTokensRequest, MessagesRequest, SystemBlockIn
from lemonade_like.api.tools import check_choice, distinct
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, TextPart
from lemonade_like.turns.request import ReasoningFormat, ResponseFormat, Sampling, ToolChoice, TurnRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Tools that run on Anthropic's own servers. The model is not told of them: here nobody would run them.
_HOSTED: Final = re.compile(r"(web_search|web_fetch|code_execution|tool_search_tool_\w+|advisor)_\d+")

#: What Claude Code puts before its system prompt: words for Anthropic's billing, other ones in each request. Left in,
#: they would have the engine read the whole prompt anew each time.
_BILLING: Final = re.compile(r"x-anthropic-billing-header:[^\n]*\n*")

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
    budget, shown = _reasoning(body)
    sampled = body if isinstance(body, MessagesRequest) else None
    choice = body.tool_choice
    names = [choice.name] if choice is not None and choice.type == "tool" and choice.name is not None else None
    if choice is not None:
        check_choice(tools, names=names, required=choice.type if choice.type in ("any", "tool") else None)
    return TurnRequest(
        model=body.model,
        messages=(*_system(body.system or ()), *BlockReader().chat(body.messages)),
        tools=tools,
        tool_choice=_CHOICES[choice.type] if choice is not None else "auto",
        allowed_tools=None if names is None else frozenset(names),
        parallel_tool_calls=not (choice is not None and choice.disable_parallel_tool_use),
        response_format=_response_format(body),
        sampling=_sampling(sampled) if sampled is not None else Sampling(),
        max_tokens=sampled.max_tokens if sampled is not None else None,
        stop=tuple(text for text in sampled.stop_sequences or () if text) if sampled is not None else (),
        reasoning_effort=body.output_config.effort if body.output_config is not None else None,
        reasoning_budget=budget,
        reasoning_format=shown,
    )


def tools_left_out(body: CountTokensRequest) -> list[str]:
    """Return the types of the tools that the model is not told of."""
    return [tool.type for tool in body.tools or () if tool.type is not None and _HOSTED.fullmatch(tool.type)]


def streamed_as_written(body: MessagesRequest) -> frozenset[str]:
    """Return the names of the tools whose input is wanted piece by piece, valid or not."""
    return frozenset(tool.name for tool in body.tools or () if tool.eager_input_streaming and tool.name is not None)


def _check_thread(body: CountTokensRequest) -> None:
    if body.thread is not None:
        raise BadRequest(
            "'thread' is not supported here, since no conversation is kept: send all of it in 'messages' each time.",
            param="thread",
            code=THREAD_UNSUPPORTED,
        )


def _system(blocks: Sequence[SystemBlockIn]) -> Iterator[ChatMessage]:
    texts = [_BILLING.sub("", block.text, count=1) if _BILLING.match(block.text) else block.text for block in blocks]
    parts = tuple(TextPart(text) for text, block in zip(texts, blocks, strict=True) if text or not block.text)
    if parts:
        yield ChatMessage("system", parts)


def _tools(offered: Sequence[ClientToolIn]) -> Iterator[FunctionTool]:
    for place, tool in enumerate(offered):
        if tool.is_custom and tool.name is not None:
            yield FunctionTool(tool.name, tool.description or "", tool.input_schema, bool(tool.strict), place)
        elif tool.type is None or not _HOSTED.fullmatch(tool.type):
            raise BadRequest(
                f"'tools[{place}].type' is '{tool.type}', a tool that only Claude models know how to call. "
                "Declare it as a tool of your own, with 'name', 'description' and 'input_schema'.",
                param=f"tools[{place}].type",
                code="invalid_value",
            )


def _reasoning(body: CountTokensRequest) -> tuple[int | None, ReasoningFormat | None]:
    """The tokens that may be spent on reasoning, and where it is shown."""
    thinking = body.thinking
    if thinking is None:
        return None, None
    if thinking.type == "disabled":
        return 0, "hidden"
    budget = thinking.budget_tokens
    if budget is not None and isinstance(body, MessagesRequest) and budget >= body.max_tokens:
        # What bounds the whole answer bounds the reasoning too: the model may be left free.
        budget = None
    return budget, "hidden" if thinking.display == "omitted" else "separate"


def _response_format(body: CountTokensRequest) -> ResponseFormat | None:
    wanted, param = body.output_format, "output_format.schema"
    if body.output_config is not None and body.output_config.format is not None:
        wanted, param = body.output_config.format, "output_config.format.schema"
    return None if wanted is None else ResponseFormat("answer", wanted.schema_, param=param)


def _sampling(body: MessagesRequest) -> Sampling:
    extra: dict[str, Any] = {} if body.top_k is None else {"top_k": body.top_k}
    return Sampling(temperature=body.temperature, top_p=body.top_p, extra=extra)
