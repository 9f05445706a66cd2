"""The events of a turn: the one vocabulary between a turn and every wire format.

A turn yields, in order: ``Progress`` any number of times, then deltas and ``MessageEnd`` as the model writes (and more
``Progress`` between them, if the engine dies and is started again), and last exactly one ``Finish``; a turn that fails
raises a ``ServerError`` instead. A non-streaming answer is the same events folded.

Where the server runs tools itself, an answer is several turns: first ``ServerTools`` for each tool server, then what
the model writes, each call of such a tool as ``ServerToolCall`` when it is run and ``ServerToolResult`` when it is
done, and what the model writes next. ``ToolCallStart`` is always a call for the client.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from lemonade_like.harmony.messages import Message
    from lemonade_like.tools.catalogue import Tool

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(slots=True)
class Progress:
    """Something happens although no token has come yet; keep-alives are made from it.

    While ``stage`` is ``prefill``, ``done`` of ``total`` are prompt tokens. While it is ``queued``, ``done`` is the
    place in the line, counted from 1. Otherwise both are 0. In ``tools``, the server's tools are at work.
    """

    stage: Literal["queued", "loading", "prefill", "tools"]
    done: int = 0
    total: int = 0


@dataclass(slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning."""

    text: str


@dataclass(slots=True)
class TokenLogprob:
    """How likely a token was (natural logarithm), and the likeliest in its place: ``(token, bytes, logprob)`` each.

    ``offset`` is where it begins, in characters of what the model has written.
    """

    token: str
    bytes: list[int]
    logprob: float
    top: list[tuple[str, list[int], float]] = field(default_factory=list)
    offset: int = 0


@dataclass(slots=True)
class ContentDelta:
    """A piece of the visible answer. ``channel`` tells commentary apart from the final answer.

    ``logprobs`` has, where they were asked for, the engine's log probabilities of the tokens that the piece ends.
    """

    text: str
    channel: str | None = "final"
    logprobs: list[TokenLogprob] | None = None


@dataclass(slots=True)
class ToolCallStart:
    """A tool call begins. ``index`` counts the turn's calls from 0; ``id`` is new and unguessable."""

    index: int
    id: str
    name: str


@dataclass(slots=True)
class ToolCallArgumentsDelta:
    """A piece of a call's arguments: JSON text as the model writes it."""

    index: int
    text: str


@dataclass(slots=True)
class MessageEnd:
    """A channel message is complete; ``message`` is the whole of it, as the model wrote it."""

    message: Message


@dataclass(slots=True)
class ServerTools:
    """What one tool server, which the client has asked for by its ``label``, offers in this answer."""

    label: str
    tools: tuple[Tool, ...]


@dataclass(slots=True)
class ServerToolCall:
    """The server runs a tool. ``index`` counts such calls of the whole answer from 0, and ``round`` the turns in which
    the model made them. ``name`` is what the tool server calls the tool; ``arguments`` are as the model wrote them."""

    index: int
    id: str
    label: str
    name: str
    arguments: str
    round: int


@dataclass(slots=True)
class ServerToolResult:
    """What the model is told of a call: ``text`` is what the tool returned, or with ``failed`` why there is nothing."""

    index: int
    id: str
    text: str
    failed: bool = False


@dataclass(slots=True)
class Usage:
    """Token counts of one turn. ``cached_tokens`` of the prompt were not read again; ``reasoning_tokens`` are part of
    ``completion_tokens``."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0


@dataclass(slots=True)
class Finish:
    """The turn is over. ``timings`` is the engine's own account (milliseconds and tokens per second); ``recovered``
    counts, by kind, what was malformed in the model's output and had to be mended, or was kept from the client;
    ``resumed`` is how many times the engine was lost in the middle of the turn."""

    reason: FinishReason
    usage: Usage
    timings: dict[str, Any] = field(default_factory=dict)
    recovered: dict[str, int] = field(default_factory=dict)
    stop_string: str | None = None
    resumed: int = 0


Event = (
    Progress
    | ReasoningDelta
    | ContentDelta
    | ToolCallStart
    | ToolCallArgumentsDelta
    | MessageEnd
    | ServerTools
    | ServerToolCall
    | ServerToolResult
    | Finish
)
