"""What a recorded turn is as JSON: one line of a recording.

The version is in every line. Fields may be added to it; one that changes its meaning or goes makes a new version, and
lines of versions that are not known here are refused.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from lemonade_like.turns.recorded.tape import Outcome
from lemonade_like.turns.request import CompletionRequest, TurnRequest

SCHEMA: Final = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class RecordedModel(_Part):
    """The model that answered."""

    name: str = Field(description="Its one name here, whatever the request called it.")
    checkpoint: str | None = Field(description="Repository and quantisation on the Hub, if it is from there.")
    path: str = Field(description="Its GGUF file.")
    bytes: int | None = Field(description="The file's size.")


class RecordedEngine(_Part):
    """The engine that it ran on."""

    backend: str = Field(description="`bundled`, `system`, `cpu`, `vulkan`, …")
    version: str | None = Field(description="What the engine says of its build.")
    command: list[str] = Field(description="Its command line.")
    ctx_size: int = Field(description="Tokens that one turn may use.")
    parallel: int = Field(description="Its slots.")


class RecordedOpening(_Part):
    """How the prompt begins the message that the model goes on with."""

    channel: str | None = None
    body: str = ""
    content_type: str | None = None


class RecordedRecall(_Part):
    """An earlier turn that stands in the prompt just as it was generated, reasoning included."""

    place: int = Field(description="Its place among the messages.")
    ids: list[int]


class RecordedSystem(_Part):
    """What the model was told beside the messages, and how its answer begins."""

    opening: RecordedOpening = Field(description="How the answer begins in the prompt.")
    effort: Literal["none", "low", "medium", "high"] = Field(description="The effort that the model was told.")
    current_date: str = Field(description="The date that it was told.")
    model_identity: str = Field(description="Who it was told to be.")
    knowledge_cutoff: str = Field(description="Up to when it was told to know things.")
    recalled: list[RecordedRecall] = Field(description="Earlier turns that were replayed word for word.")


class RecordedPrompt(_Part):
    """What the model was given to read."""

    ids: list[int] = Field(description="Token ids, as they were posted.")
    text: str | None = Field(
        description="The same as text, control tokens spelled out; `null` where only the engine knows it."
    )
    system: RecordedSystem | None = Field(description="What was decided for it; `null` of raw completions.")


class RecordedOutput(_Part):
    """What the model wrote."""

    exact: bool = Field(description="Whether `ids` are known for certain.")
    ids: list[int] | None = Field(
        description="Token ids; `null` where the engine has left out some that cannot be told."
    )
    tokens: int = Field(description="How many tokens it wrote.")
    text: str = Field(description="The same as text, control tokens spelled out.")
    parts: list[str | int] | None = Field(
        description="Text and the ids of control tokens apart, where the text alone does not tell them apart: the "
        "model has spelled a marker out in ordinary tokens. Otherwise `null`."
    )


class RecordedError(_Part):
    """Why the turn failed: the error that the client got."""

    type: str
    message: str
    code: str | None
    param: str | None


class RecordedUsage(_Part):
    """Tokens."""

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int


class Record(_Part):
    """One turn."""

    # Not named after the version: pydantic has a ``schema`` of its own.
    version: Literal[1] = Field(alias="schema", description="Version of this form.")
    id: str = Field(description="Id of the HTTP request, as in the log and the `X-Request-ID` header.")
    turn: str = Field(description="Id of this turn alone; choices and rounds of one request share its `id`.")
    started: str = Field(description="When the turn began, in UTC.")
    seconds: float = Field(description="How long it took, waiting for the model and a slot included.")
    first_token_seconds: float | None = Field(description="Until something was shown; `null` if nothing was.")
    server: str = Field(description="Version of lemonade-like.")
    endpoint: str | None = Field(description="Path that was asked, which tells the API.")
    owner: str = Field(description="A hash of the client's API key; empty without keys.")
    model: RecordedModel | None = Field(description="The model; `null` if the turn ended before it was there.")
    engine: RecordedEngine | None = Field(description="The engine; `null` if the turn ended before it was there.")
    request: TurnRequest | CompletionRequest = Field(
        description="What was asked, the same whichever API it came by: a turn of a conversation, or a raw completion."
    )
    prompt: RecordedPrompt | None = Field(
        description="The prompt; `null` for models that use their own chat template, and if it came to none."
    )
    payload: dict[str, Any] | None = Field(
        description="What was posted to the engine (the prompt's ids left out): sampling, seed, grammar, limits."
    )
    output: RecordedOutput | None = Field(description="What the model wrote; `null` where `prompt` is.")
    events: list[dict[str, Any]] = Field(
        description="What the server made of it, in order; `at` is in milliseconds since the turn began."
    )
    outcome: Outcome = Field(description="`finished`, `failed`, or `cancelled` by the client.")
    finish_reason: str | None = Field(description="`stop`, `length` or `tool_calls`.")
    stop_string: str | None = Field(description="The stop string that ended it.")
    error: RecordedError | None = Field(description="Why it failed.")
    usage: RecordedUsage | None = Field(description="Tokens of a turn that finished.")
    timings: dict[str, Any] | None = Field(description="The engine's own account.")
    recovered: dict[str, int] | None = Field(description="What was malformed and mended, by kind.")
    resumed: int | None = Field(description="How many times the engine was lost in the middle of the turn.")
