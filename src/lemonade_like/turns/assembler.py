"""Pieces of channel messages to events: what the client sees of a turn."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lemonade_like.harmony.header import Header
from lemonade_like.harmony.parser import Body, MessageEnded, MessageStarted, Piece
from lemonade_like.harmony.routing import Kind, Route, route
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    MessageEnd,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
)
from lemonade_like.turns.stop import StopMatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from lemonade_like.harmony.conversation import Opening


class Assembler:
    """Follows one turn. ``done`` turns true when nothing more is wanted of the model.

    Several blocks of one kind are joined by one newline. Stop strings are looked for in the visible answer only.
    """

    def __init__(
        self,
        *,
        new_call_id: Callable[[], str],
        opening: Opening | None = None,
        declared: AbstractSet[str] = frozenset(),
        calls_allowed: bool = True,
        parallel_calls: bool = True,
        stop: Sequence[str] = (),
    ) -> None:
        self.done = False
        self.calls = 0
        #: How many messages were kept from the client, by kind: the raw messages have them.
        self.hidden: Counter[str] = Counter()
        self._new_call_id = new_call_id
        self._declared = declared
        self._calls_allowed = calls_allowed
        self._parallel_calls = parallel_calls
        self._stop = StopMatcher(stop)
        self._blocks: set[Kind] = set()
        self._header = Header(channel=opening.channel if opening else None)
        self._route = Route(Kind.HIDDEN)
        self._separator = ""
        if opening is not None and opening.channel is not None:
            self._route = route(self._header)

    @property
    def stop_string(self) -> str | None:
        """The stop string that ended the turn, if one did."""
        return self._stop.matched

    @property
    def reasoning(self) -> bool:
        """Whether the message that is being written is reasoning."""
        return self._route.kind is Kind.REASONING

    @property
    def answering(self) -> bool:
        """Whether the message that is being written is part of the visible answer."""
        return self._route.kind is Kind.CONTENT

    def add(self, pieces: Iterable[Piece]) -> list[Event]:
        """Return the events that these pieces make."""
        events: list[Event] = []
        for piece in pieces:
            if isinstance(piece, Body):
                if not self.done:
                    self.add_body(piece.text, events)
            elif isinstance(piece, MessageStarted):
                if not self.done:
                    self._started(piece.header, events)
            else:
                self._ended(piece, events)
        return events

    def finish(self) -> list[Event]:
        """Return what was held back, now that no more comes."""
        held = self._stop.flush()
        return [ContentDelta(held, self._header.channel)] if held else []

    def _started(self, header: Header, events: list[Event]) -> None:
        if header.channel != self._header.channel:
            # Held-back text keeps its channel. A stop string that spans two channels is none.
            events += self.finish()
        self._header = header
        self._route = route(header, self._declared, calls_allowed=self._calls_allowed)
        kind = self._route.kind
        self._separator = "\n" if kind in self._blocks else ""
        if kind is Kind.HIDDEN:
            self.hidden["hidden_call" if header.role == "assistant" else "invented_message"] += 1
        if kind is Kind.TOOL_CALL:
            events += self.finish()
            events.append(ToolCallStart(self.calls, self._new_call_id(), self._route.name))
            self.calls += 1

    def add_body(self, text: str, events: list[Event]) -> None:
        """Append to ``events`` what more text of the body makes; not to be called when the turn is done."""
        kind = self._route.kind
        if kind is Kind.TOOL_CALL:
            events.append(ToolCallArgumentsDelta(self.calls - 1, text))
            return
        if kind is Kind.HIDDEN:
            return
        self._blocks.add(kind)
        if self._separator:
            text, self._separator = self._separator + text, ""
        if kind is Kind.REASONING:
            events.append(ReasoningDelta(text))
            return
        text = self._stop.feed(text)
        if text:
            events.append(ContentDelta(text, self._header.channel))
        self.done = self._stop.matched is not None

    def _ended(self, piece: MessageEnded, events: list[Event]) -> None:
        events.append(MessageEnd(piece.message))
        if self._route.kind is Kind.TOOL_CALL and not self._parallel_calls and piece.message.end == "<|end|>":
            # Any other end is the turn's own: then the engine's account of it comes next.
            self.done = True
        self._route = Route(Kind.HIDDEN)
