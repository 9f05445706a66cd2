"""The body of ``POST /completions``, as OpenAI documents it and as clients of llama-server send it, and the answer."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from lemonade_like.api.answer import ABSENT, Answer
from lemonade_like.api.openai.answers import ChatUsage, Timings
from lemonade_like.api.openai.fields import Penalty, as_list
from lemonade_like.api.openai.schema import ResponseFormatIn, SamplersIn, StreamOptionsIn

#: A text, or token ids.
Prompt = str | tuple[int, ...]

#: As long as the longest context that there is.
_MOST_IDS: Final = 1_048_576
#: How many completions one request may ask for, of all its prompts together.
MOST_CHOICES: Final = 512
#: To the engine's parser each parenthesis is a call of a function, and its stack has an end.
_DEEPEST_GRAMMAR: Final = 200


def _as_prompts(value: Any) -> list[Prompt]:
    """Return any of the four forms of a prompt as a list of prompts."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise PydanticCustomError("prompt", "must be a string, a list of strings, or token ids")
    if not value:
        raise PydanticCustomError("prompt", "must not be empty")
    if type(value[0]) is int:
        return [_as_ids(value)]
    if len(value) > MOST_CHOICES:
        raise PydanticCustomError("prompt", "takes at most {most} prompts at once", {"most": MOST_CHOICES})
    if all(type(each) is str for each in value):
        return value
    if all(type(each) is list for each in value):
        return [_as_ids(each) for each in value]
    raise PydanticCustomError("prompt", "must be a string, token ids, or a list of prompts that are all of one kind")


def _as_ids(value: list[Any]) -> tuple[int, ...]:
    if not value:
        raise PydanticCustomError("prompt", "must not have an empty list of token ids")
    if len(value) > _MOST_IDS:
        raise PydanticCustomError("prompt", "takes at most {most} token ids", {"most": _MOST_IDS})
    if any(type(each) is not int or not 0 <= each < 2**31 for each in value):
        raise PydanticCustomError("prompt", "must have nothing but token ids, whole numbers from 0, in such a list")
    return tuple(value)


Prompts = Annotated[
    list[Prompt],
    PlainValidator(_as_prompts, json_schema_input_type=str | list[str] | list[int] | list[list[int]]),
]
#: -1 is up to the context, to llama.cpp's own clients; 0 generates nothing.
Length = Annotated[int, Field(ge=-1, le=2**31 - 1)]


class CreateCompletionRequest(SamplersIn):
    """A request to go on with a text as it stands."""

    model: str = Field(min_length=1, description="Name of the model, as GET /models lists it.")
    prompt: Prompts = Field(description="A text, or token ids, or a list of several of one kind.")
    suffix: str | None = Field(
        default=None, description="What comes behind the completion; for models that can fill in the middle."
    )
    max_tokens: Length | None = Field(
        default=None, description="Tokens to be generated at most; without it, and with -1, up to the context."
    )
    n_predict: Length | None = Field(default=None, description="The same, where max_tokens is not set.")
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    n: int | None = Field(default=None, ge=1, le=16, description="Completions of each prompt.")
    best_of: int | None = Field(
        default=None,
        ge=1,
        le=16,
        validate_default=True,
        description="So many completions of each prompt are made, of which the n likeliest are given.",
    )
    stream: bool | None = None
    stream_options: StreamOptionsIn | None = None
    logprobs: int | None = Field(default=None, ge=0, le=5)
    echo: bool | None = Field(default=None, description="Whether the text begins with the prompt.")
    stop: Annotated[list[str], BeforeValidator(as_list)] = Field(default=[], max_length=16)
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: int | None = Field(default=None, ge=-(2**63), le=2**64 - 1)
    user: str | None = Field(default=None, description="Taken, and not used.")
    parse_special: bool | None = Field(
        default=None,
        description="Whether control tokens that the prompt spells out are read as such; without it, not for GPT-OSS, "
        "and for other models.",
    )
    ignore_eos: bool | None = Field(default=None, description="Whether to go on where the model would end.")
    grammar: str | None = Field(default=None, max_length=100_000, description="GBNF for all that is generated.")
    json_schema: dict[str, Any] | bool | None = Field(
        default=None, description="A JSON Schema for all that is generated."
    )
    response_format: ResponseFormatIn | None = None

    @field_validator("best_of")
    @classmethod
    def _best_of_enough(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value < (info.data.get("n") or 1):
            raise PydanticCustomError("best_of", "must be at least 'n'")
        return value

    @field_validator("stream")
    @classmethod
    def _the_best_is_known_at_the_end(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        if value and (info.data.get("best_of") or 1) > (info.data.get("n") or 1):
            raise PydanticCustomError("stream", "cannot be true where 'best_of' is greater than 'n'")
        return value

    @field_validator("echo")
    @classmethod
    def _the_prompt_has_no_logprobs(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        if value and info.data.get("logprobs") is not None:
            raise PydanticCustomError(
                "echo",
                "cannot be true beside 'logprobs': the engine gives no log probabilities of a prompt",
            )
        return value

    @field_validator("grammar")
    @classmethod
    def _the_grammar_can_be_parsed(cls, value: str | None) -> str | None:
        depth = 0
        for parenthesis in re.findall(r"[()]", value or ""):
            depth += 1 if parenthesis == "(" else -1
            if depth > _DEEPEST_GRAMMAR:
                raise PydanticCustomError(
                    "grammar", "may have parentheses {most} deep at most", {"most": _DEEPEST_GRAMMAR}
                )
        return value

    @field_validator("json_schema", "response_format")
    @classmethod
    def _there_is_one_form(cls, value: Any, info: ValidationInfo) -> Any:
        others = [name for name in ("grammar", "json_schema") if info.data.get(name) not in (None, "")]
        if value is not None and others:
            raise PydanticCustomError(
                "form", "cannot be sent beside '{other}': the output has one form", {"other": others[0]}
            )
        return value

    @property
    def choices(self) -> int:
        """How many completions of each prompt are given."""
        return self.n or 1

    @property
    def candidates(self) -> int:
        """How many completions of each prompt are made."""
        return max(self.choices, self.best_of or 1)

    @property
    def include_usage(self) -> bool:
        """Whether a stream is to end with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


class CompletionLogprobs(Answer):
    """Log probabilities as they were before chats: lists side by side."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int] = Field(description="Where each token begins, in characters of the choice's text.")


class CompletionChoice(Answer):
    """One completion; ``index`` counts those of the first prompt first."""

    text: str
    index: int
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"]


class Completion(Answer):
    """All completions that were asked for."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: ChatUsage
    timings: Timings = Field(ABSENT, description="The engine's own account, if there is one choice.")


class CompletionChunkChoice(Answer):
    """A piece of one completion; the last says why it ends."""

    text: str
    index: int
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"] | None


class CompletionChunk(Answer):
    """An event of a stream. The last has no choices and the usage, where that was asked for."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChunkChoice]
    usage: ChatUsage | None = ABSENT
    timings: Timings = ABSENT
