"""The bodies of ``POST /messages`` and ``POST /messages/count_tokens``, as Anthropic documents them.

Types are strict, because a wrong one is a client's mistake that it wants to hear of. Fields that are not here
(``cache_control``, ``metadata``, ``service_tier``, …) are ignored: they say nothing that this server could follow.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lemonade_like.api.json_schema import Unsupported, spelt

_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_.\-]{1,128}")
_WORD: Final = re.compile(r"\S{1,256}")
#: What Anthropic's servers ran for a model of theirs, or encrypted: nobody else can read it.
UNREADABLE: Final = re.compile(r"redacted_thinking|fallback|server_tool_use|mcp_tool_listing|(?!mcp).+_tool_result")


def _tool_name(name: str) -> str:
    if not _TOOL_NAME.fullmatch(name):
        raise PydanticCustomError("name", "must be 1 to 128 letters, digits, '_', '.' or '-'")
    return name


def _word(name: str) -> str:
    if not _WORD.fullmatch(name):
        raise PydanticCustomError("name", "must be a name of at most 256 characters without spaces")
    return name


def _as_blocks(content: Any) -> Any:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if content is not None and not isinstance(content, list):
        raise PydanticCustomError("content", "must be a string or a list of blocks")
    return content


def _as_source(source: Any) -> Any:
    """A search result's source is its address alone."""
    return {"type": "address", "url": source} if isinstance(source, str) else source


ToolName = Annotated[str, AfterValidator(_tool_name), spelt(_TOOL_NAME)]
#: A name in the history is what a model wrote, which no declaration has to have allowed.
CalledName = Annotated[str, AfterValidator(_word), spelt(_WORD)]
TokenLimit = Annotated[int, Field(ge=1, le=2**31 - 1)]
TokenBudget = Annotated[int, Field(ge=0, le=2**31 - 1)]


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", protected_namespaces=())


class SourceIn(_Wire):
    """Where an image or a document is."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    content: (
        Annotated[list[BlockIn], BeforeValidator(_as_blocks, json_schema_input_type=str | list[BlockIn])] | None
    ) = None


class BlockIn(_Wire):
    """A block of a message. Which of the fields it must have follows from its type.

    A thinking block's ``signature`` is taken and means nothing here.
    """

    type: str
    text: str | None = None
    thinking: str | None = None
    id: CalledName | None = None
    name: CalledName | None = None
    server_name: CalledName | None = None
    input: dict[str, Any] | None = None
    tool_use_id: CalledName | None = None
    content: (
        Annotated[list[BlockIn], BeforeValidator(_as_blocks, json_schema_input_type=str | list[BlockIn])] | None
    ) = None
    is_error: bool | None = None
    source: Annotated[SourceIn, BeforeValidator(_as_source, json_schema_input_type=str | SourceIn)] | None = None
    title: str | None = None
    context: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _what_cannot_be_read_is_not_looked_into(cls, block: Any) -> Any:
        kind = block.get("type") if isinstance(block, dict) else None
        return {"type": kind} if isinstance(kind, str) and UNREADABLE.fullmatch(kind) else block


class BlockMessageIn(_Wire):
    """One message; what tools returned stands in the user's."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[list[BlockIn], BeforeValidator(_as_blocks, json_schema_input_type=str | list[BlockIn])]


class SystemBlockIn(_Wire):
    """A part of the system prompt."""

    type: Literal["text"]
    text: str


class ToolConfigIn(_Wire):
    """Whether a tool may be called. That it may be loaded later (``defer_loading``) is not needed here."""

    enabled: bool | None = None


