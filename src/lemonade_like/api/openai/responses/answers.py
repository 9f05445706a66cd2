"""The answers of the Responses API: responses, the items that they are made of, and the events of a stream."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from lemonade_like.api.answer import ABSENT, Answer
from lemonade_like.api.openai.answers import ChosenToken

_Index = Annotated[int, Field(ge=0)]
_Count = Annotated[int, Field(ge=0)]
_Seconds = Annotated[int, Field(ge=0, description="Unix seconds.")]
Phase = Literal["commentary", "final_answer"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputText(Answer):
    """A text that the model wrote for the client to see."""

    type: Literal["output_text"]
    text: str
    annotations: list[Any]
    logprobs: list[ChosenToken]


class ReasoningText(Answer):
    """What the model thought."""

    type: Literal["reasoning_text"]
    text: str


class SummaryText(Answer):
    """A summary that the client sent."""

    type: Literal["summary_text"]
    text: str


class InputText(Answer):
    """A text that the client sent."""

    type: Literal["input_text"]
    text: str


class Refusal(Answer):
    """A refusal that the client sent back."""

    type: Literal["refusal"]
    refusal: str


class InputImage(Answer):
    """An image that the client sent."""

    type: Literal["input_image"]
    detail: str
    image_url: str
    file_id: Any = ABSENT


class InputAudio(Answer):
    """A sound that the client sent."""

    type: Literal["input_audio"]
    detail: str
    input_audio: Any = ABSENT


InputPart = Annotated[InputText | InputImage | InputAudio, Field(discriminator="type")]


class OutputMessage(Answer):
    """What the model says: its answer, or a commentary on what it does."""

    id: str
    type: Literal["message"]
    status: ItemStatus
    role: Literal["assistant"]
    phase: Phase | None
    content: list[OutputText]


class ReasoningItem(Answer):
    """What the model thinks."""

    id: str
    type: Literal["reasoning"]
    status: ItemStatus
    summary: list[SummaryText]
    content: list[ReasoningText] = ABSENT
    encrypted_content: str = Field(ABSENT, description="The same, to be sent back as it is.")


class FunctionCallItem(Answer):
    """A call of a function. ``arguments`` is JSON text as the model wrote it."""

    id: str
    type: Literal["function_call"]
    status: ItemStatus
    call_id: str
    name: str
    arguments: str


class CustomCallItem(Answer):
    """A call of a tool that takes text."""

    id: str
    type: Literal["custom_tool_call"]
    status: ItemStatus
    call_id: str
    name: str
    input: str


OutputItem = Annotated[OutputMessage | ReasoningItem | FunctionCallItem | CustomCallItem, Field(discriminator="type")]


class InputMessage(Answer):
    """A message of the input."""

    id: str
    type: Literal["message"]
    status: ItemStatus
    role: Literal["user", "assistant", "system", "developer"]
    phase: Phase = ABSENT
    content: list[Annotated[InputText | InputImage | InputAudio | OutputText | Refusal, Field(discriminator="type")]]


class CallOutputItem(Answer):
    """What a call returned."""

    id: str
    type: Literal["function_call_output", "custom_tool_call_output"]
    status: ItemStatus
    call_id: str
    output: str | list[InputPart]


InputItem = Annotated[
    InputMessage | ReasoningItem | FunctionCallItem | CustomCallItem | CallOutputItem, Field(discriminator="type")
]


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


class ToolTold(Answer):
    """A tool, named."""

    type: str
    name: str = ABSENT


class ToolChoiceTold(Answer):
    """Between which tools the model could choose."""

    type: Literal["function", "custom", "allowed_tools"]
    name: str = ABSENT
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
    tools: list[Annotated[FunctionToolTold | CustomToolTold, Field(discriminator="type")]]
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
    | ErrorEvent,
    Field(discriminator="type"),
]
