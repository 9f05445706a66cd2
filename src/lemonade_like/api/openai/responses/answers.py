"""The answers of the Responses API. Its items and events are described in modules of their own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from lemonade_like.api.answer import ABSENT, Answer
from lemonade_like.api.openai.responses.item_answers import InputItem, OutputItem

_Count = Annotated[int, Field(ge=0)]
_Seconds = Annotated[int, Field(ge=0, description="Unix seconds.")]


class FunctionToolTold(Answer):
    """A function that was offered."""

    type: Literal["function"]
    name: str
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool


class CustomToolTold(Answer):
    """A tool that takes text."""

    type: Literal["custom"]
    name: str
    description: str = ABSENT
    format: dict[str, Any] = ABSENT


class ToolFilter(Answer):
    """Which of a tool server's tools may be called."""

    tool_names: list[str] = ABSENT
    read_only: bool = ABSENT


class McpToolsTold(Answer):
    """The tools of a tool server here."""

    type: Literal["mcp"]
    require_approval: Literal["never"]
    server_label: str
    server_description: str = ABSENT
    allowed_tools: ToolFilter = ABSENT


class NamespaceTold(Answer):
    """Tools that were offered in a namespace."""

    type: Literal["namespace"]
    name: str
    description: str
    tools: list[Annotated[FunctionToolTold | CustomToolTold, Field(discriminator="type")]]


AnyToolTold = Annotated[FunctionToolTold | CustomToolTold | McpToolsTold | NamespaceTold, Field(discriminator="type")]


class ToolTold(Answer):
    """A tool, named."""

    type: str
    name: str = ABSENT
    server_label: str = ABSENT


class ToolChoiceTold(Answer):
    """Between which tools the model could choose."""

    type: Literal["function", "custom", "mcp", "allowed_tools"]
    name: str = ABSENT
    server_label: str = ABSENT
    mode: Literal["auto", "required"] = ABSENT
    tools: list[ToolTold] = ABSENT


class ReasoningTold(Answer):
    """How much was to be reasoned."""

    effort: str | None
    summary: Literal["auto", "concise", "detailed"] | None


class TextFormatTold(Answer):
    """The form that the answer was to have."""

    type: Literal["text", "json_object", "json_schema"]
    name: str = ABSENT
    description: str | None = None
    schema_: dict[str, Any] = Field(ABSENT, alias="schema")
    strict: bool = ABSENT


class TextTold(Answer):
    """How the answer was to look."""

    format: TextFormatTold
    verbosity: Literal["low", "medium", "high"]


class ResponseError(Answer):
    """Why a response failed."""

    code: str
    message: str


class IncompleteDetails(Answer):
    """Why a response is incomplete."""

    reason: Literal["max_output_tokens"]


class InputDetails(Answer):
    """What of the prompt did not have to be read again."""

    cached_tokens: _Count
    cache_write_tokens: _Count


class OutputDetails(Answer):
    """What of the answer was reasoning."""

    reasoning_tokens: _Count


class ResponseUsage(Answer):
    """What has been used."""

    input_tokens: _Count
    input_tokens_details: InputDetails
    output_tokens: _Count
    output_tokens_details: OutputDetails
    total_tokens: _Count


class ResponseObject(Answer):
    """A response. Much of it repeats the request."""

    id: str
    object: Literal["response"]
    created_at: _Seconds
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    completed_at: _Seconds | None
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    model: str
    instructions: str | None
    previous_response_id: str | None
    metadata: dict[str, str]
    tools: list[AnyToolTold]
    tool_choice: Literal["none", "auto", "required"] | ToolChoiceTold
    parallel_tool_calls: bool
    temperature: float | None
    top_p: float | None
    top_logprobs: _Count
    max_output_tokens: int | None
    max_tool_calls: int | None
    reasoning: ReasoningTold
    text: TextTold
    truncation: Literal["disabled"]
    store: bool = Field(description="Whether it is kept.")
    background: Literal[False]
    service_tier: Literal["default"]
    user: str | None
    safety_identifier: str | None
    prompt_cache_key: str | None
    output: list[OutputItem]
    usage: ResponseUsage | None


class DeletedResponse(Answer):
    """A response that is no more."""

    id: str
    object: Literal["response"]
    deleted: Literal[True]


class InputItemList(Answer):
    """A page of a response's input."""

    object: Literal["list"]
    data: list[InputItem]
    first_id: str = Field(description="Empty if the page is.")
    last_id: str
    has_more: bool


class InputTokens(Answer):
    """How long a prompt is."""

    object: Literal["response.input_tokens"]
    input_tokens: _Count
