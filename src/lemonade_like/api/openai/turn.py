"""A chat completion request as a turn: a pure translation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lemonade_like.api.openai.schema import (
    ChatCompletionRequest,
    ContentPartIn,
    MessageIn,
    ResponseFormatIn,
    SamplersIn,
)
from lemonade_like.api.openai.server_tools import rounds_before, server_uses
from lemonade_like.api.tools import distinct
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.conversation import EFFORTS
from lemonade_like.harmony.messages import ChatMessage, ContentPart, FunctionTool, MediaPart, TextPart, ToolCall
from lemonade_like.turns.choice import check_choice
from lemonade_like.turns.request import ReasoningFormat, ResponseFormat, Sampling, ToolChoice, TurnRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lemonade_like.api.openai.completions.schema import CreateCompletionRequest

_SAMPLERS: Final = tuple(SamplersIn.model_fields)


def turn_request(body: ChatCompletionRequest) -> TurnRequest:
    """Return what is asked of the turn.

    Raises:
        BadRequest: two tools have one name, the tool choice asks for a tool that is not offered, or the effort is none
            that is known.
    """
    tools = _tools(body)
    servers = server_uses(body.tools or ())
    allowed, choice = _chosen(tools, body, checked=not servers)
    return TurnRequest(
        model=body.model,
        messages=(*_messages(body.messages), *_prefill(body)),
        tools=tools,
        tool_choice=choice,
        allowed_tools=allowed,
        # A message has one function_call at most.
        parallel_tool_calls=body.parallel_tool_calls is not False and not body.functions,
        response_format=response_format(body.response_format),
        sampling=sampling(body),
        max_tokens=body.token_limit,
        stop=tuple(text for text in body.stop if text),
        reasoning_effort=_effort(body),
        reasoning_budget=_budget(body),
        reasoning_preset=body.reasoning_preset,
        reasoning_format=_reasoning_format(body),
        top_logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        whole=not body.stream,
        model_identity=body.model_identity,
        knowledge_cutoff=body.knowledge_cutoff,
        current_date=body.current_date,
        tool_servers=servers,
        max_tool_rounds=body.max_tool_rounds,
        server_calls={
            call.id: (call.server_label, call.name)
            for message in body.messages
            for call in message.server_tool_calls or ()
        },
    )


def _tools(body: ChatCompletionRequest) -> tuple[FunctionTool, ...]:
    tools = (
        FunctionTool(function.name, function.description or "", function.parameters, bool(function.strict), place)
        for place, function in body.offered
    )
    return distinct(tools, "name", field="functions") if body.functions else distinct(tools, "function.name")


def _chosen(
    tools: tuple[FunctionTool, ...], body: ChatCompletionRequest, *, checked: bool
) -> tuple[frozenset[str] | None, ToolChoice]:
    """The names of the tools that may be called, ``None`` for all, and how free the model is to. With tools of the
    server, what may be chosen is not known yet, and so not ``checked``."""
    choice, field = body.tool_choice, "tool_choice"
    if choice is None:
        choice, field = body.function_call, "function_call"
    if choice is None:
        return None, "auto"
    names = choice.names
    required = "required" if choice.mode == "required" else None
    if checked:
        check_choice(tools, names=names, required=required, field=field)
    return None if names is None else frozenset(names), choice.mode


def response_format(wanted: ResponseFormatIn | None) -> ResponseFormat | None:
    """Return the form that an answer must have."""
    if wanted is None or wanted.type == "text":
        return None
    given = wanted.json_schema
    if wanted.type == "json_object" or given is None:
        return ResponseFormat("json_object", {"type": "object"}, param="response_format")
    return ResponseFormat(given.name, given.schema_, given.description or "", strict=given.strict is not False)


def _messages(messages: Sequence[MessageIn]) -> Iterator[ChatMessage]:
    #: Legacy function calls have no id; the next result of the same name is theirs.
    legacy_calls: dict[str, str] = {}
    for index, message in enumerate(messages):
        calls = [ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()]
        if message.function_call is not None:
            call = message.function_call
            legacy_calls[call.name] = f"function_call_{index}"
            calls.append(ToolCall(legacy_calls[call.name], call.name, call.arguments))
        call_id = message.tool_call_id
        if message.role == "function" and call_id is None:
            call_id = legacy_calls.get(message.name or "")
        yield from rounds_before(message.server_tool_calls or (), index)
        yield ChatMessage(
            role="tool" if message.role == "function" else message.role,
            content=tuple(_part(part) for part in message.content or ()),
            name=message.name,
            reasoning=message.reasoning_content or message.reasoning or message.thinking or None,
            tool_calls=tuple(calls),
            tool_call_id=call_id,
            channel=message.channel,
            recipient=message.recipient,
            content_type=message.content_type,
            index=index,
        )


def _prefill(body: ChatCompletionRequest) -> tuple[ChatMessage, ...]:
    if not body.prefill:
        return ()
    return (ChatMessage("assistant", (TextPart(body.prefill),), index=len(body.messages)),)


def _part(part: ContentPartIn) -> ContentPart:
    if part.text is not None and part.type in ("text", "input_text", "output_text"):
        return TextPart(part.text)
    if part.type == "refusal" and part.refusal is not None:
        return TextPart(part.refusal)
    return MediaPart(part.type, part.model_dump(exclude_unset=True))


def sampling(body: ChatCompletionRequest | CreateCompletionRequest) -> Sampling:
    """Return how tokens are to be drawn."""
    extra = {name: value for name in _SAMPLERS if (value := getattr(body, name)) is not None}
    if body.logit_bias is not None:
        # llama-server's form, which every version of it takes.
        extra["logit_bias"] = [[int(token), bias] for token, bias in body.logit_bias.items()]
    return Sampling(
        temperature=body.temperature,
        top_p=body.top_p,
        # To llama.cpp's own clients -1 is any seed.
        seed=None if body.seed == -1 else body.seed,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
        extra=extra,
    )


def _budget(body: ChatCompletionRequest) -> int | None:
    of_reasoning = body.reasoning.max_tokens if body.reasoning else None
    given = (body.reasoning_budget, body.thinking_budget, of_reasoning)
    return next((budget for budget in given if budget is not None), None)


def _reasoning_format(body: ChatCompletionRequest) -> ReasoningFormat | None:
    excluded = body.include_reasoning is False or bool(body.reasoning and body.reasoning.exclude)
    return "hidden" if excluded else body.reasoning_format


def _effort(body: ChatCompletionRequest) -> str | None:
    places = {
        "reasoning_effort": body.reasoning_effort,
        "reasoning.effort": body.reasoning.effort if body.reasoning is not None else None,
        "chat_template_kwargs.reasoning_effort": (body.chat_template_kwargs or {}).get("reasoning_effort"),
    }
    for place, effort in places.items():
        if effort is None:
            continue
        if not isinstance(effort, str):
            raise BadRequest(f"'{place}' must be a string.", param=place, code="invalid_value")
        if effort not in EFFORTS:
            known = ", ".join(f"'{word}'" for word in EFFORTS)
            raise BadRequest(f"'{place}' must be one of {known}.", param=place, code="invalid_value")
        return effort
    return None