class ClientToolIn(_Wire):
    """A tool that the client offers. One without a type, or of the type ``custom``, has a schema of its own."""

    type: str | None = None
    name: ToolName | None = Field(default=None, validate_default=True)
    description: str | None = None
    input_schema: dict[str, Any] | None = Field(default=None, validate_default=True)
    strict: bool | None = None
    mcp_server_name: str | None = Field(
        default=None, validate_default=True, description="Of which server it is a toolset (type `mcp_toolset`)."
    )
    default_config: ToolConfigIn | None = None
    configs: dict[str, ToolConfigIn] | None = None
    eager_input_streaming: bool | None = Field(
        default=None, description="true streams the input as the model writes it, whether or not it is valid JSON."
    )

    @property
    def is_custom(self) -> bool:
        """Whether the client says itself what the tool takes."""
        return self.type in (None, "custom")

    @field_validator("mcp_server_name")
    @classmethod
    def _toolsets_are_of_a_server(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is None and info.data.get("type") == "mcp_toolset":
            raise PydanticCustomError("missing_name", "is required in a toolset")
        return name

    @field_validator("name", "input_schema")
    @classmethod
    def _custom_tools_are_whole(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.data.get("type") in (None, "custom"):
            raise PydanticCustomError("missing_part", "is required in a tool")
        return value


class ToolUseChoiceIn(_Wire):
    """How free the model is to call."""

    type: Literal["auto", "any", "tool", "none"]
    name: ToolName | None = Field(default=None, validate_default=True)
    disable_parallel_tool_use: bool | None = None

    @field_validator("name")
    @classmethod
    def _a_tool_has_a_name(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is None and info.data.get("type") == "tool":
            raise PydanticCustomError("missing_name", "is required in a tool choice of type 'tool'")
        return name


class ThinkingIn(_Wire):
    """Whether the model is to reason, how long, and whether that is shown."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: TokenBudget | None = Field(
        default=None, validate_default=True, description="Tokens of reasoning in the whole answer, at most."
    )
    display: Literal["summarized", "omitted"] | None = None

    @field_validator("budget_tokens")
    @classmethod
    def _enabled_has_a_budget(cls, budget: int | None, info: ValidationInfo) -> int | None:
        if budget is None and info.data.get("type") == "enabled":
            raise PydanticCustomError("missing_budget", "is required when thinking is enabled")
        return budget


class OutputFormatIn(_Wire):
    """The form of the answer: JSON that a schema allows."""

    model_config = ConfigDict(populate_by_name=True)

    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfigIn(_Wire):
    """How much effort the answer is worth, and which form it is to have."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormatIn | None = None


class McpServerIn(_Wire):
    """A tool server of the configuration, by its name there."""

    type: str = "url"
    name: str = Field(description="The tool server's label in the configuration.")
    url: Any = None
    authorization_token: Any = None
    tool_configuration: dict[str, Any] | None = None

    @field_validator("url", "authorization_token")
    @classmethod
    def _the_configuration_says_where(cls, value: Any) -> Any:
        if value:
            raise PydanticCustomError(
                "place",
                "is not taken from a request: only tool servers that the configuration names are used, by their names",
            )
        return value

    @field_validator("tool_configuration")
    @classmethod
    def _toolsets_say_which(cls, value: Any) -> Any:
        if value:
            raise PydanticCustomError("older", "is of an older form: say which tools in a tool of type 'mcp_toolset'")
        return value


class CountTokensRequest(_Wire):
    """A conversation, of which only the prompt is wanted."""

    model: str = Field(min_length=1, description="Name of the model, as GET /models lists it.")
    messages: list[BlockMessageIn] = Field(min_length=1)
    system: (
        Annotated[list[SystemBlockIn], BeforeValidator(_as_blocks, json_schema_input_type=str | list[SystemBlockIn])]
        | None
    ) = None
    tools: list[ClientToolIn] | None = None
    tool_choice: ToolUseChoiceIn | None = None
    thinking: ThinkingIn | None = None
    output_config: OutputConfigIn | None = None
    output_format: OutputFormatIn | None = Field(default=None, description="An older name of output_config.format.")
    thread: Any = Field(default=None, description="Refused: conversations are not kept here.")
    mcp_servers: list[McpServerIn] | None = Field(
        default=None, description="Tool servers of the configuration whose tools the server is to run."
    )
    max_tool_rounds: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="How many times the model may call such tools before it has to answer."
    )


class MessagesRequest(CountTokensRequest):
    """A request for the next message of a conversation."""

    max_tokens: TokenLimit
    stream: bool | None = None
    stop_sequences: list[str] | None = Field(default=None, max_length=16)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=2**31 - 1, description="0 is all tokens.")
    compaction: Annotated[Any, Unsupported("conversations are not summed up")] = None
    container: Annotated[Any, Unsupported("there is no container to run code in")] = None
