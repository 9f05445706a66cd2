"""The events of a response's stream."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lemonade_like.api.answer import Answer
from lemonade_like.api.openai.answers import ChosenToken
from lemonade_like.api.openai.responses.answers import ResponseObject
from lemonade_like.api.openai.responses.item_answers import OutputItem, OutputText, ReasoningText

_Index = Annotated[int, Field(ge=0)]


class _Event(Answer):
    sequence_number: _Index


class ResponseEvent(_Event):
    """The response as it is when it begins and when it ends."""

    type: Literal[
        "response.created", "response.in_progress", "response.completed", "response.incomplete", "response.failed"
    ]
    response: ResponseObject


class OutputItemEvent(_Event):
    """An item begins, or is whole."""

    type: Literal["response.output_item.added", "response.output_item.done"]
    output_index: _Index
    item: OutputItem


class _ItemEvent(_Event):
    item_id: str
    output_index: _Index


class ContentPartEvent(_ItemEvent):
    """A part of an item begins, or is whole."""

    type: Literal["response.content_part.added", "response.content_part.done"]
    content_index: _Index
    part: Annotated[OutputText | ReasoningText, Field(discriminator="type")]


class OutputTextDelta(_ItemEvent):
    """A piece of the answer."""

    type: Literal["response.output_text.delta"]
    content_index: _Index
    delta: str
    logprobs: list[ChosenToken]


class OutputTextDone(_ItemEvent):
    """The answer."""

    type: Literal["response.output_text.done"]
    content_index: _Index
    text: str
    logprobs: list[ChosenToken]


class ReasoningTextDelta(_ItemEvent):
    """A piece of the reasoning."""

    type: Literal["response.reasoning_text.delta"]
    content_index: _Index
    delta: str


class ReasoningTextDone(_ItemEvent):
    """The reasoning."""

    type: Literal["response.reasoning_text.done"]
    content_index: _Index
    text: str


class ArgumentsDelta(_ItemEvent):
    """A piece of a call's arguments, or of a custom tool's input."""

    type: Literal["response.function_call_arguments.delta", "response.custom_tool_call_input.delta"]
    delta: str


class ArgumentsDone(_ItemEvent):
    """A call's arguments."""

    type: Literal["response.function_call_arguments.done"]
    name: str
    arguments: str


class CustomInputDone(_ItemEvent):
    """A custom tool's input."""

    type: Literal["response.custom_tool_call_input.done"]
    input: str


class McpArgumentsDelta(_ItemEvent):
    """The arguments of a call that the server runs."""

    type: Literal["response.mcp_call_arguments.delta"]
    delta: str


class McpArgumentsDone(_ItemEvent):
    """The same."""

    type: Literal["response.mcp_call_arguments.done"]
    arguments: str


class McpEvent(_ItemEvent):
    """How it stands with a call that the server runs, or with what a tool server offers."""

    type: Literal[
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.completed",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
    ]


class ErrorEvent(_Event):
    """What went wrong; ``response.failed`` follows."""

    type: Literal["error"]
    code: str | None
    message: str
    param: str | None


ResponseStreamEvent = Annotated[
    ResponseEvent
    | OutputItemEvent
    | ContentPartEvent
    | OutputTextDelta
    | OutputTextDone
    | ReasoningTextDelta
    | ReasoningTextDone
    | ArgumentsDelta
    | ArgumentsDone
    | CustomInputDone
    | McpArgumentsDelta
    | McpArgumentsDone
    | McpEvent
    | ErrorEvent,
    Field(discriminator="type"),
]
