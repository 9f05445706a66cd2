"""What is asked of a turn, in no particular wire format."""

from __future__ import annotations

# Recorded turns are read back by these types, so what they name must be importable at run time.
from collections.abc import Callable, Mapping  # noqa: TC003
from dataclasses import dataclass, field
from typing import Any, Literal

from lemonade_like.harmony.messages import ChatMessage, FunctionTool  # noqa: TC001

ToolChoice = Literal["none", "auto", "required"]
#: Where reasoning goes: into a field of its own, into the content between ``<think>`` tags, or nowhere.
ReasoningFormat = Literal["separate", "inline", "hidden"]


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. ``None`` means the server's default for the model.

    ``extra`` holds llama.cpp's further samplers under llama-server's own names (``top_k``, ``min_p``, …).
    """

    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ResponseFormat:
    """The form that the answer must have: JSON text that is valid by ``schema``, a JSON Schema.

    ``strict`` refuses a schema that cannot be enforced in full. ``param`` is the path of the schema in the request.
    """

    name: str
    schema: Any
    description: str = ""
    strict: bool = True
    param: str = "response_format.json_schema.schema"


@dataclass(frozen=True)
class ToolServerUse:
    """A tool server of the configuration whose tools the server is to run for the model.

    ``allowed`` names those that may be called, ``None`` is all but the ``excluded``; ``read_only`` takes only those
    that say they change nothing. ``index`` is its place among the request's tools, and ``param`` where its label
    stands.
    """

    label: str
    allowed: frozenset[str] | None = None
    read_only: bool = False
    index: int = 0
    param: str = "tools"
    excluded: frozenset[str] = frozenset()


@dataclass(frozen=True)
class TurnRequest:
    """One assistant turn, or with ``tool_servers`` as many as it takes until the model has answered.

    ``model`` is the name that the client used. ``allowed_tools`` names those of the ``tools`` that may be called;
    ``None`` is all. ``max_tokens`` bounds what is generated, reasoning included; ``None`` is up to the context.
    ``stop`` strings match the visible answer only. ``reasoning_effort`` is the client's own word for it (``low``,
    ``thorough``, …), checked by the turn. ``reasoning_budget`` bounds the tokens of reasoning in the whole turn.
    ``reasoning_preset`` names an effort, a budget and an instruction; the request's own effort and budget go before.
    ``reasoning_format`` of ``None`` is the server's default. ``top_logprobs`` asks for log probabilities of the visible
    answer: of each token, and of so many others in its place. ``whole`` says that the client gets nothing of the answer
    before it is complete. ``owner`` tells clients apart: what is remembered of one
    is not seen by another. ``client`` says who is in line, to be fair between those who wait; empty is the owner.
    ``model_identity``, ``knowledge_cutoff`` and ``current_date`` (``YYYY-MM-DD``) are what the
    system message says instead of the server's own. ``on_slot`` is called when the turn has its slot.
    ``continues`` says that the turn goes on with an answer of which others were before, and which neither a full queue
    nor a server that drains is to cut.

    ``tool_servers`` are those whose tools the server runs itself, beside the client's own ``tools``; of those in
    ``allowed_servers`` all may be called, whatever ``allowed_tools`` says. ``max_tool_rounds`` bounds how many turns
    may call such tools, and ``max_server_calls`` how many calls are run; ``None`` is the server's bound.
    ``server_calls`` tells by its id which call in the ``messages`` was run here: its server's label, and the tool's
    name there.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[FunctionTool, ...] = ()
    tool_choice: ToolChoice = "auto"
    allowed_tools: frozenset[str] | None = None
    parallel_tool_calls: bool = True
    response_format: ResponseFormat | None = None
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    reasoning_effort: str | None = None
    reasoning_budget: int | None = None
    reasoning_preset: str | None = None
    reasoning_format: ReasoningFormat | None = None
    top_logprobs: int | None = None
    whole: bool = False
    owner: str = ""
    client: str = ""
    model_identity: str | None = None
    knowledge_cutoff: str | None = None
    current_date: str | None = None
    tool_servers: tuple[ToolServerUse, ...] = ()
    allowed_servers: frozenset[str] = frozenset()
    max_tool_rounds: int | None = None
    max_server_calls: int | None = None
    server_calls: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    continues: bool = False
    on_slot: Callable[[], None] | None = field(default=None, compare=False, repr=False)

    @property
    def callable_tools(self) -> tuple[FunctionTool, ...]:
        """The tools that may be called."""
        if self.tool_choice == "none":
            return ()
        return tuple(tool for tool in self.tools if self.allowed_tools is None or tool.name in self.allowed_tools)


@dataclass(frozen=True)
class CompletionRequest:
    """One raw completion.

    ``prompt`` is a text or token ids. ``parse_special`` reads control tokens that a text spells out; ``None`` is as
    usual for the model: as ordinary text for GPT-OSS, and as control tokens for other models. ``suffix`` is what comes
    behind the completion. ``max_tokens`` of ``None`` is up to the context. ``stop`` strings match all that the model
    writes. ``grammar`` is GBNF for all of it; ``response_format`` is made into one. ``top_logprobs``, ``whole``,
    ``owner``, ``client`` and ``on_slot`` are as in a ``TurnRequest``.
    """

    model: str
    prompt: str | tuple[int, ...]
    suffix: str | None = None
    parse_special: bool | None = None
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    grammar: str | None = None
    response_format: ResponseFormat | None = None
    top_logprobs: int | None = None
    whole: bool = False
    owner: str = ""
    client: str = ""
    on_slot: Callable[[], None] | None = field(default=None, compare=False, repr=False)
