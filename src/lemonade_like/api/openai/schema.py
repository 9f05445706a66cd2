"""The body of ``POST /chat/completions``, as OpenAI documents it and as clients send it.

Types are strict, because a wrong one is a client's mistake that it wants to hear of; fields that are not here are
ignored, because clients send all kinds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from lemonade_like.api.json_schema import Unsupported
from lemonade_like.api.openai.fields import (
    Amount,
    CalledName,
    ContentType,
    Date,
    Fraction,
    Int32,
    LastTokens,
    Penalty,
    TokenBudget,
    TokenId,
    TokenLimit,
    as_json_text,
    as_list,
    as_parts,
    word,
)
from lemonade_like.api.openai.server_tools import ServerToolCallIn
from lemonade_like.api.openai.tools import (
    FunctionIn,
    NamedFunctionIn,
    ToolChoiceIn,
    ToolIn,
    function_call_form,
    tool_choice_form,
)


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", protected_namespaces=())


class ContentPartIn(_Wire):
    """A part of a message: text, or something else, which the model may or may not be able to take."""

    model_config = ConfigDict(extra="allow")

    type: str
    text: str | None = Field(default=None, validate_default=True)
    refusal: str | None = None

    @field_validator("type")
    @classmethod
    def _files_are_not_read(cls, kind: str) -> str:
        if kind == "file":
            raise PydanticCustomError("file", "is 'file', but no files are read here: send what it says as text")
        return kind

    @field_validator("text")
    @classmethod
    def _text_has_text(cls, text: str | None, info: ValidationInfo) -> str | None:
        if text is None and info.data.get("type") == "text":
            raise PydanticCustomError("text", "is required in a part of type 'text'")
        return text


class FunctionCallIn(_Wire):
    """What was called, and with which arguments: JSON text as the model wrote it, right or wrong."""

    name: CalledName
    arguments: Annotated[str, BeforeValidator(as_json_text, json_schema_input_type=str | dict[str, Any])] = ""


class ToolCallIn(_Wire):
    """A call that the assistant made earlier."""

    id: CalledName
    type: Literal["function"] = "function"
    function: FunctionCallIn


class MessageIn(_Wire):
    """One message. What SDKs echo back of an answer (``refusal``, ``annotations``, ``audio``) is ignored.

    ``channel``, ``recipient`` and ``content_type`` are what stands in the message's Harmony header, for clients that
    speak it; ``timestamp`` is taken and has no place in a prompt.
    """

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: (
        Annotated[list[ContentPartIn], BeforeValidator(as_parts, json_schema_input_type=str | list[ContentPartIn])]
        | None
    ) = Field(default=None, validate_default=True)
    name: str | None = Field(default=None, validate_default=True)
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking: str | None = None
    tool_calls: list[ToolCallIn] | None = None
    server_tool_calls: list[ServerToolCallIn] | None = None
    function_call: FunctionCallIn | None = None
    tool_call_id: str | None = None
    channel: str | None = None
    recipient: CalledName | None = None
    content_type: ContentType | None = None
    timestamp: Any = None

    @field_validator("content")
    @classmethod
    def _somebody_says_something(
        cls, content: list[ContentPartIn] | None, info: ValidationInfo
    ) -> list[ContentPartIn] | None:
        role = info.data.get("role")
        if content is None and role in ("system", "developer", "user"):
            raise PydanticCustomError("content", "is required in a message of role '{role}'", {"role": role})
        return content

    @field_validator("name")
    @classmethod
    def _results_have_a_usable_name(cls, name: str | None, info: ValidationInfo) -> str | None:
        role = info.data.get("role")
        if role == "function" and name is None:
            raise PydanticCustomError("name", "is required in a message of role 'function'")
        return word(name) if name is not None and role in ("tool", "function") else name


class StreamOptionsIn(_Wire):
    """What else the stream is to say."""

    include_usage: bool | None = None


class ReasoningIn(_Wire):
    """Effort, budget and whether to show it, as the Responses API and others spell them."""

    effort: str | None = None
    max_tokens: TokenBudget | None = None
    exclude: bool | None = None


class JsonSchemaIn(_Wire):
    """A JSON Schema with a name for the model to read."""

    model_config = ConfigDict(populate_by_name=True)

    name: CalledName
    description: str | None = None
    schema_: dict[str, Any] | bool = Field(default={}, alias="schema")
    strict: bool | None = Field(
        default=None, description="false lets what cannot be enforced pass; otherwise it is refused."
    )


class ResponseFormatIn(_Wire):
    """The form of the answer: any text, any JSON object, or JSON that a schema allows."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaIn | None = Field(default=None, validate_default=True)

    @field_validator("json_schema")
    @classmethod
    def _schema_is_there(cls, value: JsonSchemaIn | None, info: ValidationInfo) -> JsonSchemaIn | None:
        if value is None and info.data.get("type") == "json_schema":
            raise PydanticCustomError("missing_schema", "is required in a format of type 'json_schema'")
        return value


