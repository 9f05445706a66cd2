"""Events as content blocks, which stand one after the other: the order that streams and whole answers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

from lemonade_like.api.anthropic.calls import input_json, server_id, shown_id
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    Progress,
    ReasoningDelta,
    ServerToolCall,
    ServerToolResult,
    ToolCallArgumentsDelta,
    ToolCallStart,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

TextKind = Literal["text", "thinking"]
BlockKind = Literal["text", "thinking", "tool_use", "mcp_tool_use"]
#: What a client sees of the reasoning: all of it, blocks that say nothing, or no blocks.
ThinkingView = Literal["shown", "omitted", "none"]

#: Clients want one with every thinking block. It signs nothing: what comes back is believed.
SIGNATURE: Final = "bGVtb25hZGUtbGlrZQ=="


class BlockSink(Protocol):
    """Is told of one block at a time: that it starts, what it says, that it ends."""

    def start_text(self, kind: TextKind) -> None:
        """Begin a block of text or of thinking."""

    def text(self, kind: TextKind, text: str) -> None:
        """Add to that block; never nothing."""

    def start_call(self, call_id: str, name: str) -> None:
        """Begin a call."""

    def input(self, json: str) -> None:
        """Add to the JSON text of the call's input."""

    def start_server_call(self, call_id: str, server: str, name: str) -> None:
        """Begin a call that the server runs; its input follows as that of any call."""

    def server_result(self, call_id: str, text: str, *, is_error: bool) -> None:
        """Add a block with what such a call returned."""

    def stop(self, kind: BlockKind) -> None:
        """End the block."""

    def finish(self, finish: Finish) -> None:
        """End the message."""


class Blocks:
    """Follows a turn, whose calls are written one after the other.

    A call's input is held back until it is whole, because a client that reads a stream cannot go on with input that is
    no JSON; ``live`` names the tools whose input is passed on as the model writes it. A turn joins blocks of one kind
    by a newline; where another kind stands between them, that newline is the boundary of the blocks.
    """

    def __init__(
        self, sink: BlockSink, *, live: AbstractSet[str] = frozenset(), thinking: ThinkingView = "shown"
    ) -> None:
        #: How long the prompt is, as far as that is known before the end.
        self.prompt_tokens = 0
        self._sink = sink
        self._live = live
        self._thinking = thinking
        self._open: BlockKind | None = None
        self._seen: set[TextKind] = set()
        self._held: list[str] | None = None

    def add(self, events: Iterable[Event]) -> None:
        """Take events in."""
        for event in events:
            kind = type(event)
            if kind is ContentDelta:
                self._text("text", event.text)  # type: ignore[union-attr]
            elif kind is ReasoningDelta:
                self._text("thinking", event.text)  # type: ignore[union-attr]
            elif isinstance(event, ToolCallArgumentsDelta):
                if self._held is not None:
                    self._held.append(event.text)
                elif event.text:
                    self._sink.input(event.text)
            elif isinstance(event, ToolCallStart):
                self._close()
                self._open = "tool_use"
                self._held = None if event.name in self._live else []
                self._sink.start_call(shown_id(event.id), event.name)
            elif isinstance(event, Finish):
                self._close()
                self._sink.finish(event)
            elif isinstance(event, ServerToolCall):
                self._close()
                self._open, self._held = "mcp_tool_use", [event.arguments]
                self._sink.start_server_call(server_id(event.id), event.label, event.name)
                self._close()
            elif isinstance(event, ServerToolResult):
                self._sink.server_result(server_id(event.id), event.text, is_error=event.failed)
            elif isinstance(event, Progress):
                self.prompt_tokens = event.total if event.stage == "prefill" else self.prompt_tokens

    def _text(self, kind: TextKind, text: str) -> None:
        if not text or (kind == "thinking" and self._thinking == "none"):
            return
        if kind != self._open:
            self._close()
            self._open = kind
            self._sink.start_text(kind)
            if kind in self._seen:
                text = text.removeprefix("\n")
            self._seen.add(kind)
        if text and (kind == "text" or self._thinking == "shown"):
            self._sink.text(kind, text)

    def _close(self) -> None:
        if self._open is None:
            return
        if self._held is not None:
            self._sink.input(input_json("".join(self._held)))
            self._held = None
        self._sink.stop(self._open)
        self._open = None
