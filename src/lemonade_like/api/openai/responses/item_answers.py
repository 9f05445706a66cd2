"""The items that responses are made of, and their parts, as they are answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from lemonade_like.api.answer import ABSENT, Answer
from lemonade_like.api.openai.answers import ChosenToken

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
    namespace: str = Field(ABSENT, description="Where the tool was offered in one.")
    arguments: str


class CustomCallItem(Answer):
    """A call of a tool that takes text."""

    id: str
    type: Literal["custom_tool_call"]
    status: ItemStatus
    call_id: str
    name: str
    namespace: str = Field(ABSENT, description="Where the tool was offered in one.")
    input: str


class McpTool(Answer):
    """A tool of a tool server. In a kept item it is as the client sent it."""

    model_config = ConfigDict(extra="allow")

    name: str
    description: str | None = ABSENT
    input_schema: dict[str, Any] = ABSENT
    annotations: dict[str, Any] | None = ABSENT


class McpListItem(Answer):
    """What a tool server offers."""

    id: str
    type: Literal["mcp_list_tools"]
    server_label: str
    tools: list[McpTool]
    error: str | dict[str, Any] | None


class McpCallItem(Answer):
    """A call of such a tool, which the server runs, and what it returned."""

    id: str
    type: Literal["mcp_call"]
    status: Literal["in_progress", "completed", "failed", "incomplete"]
    approval_request_id: None = ABSENT
    server_label: str
    name: str
    arguments: str
    output: str | None
    error: str | dict[str, Any] | None
    call_id: str = Field(description="By which the model knows it.")


OutputItem = Annotated[
    OutputMessage | ReasoningItem | FunctionCallItem | CustomCallItem | McpListItem | McpCallItem,
    Field(discriminator="type"),
]


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
    InputMessage | ReasoningItem | FunctionCallItem | CustomCallItem | CallOutputItem | McpListItem | McpCallItem,
    Field(discriminator="type"),
]
