"""One turn of an answer that takes several: what the model wrote, apart from what the client is shown of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lemonade_like.harmony.messages import ChatMessage, TextPart, ToolCall
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
    Usage,
)
from lemonade_like.turns.timings import of_several_turns

if TYPE_CHECKING:
    from collections.abc import Container, Iterable


@dataclass
class _Written:
    """A call that the model is writing. ``shown`` is its index among the client's calls; the server's have none."""

    id: str
    name: str
    shown: int | None
    pieces: list[str] = field(default_factory=list)

    @property
    def call(self) -> ToolCall:
        return ToolCall(self.id, self.name, "".join(self.pieces))


class Round:
    """Follows one turn. Calls of the ``server``'s tools are kept from the client; its own are counted from 0.

    ``seen`` are the kinds of text that earlier turns have shown: a turn's first text of such a kind is set apart from
    theirs by a newline, as a turn sets its own blocks apart.
    """

    def __init__(self, server: Container[str], seen: set[type[Event]]) -> None:
        self.finish: Finish | None = None
        self._server = server
        self._seen = seen
        self._due = set(seen)
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, _Written] = {}
        self._shown = 0

    def take(self, events: Iterable[Event]) -> list[Event]:
        """Take what the turn says; returns what the client is to see of it."""
        shown: list[Event] = []
        for event in events:
            if isinstance(event, ContentDelta):
                self._content.append(event.text)
                shown.append(replace(event, text="\n" + event.text) if self._is_due(ContentDelta) else event)
            elif isinstance(event, ReasoningDelta):
                self._reasoning.append(event.text)
                shown.append(ReasoningDelta("\n" + event.text) if self._is_due(ReasoningDelta) else event)
            elif isinstance(event, ToolCallStart):
                index = None if event.name in self._server else self._shown
                self._calls[event.index] = _Written(event.id, event.name, index)
                if index is not None:
                    self._shown += 1
                    shown.append(replace(event, index=index))
            elif isinstance(event, ToolCallArgumentsDelta):
                written = self._calls[event.index]
                written.pieces.append(event.text)
                if written.shown is not None:
                    shown.append(replace(event, index=written.shown))
            elif isinstance(event, Finish):
                self.finish = event
            else:
                shown.append(event)
        return shown

    @property
    def own_calls(self) -> list[ToolCall]:
        """The calls that the client has to run."""
        return [written.call for written in self._calls.values() if written.shown is not None]

    @property
    def server_calls(self) -> list[ToolCall]:
        """The calls that are the server's to run."""
        return [written.call for written in self._calls.values() if written.shown is None]

    def message(self, index: int) -> ChatMessage:
        """Return all of it as a message of the chat."""
        content = "".join(self._content)
        return ChatMessage(
            "assistant",
            (TextPart(content),) if content else (),
            reasoning="".join(self._reasoning) or None,
            tool_calls=tuple(written.call for written in self._calls.values()),
            index=index,
        )

    def _is_due(self, kind: type[Event]) -> bool:
        self._seen.add(kind)
        if kind in self._due:
            self._due.discard(kind)
            return True
        return False


class Account:
    """What all turns of an answer have cost together."""

    def __init__(self) -> None:
        self._finishes: list[Finish] = []

    @property
    def completion_tokens(self) -> int:
        """How many tokens the model has written."""
        return sum(finish.usage.completion_tokens for finish in self._finishes)

    @property
    def reasoning_tokens(self) -> int:
        """How many of them are reasoning."""
        return sum(finish.usage.reasoning_tokens for finish in self._finishes)

    def add(self, finish: Finish) -> None:
        """Take a turn that has ended."""
        self._finishes.append(finish)

    def finish(self, reason: FinishReason) -> Finish:
        """Return the end of the answer: usage and time are those of all turns, each of which has read its prompt."""
        usage = Usage(
            sum(finish.usage.prompt_tokens for finish in self._finishes),
            self.completion_tokens,
            self.reasoning_tokens,
            sum(finish.usage.cached_tokens for finish in self._finishes),
        )
        recovered = Counter[str]()
        for finish in self._finishes:
            recovered.update(finish.recovered)
        return Finish(
            reason,
            usage,
            of_several_turns([finish.timings for finish in self._finishes]),
            dict(recovered),
            self._finishes[-1].stop_string,
            sum(finish.resumed for finish in self._finishes),
        )
