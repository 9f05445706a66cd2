"""What a conversation is made of: the client's view of it, and Harmony's.

``ChatMessage`` is one message as chat clients send it, whatever their wire format. ``Message`` is one Harmony
message: what stands between ``<|start|>`` and its end token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "developer", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Message:
    """One Harmony message.

    ``role`` is the role in the header; for a tool's result it is the tool's full name (``functions.get_weather``).
    ``content_type`` is spelled as in the header, e.g. ``<|constrain|>json``. ``end`` is the spelling of the token that
    ended it, or ``None`` where the model was cut off.
    """

    role: str
    content: str
    channel: str | None = None
    recipient: str | None = None
    content_type: str | None = None
    end: str | None = "<|end|>"


@dataclass(frozen=True)
class Verbatim:
    """What the model itself generated after ``<|start|>assistant``, id for id, with the token that ended it."""

    ids: tuple[int, ...]


@dataclass(frozen=True)
class FunctionTool:
    """A function that the client offers; ``parameters`` is its JSON Schema, or ``None`` where it takes nothing.

    ``strict`` holds its arguments to the schema. ``index`` is its place in the request, for error messages.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: bool = False
    index: int = field(default=0, compare=False)


@dataclass(frozen=True)
class ToolCall:
    """A call that the assistant made. ``arguments`` is the JSON text just as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class TextPart:
    """A piece of text in a message's content."""

    text: str


@dataclass(frozen=True)
class MediaPart:
    """A piece of content that is no text (an image, a sound); ``data`` is the client's own part, untouched."""

    type: str
    data: dict[str, Any]


ContentPart = TextPart | MediaPart


@dataclass(frozen=True)
class ChatMessage:
    """One message of a chat, as any wire format says it.

    ``reasoning`` is the assistant's earlier thinking, when the client sent it back. ``tool_call_id`` names, on a
    ``tool`` message, the call that it answers. ``channel``, ``recipient`` and ``content_type`` are there where the
    client speaks Harmony itself, and stand in the header as they are. ``index`` is its place in the request, for error
    messages.
    """

    role: Role
    content: tuple[ContentPart, ...] = ()
    name: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    channel: str | None = None
    recipient: str | None = None
    content_type: str | None = None
    index: int = field(default=0, compare=False)

    @property
    def text(self) -> str:
        """The text parts joined; several parts are separated by one newline."""
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def has_header(self) -> bool:
        """Whether the client says itself what stands in the Harmony header."""
        return self.channel is not None or self.recipient is not None or self.content_type is not None
