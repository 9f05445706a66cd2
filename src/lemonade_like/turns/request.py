"""What is asked of a turn, in no particular wire format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from lemonade_like.harmony.messages import ChatMessage, FunctionTool

ToolChoice = Literal["none", "auto", "required"]


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
class TurnRequest:
    """One assistant turn.

    ``model`` is the name that the client used. ``max_tokens`` bounds what is generated, reasoning included; ``None``
    is up to the context. ``stop`` strings match the visible answer only. ``reasoning_effort`` is the client's own
    word for it (``low``, ``thorough``, …), checked by the turn. ``owner`` tells clients apart: what is remembered of
    one is not seen by another. ``model_identity``, ``knowledge_cutoff`` and ``current_date`` (``YYYY-MM-DD``) are what
    the system message says instead of the server's own.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[FunctionTool, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    reasoning_effort: str | None = None
    owner: str = ""
    model_identity: str | None = None
    knowledge_cutoff: str | None = None
    current_date: str | None = None
