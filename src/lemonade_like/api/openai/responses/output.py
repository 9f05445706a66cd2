"""Events as output items, which stand one after the other: the order that streams and whole responses share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from lemonade_like.api.openai.responses.custom import input_of
from lemonade_like.api.openai.responses.ids import output_id
from lemonade_like.api.openai.responses.sealed import sealed
from lemonade_like.api.openai.responses.server_items import CallItem, ListItem
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    Progress,
    ReasoningDelta,
    ServerToolCall,
    ServerToolResult,
    ServerTools,
    TokenLogprob,
    ToolCallArgumentsDelta,
    ToolCallStart,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

ItemKind = Literal["reasoning", "message", "function_call", "custom_tool_call"]
Phase = Literal["commentary", "final_answer"]
Status = Literal["in_progress", "completed", "incomplete"]

_IDS: Final[dict[ItemKind, str]] = {
    "reasoning": "rs",
    "message": "msg",
    "function_call": "fc",
    "custom_tool_call": "ctc",
}


@dataclass
class OutputItem:
    """One item. Its text (reasoning, answer, arguments or input) is kept in pieces and joined once."""

    kind: ItemKind
    id: str
    index: int
    phase: Phase | None = None
    call_id: str = ""
    name: str = ""
    namespace: str | None = None
    packed: bool = False
    status: Status = "in_progress"
    pieces: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that it says so far."""
        return "".join(self.pieces)

    def part(self, text: str) -> dict[str, Any]:
        """Return the one part of a text's content."""
        if self.kind == "reasoning":
            return {"type": "reasoning_text", "text": text}
        logprobs = logprob_objects(self.logprobs)
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}

    def written(self) -> dict[str, Any]:
        """Return OpenAI's object. An item that has only begun says nothing yet."""
        begun = self.status == "in_progress"
        item: dict[str, Any] = {"id": self.id, "type": self.kind, "status": self.status}
        if self.kind in ("reasoning", "message"):
            content = [] if begun else [self.part(self.text)]
            if self.kind == "message":
                return {**item, "role": "assistant", "phase": self.phase, "content": content}
            packed = {"encrypted_content": sealed("" if begun else self.text)} if self.packed else {}
            return {**item, "summary": [], "content": content, **packed}
        text = "arguments" if self.kind == "function_call" else "input"
        called = {"name": self.name} if self.namespace is None else {"name": self.name, "namespace": self.namespace}
        return {**item, "call_id": self.call_id, **called, text: "" if begun else self.text}


def logprob_objects(logprobs: Iterable[TokenLogprob]) -> list[dict[str, Any]]:
    """Return log probabilities as OpenAI's objects."""
    return [
        {
            "token": one.token,
            "bytes": one.bytes,
            "logprob": one.logprob,
            "top_logprobs": [
                {"token": token, "bytes": spelled, "logprob": logprob} for token, spelled, logprob in one.top
            ],
        }
        for one in logprobs
    ]


class ItemSink(Protocol):
    """Is told of one item at a time: that it starts, what it says, that it ends."""

    def start(self, item: OutputItem) -> None:
        """Begin an item."""

    def delta(self, item: OutputItem, text: str, logprobs: Sequence[TokenLogprob]) -> None:
        """Add to its text; never nothing."""

    def stop(self, item: OutputItem) -> None:
        """End the item; its text is whole."""

    def listed(self, item: ListItem) -> None:
        """Tell of a tool server's tools."""

    def called(self, item: CallItem) -> None:
        """Begin a call that the server runs; others may begin before its result is there."""

    def returned(self, item: CallItem) -> None:
        """End such a call."""


