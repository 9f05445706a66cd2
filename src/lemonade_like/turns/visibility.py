"""Who sees the reasoning: a pure change of events between a turn and whatever writes them, and of what comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lemonade_like.harmony.messages import ChatMessage, TextPart
from lemonade_like.turns.events import ContentDelta, Event, Finish, MessageEnd, ReasoningDelta, ToolCallStart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lemonade_like.turns.request import ReasoningFormat

OPENING_TAG: Final = "<think>"
CLOSING_TAG: Final = "</think>"


class ReasoningView:
    """Shows the reasoning of one turn apart (``separate``), in the content between tags (``inline``), or not at all
    (``hidden``). Counts in the usage stay as they are."""

    def __init__(self, reasoning_format: ReasoningFormat) -> None:
        self._format = reasoning_format
        self._open = False

    def apply(self, events: list[Event]) -> list[Event]:
        """Return the events to be shown."""
        if self._format == "separate":
            return events
        if self._format == "hidden":
            return [event for event in events if not _tells_reasoning(event)]
        return list(self._inline(events))

    def _inline(self, events: Iterable[Event]) -> Iterable[Event]:
        for event in events:
            if isinstance(event, ReasoningDelta):
                yield ContentDelta(event.text if self._open else OPENING_TAG + event.text, "analysis")
                self._open = True
                continue
            if self._open and isinstance(event, ContentDelta | ToolCallStart | Finish):
                self._open = False
                yield ContentDelta(CLOSING_TAG, "analysis")
            yield event


def untagged(messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """Return a chat whose answers were shown ``inline`` with their reasoning as reasoning again.

    Taken is a block between tags at the beginning of an assistant message, which is where a turn's reasoning is shown;
    reasoning that the client sends in its own field goes before it.
    """
    return tuple(_untagged(message) if message.role == "assistant" else message for message in messages)


def _untagged(message: ChatMessage) -> ChatMessage:
    first = message.content[0] if message.content else None
    if not isinstance(first, TextPart) or message.channel is not None:
        return message
    tag, block, rest = first.text.lstrip().partition(OPENING_TAG)
    reasoning, closed, answer = rest.partition(CLOSING_TAG)
    if tag or not block or not closed:
        return message
    content = ((TextPart(answer),) if answer else ()) + message.content[1:]
    return replace(message, content=content, reasoning=message.reasoning or reasoning or None)


def _tells_reasoning(event: Event) -> bool:
    if isinstance(event, MessageEnd):
        return event.message.channel == "analysis"
    return isinstance(event, ReasoningDelta)