class SamplersIn(_Wire):
    """llama.cpp's own samplers, under llama-server's names."""

    top_k: Int32 | None = None
    min_p: Fraction | None = None
    typical_p: Fraction | None = None
    top_n_sigma: Annotated[float, Field(ge=-1, le=1_000_000)] | None = None
    xtc_probability: Fraction | None = None
    xtc_threshold: Fraction | None = None
    repeat_penalty: Amount | None = None
    repeat_last_n: LastTokens | None = None
    dry_multiplier: Amount | None = None
    dry_base: Amount | None = None
    dry_allowed_length: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    dry_penalty_last_n: LastTokens | None = None
    dry_sequence_breakers: list[str] | None = None
    dynatemp_range: Amount | None = None
    dynatemp_exponent: Amount | None = None
    mirostat: Annotated[int, Field(ge=0, le=2)] | None = None
    mirostat_tau: Amount | None = None
    mirostat_eta: Amount | None = None
    min_keep: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    samplers: list[str] | None = None
    logit_bias: (
        Annotated[
            dict[TokenId, Annotated[float, Field(ge=-100, le=100)]],
            Field(max_length=10_000),
        ]
        | None
    ) = None


_BySchema = Annotated[Any, Unsupported("ask for the form of the answer with 'response_format'")]


class BeyondIn(_Wire):
    """What would make it another answer, and cannot be had: a client that is refused knows it, one that is ignored does
    not."""

    audio: Annotated[Any, Unsupported("answers are text only")] = None
    web_search_options: Annotated[Any, Unsupported("this server does not search the web")] = None
    moderation: Annotated[Any, Unsupported("no answer is moderated")] = None
    # Of llama.cpp and vLLM. A grammar of the client's own would forbid Harmony's shape.
    grammar: _BySchema = None
    json_schema: _BySchema = None
    structured_outputs: _BySchema = None
    guided_json: _BySchema = None
    guided_regex: _BySchema = None
    guided_choice: _BySchema = None
    guided_grammar: _BySchema = None
    ignore_eos: Annotated[Any, Unsupported("an answer ends where the model ends it")] = None
    lora: Annotated[Any, Unsupported("start the server with --llamacpp-args '--lora FILE'")] = None