class Output:
    """Follows a turn, whose calls are written one after the other.

    Commentary and the answer are messages of their own. ``custom`` names the tools that take text: what they are given
    is told when it is whole, since the model writes it as JSON. ``namespaces`` has the namespace and the name of tools
    that stand in one, by what the model calls them. ``packed`` has reasoning items carry their text as
    ``encrypted_content`` too. ``listed`` are the tool servers of which the conversation tells already. A turn joins
    blocks of one kind by a newline; where another item stands between them, that newline is the boundary of the items.
    """

    def __init__(
        self,
        response_id: str,
        *,
        custom: AbstractSet[str] = frozenset(),
        namespaces: Mapping[str, tuple[str, str]] | None = None,
        packed: bool = False,
        listed: AbstractSet[str] = frozenset(),
        sink: ItemSink | None = None,
    ) -> None:
        self.items: list[OutputItem | ListItem | CallItem] = []
        self.finish: Finish | None = None
        self.progress: Progress | None = None
        self._response_id = response_id
        self._custom = custom
        self._namespaces = namespaces or {}
        self._packed = packed
        self._listed = listed
        self._sink = sink
        self._open: OutputItem | None = None
        self._seen: set[ItemKind] = set()
        self._calls: dict[str, CallItem] = {}

    def add(self, events: Iterable[Event]) -> None:
        """Take events in."""
        for event in events:
            kind = type(event)
            if kind is ContentDelta:
                self._content(event)  # type: ignore[arg-type]
            elif kind is ReasoningDelta:
                self._text("reasoning", None, event.text, ())  # type: ignore[union-attr]
            elif isinstance(event, ToolCallArgumentsDelta):
                self._arguments(event.text)
            elif isinstance(event, ToolCallStart):
                self._call(event)
            elif isinstance(event, Finish):
                self.finish = event
                self._close("incomplete" if event.reason == "length" else "completed")
            elif isinstance(event, Progress):
                self.progress = event
            else:
                self._of_server(event)

    def cut(self) -> None:
        """Take what is there as all there is: the turn has failed."""
        if self._open is not None:
            self._open.status = "incomplete"
        for call in self._calls.values():
            call.cut = True

    def written(self) -> list[dict[str, Any]]:
        """Return all items that have ended."""
        return [item.written() for item in self.items if item.status != "in_progress"]

    def _of_server(self, event: Event) -> None:
        """Take what the server's own tools do."""
        sink = self._sink
        if isinstance(event, ServerTools) and event.label not in self._listed:
            self._close("completed")
            offer = ListItem(self._next_id("mcpl"), len(self.items), event)
            self.items.append(offer)
            if sink is not None:
                sink.listed(offer)
            offer.status = "completed"
        elif isinstance(event, ServerToolCall):
            self._close("completed")
            call = CallItem(self._next_id("mcp"), len(self.items), event)
            self._calls[event.id] = call
            self.items.append(call)
            if sink is not None:
                sink.called(call)
        elif isinstance(event, ServerToolResult):
            call = self._calls[event.id]
            call.result = event
            if sink is not None:
                sink.returned(call)

    def _next_id(self, kind: str) -> str:
        return output_id(self._response_id, kind, len(self.items))

    def _content(self, event: ContentDelta) -> None:
        phase: Phase = "commentary" if event.channel == "commentary" else "final_answer"
        self._text("message", phase, event.text, event.logprobs or ())

    def _text(self, kind: ItemKind, phase: Phase | None, text: str, logprobs: Sequence[TokenLogprob]) -> None:
        if not text:
            return
        item = self._open
        if item is None or item.kind != kind or item.phase != phase:
            again = kind in self._seen
            item = self._start(kind, phase)
            if again:
                text = text.removeprefix("\n")
        item.logprobs += logprobs
        if text:
            item.pieces.append(text)
            if self._sink is not None:
                self._sink.delta(item, text, logprobs)

    def _call(self, event: ToolCallStart) -> None:
        namespace, name = self._namespaces.get(event.name, (None, event.name))
        kind: ItemKind = "custom_tool_call" if event.name in self._custom else "function_call"
        self._start(kind, call_id=event.id, name=name, namespace=namespace)

    def _arguments(self, text: str) -> None:
        item = self._open
        if item is None or not text:
            return
        item.pieces.append(text)
        if self._sink is not None and item.kind == "function_call":
            self._sink.delta(item, text, ())

    def _start(
        self,
        kind: ItemKind,
        phase: Phase | None = None,
        *,
        call_id: str = "",
        name: str = "",
        namespace: str | None = None,
    ) -> OutputItem:
        self._close("completed")
        item_id, index = self._next_id(_IDS[kind]), len(self.items)
        packed = self._packed and kind == "reasoning"
        item = OutputItem(kind, item_id, index, phase, call_id, name, namespace, packed)
        self.items.append(item)
        self._seen.add(kind)
        self._open = item
        if self._sink is not None:
            self._sink.start(item)
        return item

    def _close(self, status: Status) -> None:
        item, self._open = self._open, None
        if item is None:
            return
        if item.kind == "custom_tool_call":
            text = input_of(item.text)
            item.pieces = [text]
            if text and self._sink is not None:
                self._sink.delta(item, text, ())
        item.status = status
        if self._sink is not None:
            self._sink.stop(item)
