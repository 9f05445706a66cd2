"""The body of ``POST /responses``, as OpenAI documents it and as clients send it.

Types are strict, because a wrong one is a client's mistake that it wants to hear of. Fields that are not here are
ignored, because clients send all kinds; those that say what this server cannot do are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lemonade_like.api.json_schema import Unsupported
from lemonade_like.api.openai.fields import CalledName, FunctionName, TokenLimit
from lemonade_like.api.openai.server_tools import ServerToolFields


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", protected_namespaces=())


def _as_parts(content: Any) -> Any:
    if isinstance(content, str):
        return [{"type": "input_text", "text": content}]
    if content is not None and not isinstance(content, list):
        raise PydanticCustomError("content", "must be a string or a list of parts")
    return content


def _as_items(value: Any) -> Any:
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    if value is not None and not isinstance(value, list):
        raise PydanticCustomError("input", "must be a string or a list of items")
    return value


class InputPartIn(_Wire):
    """A part of an item: text of some kind, or something else, which the model may or may not be able to take."""

    model_config = ConfigDict(extra="allow")

    type: str
    text: str | None = Field(default=None, validate_default=True)
    refusal: str | None = None
    image_url: str | None = None

    @field_validator("text")
    @classmethod
    def _text_has_text(cls, text: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("type", "")
        if text is None and (kind == "text" or kind.endswith("_text")):
            raise PydanticCustomError("text", "is required in a part of type '{kind}'", {"kind": kind})
        return text


Parts = Annotated[list[InputPartIn], BeforeValidator(_as_parts, json_schema_input_type=str | list[InputPartIn])]


class ItemIn(_Wire):
    """One item of the input. Which of the fields it needs depends on its type; without one it is a message."""

    type: str = "message"
    id: str | None = None
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: Parts | None = None
    phase: Literal["commentary", "final_answer"] | None = None
    status: str | None = None
    call_id: CalledName | None = None
    name: CalledName | None = None
    server_label: CalledName | None = None
    tools: list[dict[str, Any]] | None = None
    error: dict[str, Any] | str | None = None
    namespace: CalledName | None = None
    arguments: str | None = None
    input: str | None = None
    output: Parts | None = None
    summary: list[InputPartIn] | None = None
    encrypted_content: str | None = None

    @field_validator("type", mode="before", json_schema_input_type=str | None)
    @classmethod
    def _no_type_is_a_message(cls, kind: Any) -> Any:
        return "message" if kind is None else kind


class ResponseToolIn(_Wire, ServerToolFields):
    """A tool: a function, a custom one that takes text, a namespace of such, those of a tool server here, or one that
    OpenAI runs."""

    type: str
    name: FunctionName | None = Field(default=None, validate_default=True)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    format: dict[str, Any] | None = None
    tools: list[ResponseToolIn] | None = None

    @field_validator("name")
    @classmethod
    def _own_tools_have_a_name(cls, name: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("type")
        if name is None and kind in ("function", "custom", "namespace"):
            raise PydanticCustomError("name", "is required in a tool of type '{kind}'", {"kind": kind})
        return name


class NamedResponseToolIn(_Wire):
    """A tool, named; one that OpenAI runs has its type for a name, and those of a tool server here have its label."""

    type: str
    name: str | None = None
    server_label: str | None = None


class ResponseToolChoiceIn(_Wire):
    """Any of the forms that a tool choice is sent in, as one: how free the model is, and between which tools."""

    type: Literal["none", "auto", "required", "function", "custom", "mcp", "allowed_tools"]
    name: str | None = Field(default=None, validate_default=True)
    server_label: str | None = Field(default=None, validate_default=True)
    mode: Literal["auto", "required"] | None = Field(default=None, validate_default=True)
    tools: Annotated[list[NamedResponseToolIn], Field(min_length=1)] | None = Field(default=None, validate_default=True)

    @field_validator("name", "server_label", "mode", "tools")
    @classmethod
    def _object_forms_are_whole(cls, value: Any, info: ValidationInfo) -> Any:
        kind = info.data.get("type")
        needed = {"name": ("function", "custom"), "server_label": ("mcp",)}.get(
            info.field_name or "", ("allowed_tools",)
        )
        if value is None and kind in needed:
            raise PydanticCustomError("missing_name", "is required in a tool choice of type '{kind}'", {"kind": kind})
        return value


def _tool_choice_form(choice: Any) -> Any:
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            raise PydanticCustomError("choice", "must be 'none', 'auto', 'required', or an object that names a tool")
        return {"type": choice}
    return choice


class TextFormatIn(_Wire):
    """The form of the answer: any text, any JSON object, or JSON that a schema allows."""

    model_config = ConfigDict(populate_by_name=True)

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: CalledName | None = Field(default=None, validate_default=True)
    description: str | None = None
    schema_: dict[str, Any] | bool | None = Field(default=None, alias="schema")
    strict: bool | None = Field(
        default=None, description="false lets what cannot be enforced pass; otherwise it is refused."
    )

    @field_validator("name")
    @classmethod
    def _schemas_have_a_name(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.data.get("type") == "json_schema":
            raise PydanticCustomError("missing_name", "is required in a format of type 'json_schema'")
        return value


class TextConfigIn(_Wire):
    """How the answer is to look. ``verbosity`` is taken and says nothing to the models that are served here."""

    format: TextFormatIn | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ResponseReasoningIn(_Wire):
    """How much to reason. Summaries are not made: what the model thinks is there in full."""

    effort: str | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


MetadataKey = Annotated[str, StringConstraints(max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]


class CountInputTokensRequest(_Wire):
    """What the prompt of a response is made of."""

    model: str = Field(min_length=1, description="Name of the model, as GET /models lists it.")
    input: Annotated[list[ItemIn], BeforeValidator(_as_items, json_schema_input_type=str | list[ItemIn])] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    tools: list[ResponseToolIn] | None = None
    tool_choice: (
        Annotated[
            ResponseToolChoiceIn,
            BeforeValidator(
                _tool_choice_form, json_schema_input_type=Literal["none", "auto", "required"] | ResponseToolChoiceIn
            ),
        ]
        | None
    ) = None
    parallel_tool_calls: bool | None = None
    reasoning: ResponseReasoningIn | None = None
    text: TextConfigIn | None = None
    truncation: Literal["auto", "disabled"] | None = None
    conversation: Annotated[
        Any, Unsupported("conversations are continued with 'previous_response_id', or by sending all items")
    ] = None

    @model_validator(mode="after")
    def _something_is_said(self) -> CountInputTokensRequest:
        if self.input is None and self.previous_response_id is None:
            raise PydanticCustomError(
                "nothing_said", "'input' is required, unless there is a 'previous_response_id'", {"param": "input"}
            )
        return self


class ResponsesRequest(CountInputTokensRequest):
    """A request for a model's response."""

    include: list[str] | None = Field(
        default=None,
        description="`reasoning.encrypted_content` adds the reasoning in a form to be sent back as it is, and "
        "`message.output_text.logprobs` log probabilities; the rest is about tools that are not here.",
    )
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    max_output_tokens: TokenLimit | None = Field(default=None, description="Reasoning counts too.")
    max_tool_calls: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="How many calls of its own tools the server runs at most; the client's do not count."
    )
    max_tool_rounds: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="How many times the model may call such tools before it has to answer."
    )
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)] | None = None
    store: bool | None = Field(default=None, description="false keeps nothing; otherwise the response is kept.")
    stream: bool | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    background: Annotated[Any, Unsupported("answers are made while the client is there. Ask with 'stream' instead")] = (
        None
    )
    prompt: Annotated[Any, Unsupported("there are no stored prompts. Send 'instructions' and 'input'")] = None
    moderation: Annotated[Any, Unsupported("no answer is moderated")] = None

    @property
    def wants_logprobs(self) -> bool:
        """Whether log probabilities are asked for, in either way."""
        return bool(self.top_logprobs) or "message.output_text.logprobs" in (self.include or ())

    @property
    def wants_encrypted_reasoning(self) -> bool:
        """Whether the reasoning is asked for in a form to be sent back."""
        return "reasoning.encrypted_content" in (self.include or ())