class ChatCompletionRequest(BeyondIn, SamplersIn):
    """A request for the next message of a conversation."""

    model: str = Field(min_length=1, description="Name of the model, as GET /models lists it.")
    messages: list[MessageIn] = Field(min_length=1)
    prefill: str | None = Field(
        default=None,
        description="How the answer begins; the model goes on from there. An assistant message at the end does the "
        "same.",
    )
    model_identity: str | None = Field(
        default=None, min_length=1, max_length=10_000, description="Who the model is told to be."
    )
    knowledge_cutoff: str | None = Field(
        default=None, min_length=1, max_length=100, description="Up to when it is told to know things."
    )
    current_date: Date | None = Field(default=None, description="The date that it is told, as in 2026-01-31.")
    include: list[Literal["harmony"]] | None = Field(
        default=None, description="`harmony` adds the raw channel messages to the answer."
    )
    tools: list[ToolIn] | None = None
    tool_choice: (
        Annotated[
            ToolChoiceIn,
            BeforeValidator(
                tool_choice_form, json_schema_input_type=Literal["none", "auto", "required"] | ToolChoiceIn
            ),
        ]
        | None
    ) = None
    parallel_tool_calls: bool | None = None
    max_tool_rounds: int | None = Field(
        default=None,
        ge=1,
        description="How many times the model may call the server's tools before it has to answer; the server has its "
        "own bound.",
    )
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), le=2**64 - 1)
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = Field(default=None, description="Wins over max_tokens.")
    n_predict: Annotated[int, Field(ge=-1, le=2**31 - 1)] | None = Field(
        default=None, description="llama.cpp's name for max_tokens, where neither of those is set. -1 is no limit."
    )
    stop: Annotated[
        list[str],
        BeforeValidator(as_list, json_schema_input_type=str | Annotated[list[str], Field(max_length=16)] | None),
        Field(max_length=16),
    ] = []
    n: int | None = Field(default=None, ge=1, le=16)
    stream: bool | None = None
    stream_options: StreamOptionsIn | None = None
    reasoning_effort: str | None = None
    reasoning: ReasoningIn | None = None
    reasoning_budget: TokenBudget | None = Field(
        default=None, description="Tokens of reasoning in the whole answer, at most; 0 is no reasoning."
    )
    thinking_budget: TokenBudget | None = Field(
        default=None, description="The same, where reasoning_budget is not set."
    )
    reasoning_preset: str | None = Field(
        default=None, description="An effort, a budget and an instruction by name, such as `quick` or `thorough.deep`."
    )
    reasoning_format: Literal["separate", "inline", "hidden"] | None = Field(
        default=None, description="Where the reasoning goes: its own field, the content between <think> tags, nowhere."
    )
    include_reasoning: bool | None = Field(default=None, description="false is the reasoning format `hidden`.")
    chat_template_kwargs: dict[str, Any] | None = Field(
        default=None,
        description="Only `reasoning_effort` is read of it, which is where llama.cpp and vLLM look for it.",
    )
    response_format: ResponseFormatIn | None = None
    modalities: list[Literal["text"]] | None = None
    logprobs: bool | None = Field(
        default=None, description="Whether to give them for the tokens of the visible answer."
    )
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    functions: list[FunctionIn] | None = Field(
        default=None, description="What tools were called before; a call is then answered as `function_call`."
    )
    function_call: (
        Annotated[
            ToolChoiceIn,
            BeforeValidator(function_call_form, json_schema_input_type=Literal["none", "auto"] | NamedFunctionIn),
        ]
        | None
    ) = Field(default=None, description="What tool_choice was called before: `none`, `auto`, or a name.")
    service_tier: str | None = Field(default=None, description="The answer says `default`: there is one tier.")

    @field_validator("functions")
    @classmethod
    def _tools_are_offered_in_one_form(
        cls, value: list[FunctionIn] | None, info: ValidationInfo
    ) -> list[FunctionIn] | None:
        if value and info.data.get("tools"):
            raise PydanticCustomError("functions", "cannot be sent beside 'tools': offer all as 'tools'")
        return value

    @field_validator("top_logprobs")
    @classmethod
    def _logprobs_are_wanted(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and not info.data.get("logprobs"):
            raise PydanticCustomError("top_logprobs", "needs 'logprobs' to be true")
        return value

    @property
    def offered(self) -> list[tuple[int, FunctionIn]]:
        """The client's functions that may be called, in whichever form they are offered, each with its place."""
        if self.functions:
            return list(enumerate(self.functions))
        return [(place, tool.function) for place, tool in enumerate(self.tools or ()) if tool.function is not None]

    @property
    def choices(self) -> int:
        """How many answers are wanted."""
        return self.n or 1

    @property
    def token_limit(self) -> int | None:
        """The most tokens that may be generated, under whichever name."""
        # To llama.cpp -1 is no limit, and 0 generates a token all the same.
        of_engine = None if self.n_predict in (None, -1) else max(self.n_predict, 1)
        limits = (self.max_completion_tokens, self.max_tokens, of_engine)
        return next((limit for limit in limits if limit is not None), None)

    @property
    def include_usage(self) -> bool:
        """Whether a stream is to end with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)
