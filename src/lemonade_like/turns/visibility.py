"""Who sees the reasoning: a pure change of events between a turn and whatever writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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


def _tells_reasoning(event: Event) -> bool:
    if isinstance(event, MessageEnd):
        return event.message.channel == "analysis"
    return isinstance(event, ReasoningDelta)
