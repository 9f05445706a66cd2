"""The answers of chat completions, and of what lists models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lemonade_like.api.answer import ABSENT, Answer
from lemonade_like.models.model import Label, ModelOptions, Source
from lemonade_like.settings import Mode

_Index = Annotated[int, Field(ge=0)]
_Count = Annotated[int, Field(ge=0)]
_Seconds = Annotated[int, Field(ge=0, description="Unix seconds.")]
_Bytes = list[Annotated[int, Field(ge=0, le=255)]]


class LikelyToken(Answer):
    """A token, and how likely it was (natural logarithm)."""

    token: str
    logprob: float
    bytes: _Bytes


class ChosenToken(LikelyToken):
    """A token of the answer, and the likeliest in its place."""

    top_logprobs: list[LikelyToken]


class ChoiceLogprobs(Answer):
    """Log probabilities of the visible answer's tokens."""

    content: list[ChosenToken]
    refusal: None


class CalledFunction(Answer):
    """What is called. ``arguments`` is JSON text as the model wrote it."""

    name: str
    arguments: str


class ChatToolCall(Answer):
    """A call that the model makes."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class ServerToolCall(Answer):
    """A call that the server ran itself, and what came of it."""

    index: _Index
    id: str
    type: Literal["mcp"]
    server_label: str
    name: str
    arguments: str
    round: _Index = Field(description="Which turn of the answer made it.")
    output: str = ABSENT
    error: str = ABSENT


class ServerToolCallDelta(Answer):
    """Such a call, or by its ``index`` what came of it."""

    index: _Index
    id: str = ABSENT
    type: Literal["mcp"] = ABSENT
    server_label: str = ABSENT
    name: str = ABSENT
    arguments: str = ABSENT
    round: _Index = ABSENT
    output: str = ABSENT
    error: str = ABSENT


class ChannelMessage(Answer):
    """A raw Harmony message, as the model wrote it."""

    role: str
    channel: str | None
    recipient: str | None
    content_type: str | None
    content: str


class AssistantMessage(Answer):
    """The assistant's message."""

    role: Literal["assistant"]
    content: str | None = Field(description="The visible answer; null if there are only calls.")
    refusal: None
    reasoning_content: str = Field(ABSENT, description="What the model thought.")
    reasoning: str = Field(ABSENT, description="The same, as other clients call it.")
    tool_calls: list[ChatToolCall] = ABSENT
    function_call: CalledFunction = Field(ABSENT, description="The first call, if `functions` were offered.")
    server_tool_calls: list[ServerToolCall] = ABSENT
    harmony: list[ChannelMessage] = Field(ABSENT, description='With `include: ["harmony"]`.')


FinishReason = Literal["stop", "length", "tool_calls", "function_call"]


class ChatChoice(Answer):
    """One answer."""

    index: _Index
    message: AssistantMessage
    logprobs: ChoiceLogprobs | None
    finish_reason: FinishReason


class PromptTokens(Answer):
    """What of the prompt did not have to be read again."""

    cached_tokens: _Count


class CompletionTokens(Answer):
    """What of the answer was reasoning."""

    reasoning_tokens: _Count


class ChatUsage(Answer):
    """What has been used. The choices of one answer share one prompt."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count
    prompt_tokens_details: PromptTokens
    completion_tokens_details: CompletionTokens


#: The engine's own account: tokens, milliseconds, and tokens per second.
Timings = dict[str, float]


class ChatCompletion(Answer):
    """The whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: _Seconds
    model: str = Field(description="The name that the client used.")
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: ChatUsage
    service_tier: Literal["default"] = Field(ABSENT, description="Where the request names one.")
    timings: Timings = Field(ABSENT, description="The engine's own account, if there is one choice.")


class FunctionDelta(Answer):
    """A piece of a call."""

    name: str = ABSENT
    arguments: str


class ToolCallDelta(Answer):
    """A piece of a call. The first has the id and the name."""

    index: _Index
    id: str = ABSENT
    type: Literal["function"] = ABSENT
    function: FunctionDelta


class MessageDelta(Answer):
    """What a chunk adds to the message."""

    role: Literal["assistant"] = ABSENT
    content: str = ABSENT
    reasoning_content: str = ABSENT
    reasoning: str = ABSENT
    tool_calls: list[ToolCallDelta] = ABSENT
    function_call: FunctionDelta = ABSENT
    server_tool_calls: list[ServerToolCallDelta] = ABSENT
    harmony: list[ChannelMessage] = ABSENT


class ChunkChoice(Answer):
    """What a chunk adds to one answer."""

    index: _Index
    delta: MessageDelta
    logprobs: ChoiceLogprobs | None
    finish_reason: FinishReason | None


class ChatCompletionChunk(Answer):
    """A piece of the answer. With ``stream_options.include_usage`` the last one has the usage and no choice."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: _Seconds
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: ChatUsage | None = None
    service_tier: Literal["default"] = Field(ABSENT, description="Where the request names one.")
    timings: Timings = ABSENT


class RenderedChat(Answer):
    """The prompt of a chat request."""

    object: Literal["chat.completion.prompt"]
    model: str
    harmony: bool = Field(description="Whether the prompt is in Harmony; otherwise the model's own template made it.")
    prompt: str = Field(description="For people: control tokens are spelled out.")
    tokens: list[_Count] = Field(description="What is sent to the engine.")
    count: _Count
    stop_token_ids: list[_Count]


class ModelObject(Answer):
    """A model that can be asked for."""

    id: str
    object: Literal["model"]
    created: _Seconds
    owned_by: Literal["lemonade-like"]
    checkpoint: str | None = Field(description="Its place on the Hugging Face Hub.")
    recipe: Literal["llamacpp"]
    mode: Mode = Field(description="What it is for.")
    labels: list[Label]
    source: Source
    suggested: bool
    downloaded: bool = Field(description="Whether it can be loaded as it is.")
    size: float | None = Field(description="Gigabytes (1e9 bytes).")
    context_length: int | None = Field(description="What the model was made for, in tokens.")
    quantization: str | None
    parameters: int | None
    architecture: str | None
    recipe_options: ModelOptions


class ModelList(Answer):
    """Models."""

    object: Literal["list"]
    data: list[ModelObject]
