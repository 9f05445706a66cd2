"""The answers of the Messages API: messages, the events of a stream, and errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from lemonade_like.api.answer import ABSENT, Answer

_Index = Annotated[int, Field(ge=0)]
_Count = Annotated[int, Field(ge=0)]

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]


class TextBlock(Answer):
    """What the model says."""

    type: Literal["text"]
    text: str


class ThinkingBlock(Answer):
    """What the model thinks. The signature is there because clients want one, and means nothing."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class ToolUseBlock(Answer):
    """A call. Arguments that are no JSON object are the one string of an object, under ``INVALID_JSON``."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class McpToolUseBlock(Answer):
    """A call that the server runs."""

    type: Literal["mcp_tool_use"]
    id: str
    server_name: str
    name: str
    input: dict[str, Any]


class McpToolResultBlock(Answer):
    """What such a call returned."""

    type: Literal["mcp_tool_result"]
    tool_use_id: str
    is_error: bool
    content: list[TextBlock]


ContentBlock = Annotated[
    TextBlock | ThinkingBlock | ToolUseBlock | McpToolUseBlock | McpToolResultBlock, Field(discriminator="type")
]


class ThinkingTokens(Answer):
    """What of the answer was thinking."""

    thinking_tokens: _Count


class MessageUsage(Answer):
    """What has been used. ``input_tokens`` are those that were not read from the cache."""

    input_tokens: _Count
    cache_creation_input_tokens: _Count
    cache_read_input_tokens: _Count
    output_tokens: _Count
    output_tokens_details: ThinkingTokens


class Message(Answer):
    """The whole message."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str = Field(description="The name that the client used.")
    content: list[ContentBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: MessageUsage


class TokenCount(Answer):
    """How long a prompt is."""

    input_tokens: _Count


class UnsupportedThread(Answer):
    """By which Anthropic's SDK knows to send the whole conversation."""

    error_code: Literal["thread_unsupported_request"]
    unsupported: list[str]


class MessagesErrorDetail(Answer):
    """What went wrong."""

    type: Literal[
        "invalid_request_error",
        "authentication_error",
        "permission_error",
        "not_found_error",
        "request_too_large",
        "rate_limit_error",
        "api_error",
        "overloaded_error",
        "timeout_error",
    ]
    message: str = Field(description="What happened, why, and what to do.")
    details: UnsupportedThread = ABSENT


class MessagesError(Answer):
    """Anthropic's error object."""

    type: Literal["error"]
    error: MessagesErrorDetail
    request_id: str


class MessageStart(Answer):
    """The message begins."""

    type: Literal["message_start"]
    message: Message


class BlockStart(Answer):
    """A block begins."""

    type: Literal["content_block_start"]
    index: _Index
    content_block: ContentBlock


class TextDelta(Answer):
    """A piece of what the model says."""

    type: Literal["text_delta"]
    text: str


class ThinkingDelta(Answer):
    """A piece of what the model thinks."""

    type: Literal["thinking_delta"]
    thinking: str


class SignatureDelta(Answer):
    """The signature."""

    type: Literal["signature_delta"]
    signature: str


class InputDelta(Answer):
    """A piece of a call's input, as JSON text."""

    type: Literal["input_json_delta"]
    partial_json: str


class BlockDelta(Answer):
    """A piece of a block."""

    type: Literal["content_block_delta"]
    index: _Index
    delta: Annotated[TextDelta | ThinkingDelta | SignatureDelta | InputDelta, Field(discriminator="type")]


class BlockStop(Answer):
    """A block is whole."""

    type: Literal["content_block_stop"]
    index: _Index


class MessageEnding(Answer):
    """Why the message ends."""

    stop_reason: StopReason
    stop_sequence: str | None


class MessageChange(Answer):
    """The message ends."""

    type: Literal["message_delta"]
    delta: MessageEnding
    usage: MessageUsage


class MessageStop(Answer):
    """The stream ends."""

    type: Literal["message_stop"]


class Ping(Answer):
    """Nothing has happened for a while."""

    type: Literal["ping"]


MessageEvent = Annotated[
    MessageStart | BlockStart | BlockDelta | BlockStop | MessageChange | MessageStop | Ping | MessagesError,
    Field(discriminator="type"),
]
