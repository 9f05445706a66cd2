"""A request for a response as a turn: a pure translation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lemonade_like.api.openai.responses.items import chat
from lemonade_like.api.openai.responses.schema import CountInputTokensRequest, ResponsesRequest
from lemonade_like.api.openai.responses.tools import OWN, function_tools
from lemonade_like.api.tools import check_choice
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.conversation import EFFORTS
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, TextPart
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
    allowed, choice = _chosen(tools, body)
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
    )


def _instructions(text: str | None) -> Iterator[ChatMessage]:
    if text:
        yield ChatMessage("system", (TextPart(text),), index=-1)


def _chosen(tools: tuple[FunctionTool, ...], body: CountInputTokensRequest) -> tuple[frozenset[str] | None, ToolChoice]:
    """The names of the tools that may be called, ``None`` for all, and how free the model is to."""
    choice = body.tool_choice
    if choice is None:
        return None, "auto"
    if choice.type == "allowed_tools":
        names = [tool.name or "" for tool in choice.tools or () if tool.type in OWN]
        mode: ToolChoice = choice.mode or "auto"
        check_choice(tools, names=names, required=mode if mode == "required" else None)
        if mode == "required" and not names:
            raise BadRequest(
                "'tool_choice' allows none of the tools that can be called here: tools that OpenAI runs are left out.",
                param="tool_choice",
                code="invalid_value",
            )
        return frozenset(names), mode
    if choice.type in ("none", "auto", "required"):
        mode = choice.type
        check_choice(tools, names=None, required=mode if mode == "required" else None)
        return None, mode
    name = choice.name or ""
    check_choice(tools, names=[name], required=choice.type)
    return frozenset((name,)), "required"


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
