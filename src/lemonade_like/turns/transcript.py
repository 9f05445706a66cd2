"""What a turn was made of: its exact ids, although the stream leaves some out, and what the client saw of it."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from lemonade_like.harmony import tokens
from lemonade_like.harmony.messages import ToolCall
from lemonade_like.turns.events import ContentDelta, Event, ToolCallArgumentsDelta, ToolCallStart
from lemonade_like.turns.memory import Remembered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lemonade_like.harmony.encoding import Encoder


class Recording:
    """Follows a turn frame by frame.

    llama-server sends no frame for a token that ends within a character, so its id is lost; but the next frame carries
    the text of both, and the count of tokens jumps. If that text, encoded anew, has just that many ids and the same
    last one, those were they. Otherwise the recording is spoilt: there is nothing exact to remember.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._ids: array[int] | None = array("I")
        self._content: list[str] = []
        self._starts: list[ToolCallStart] = []
        self._arguments: list[list[str]] = []

    def add(self, ids: Sequence[int], text: str, predicted: int, events: Iterable[Event]) -> None:
        """Take a frame: its ids, its text, how many tokens were generated up to its end, and what was made of it."""
        self._add_ids(ids, text, predicted)
        for event in events:
            if isinstance(event, ContentDelta):
                self._content.append(event.text)
            elif isinstance(event, ToolCallStart):
                self._starts.append(event)
                self._arguments.append([])
            elif isinstance(event, ToolCallArgumentsDelta):
                self._arguments[event.index].append(event.text)

    def spoil(self) -> None:
        """Give up: what was generated is not to be shown to the model again."""
        self._ids = None

    def remembered(self, current_date: str) -> Remembered | None:
        """Return the turn if it ended in calls, was ended by the model, and its ids are certain."""
        if not self._ids or not self._starts or self._ids[-1] not in (tokens.CALL, tokens.END):
            return None
        calls = tuple(
            ToolCall(start.id, start.name, "".join(pieces))
            for start, pieces in zip(self._starts, self._arguments, strict=True)
        )
        return Remembered(self._ids, "".join(self._content), calls, current_date)

    def _add_ids(self, ids: Sequence[int], text: str, predicted: int) -> None:
        if self._ids is None:
            return
        missing = predicted - len(self._ids) - len(ids)
        if missing == 0:
            self._ids.extend(ids)
            return
        found = self._encoder.encode(text) if missing > 0 else []
        if len(found) == missing + len(ids) and found[-len(ids) :] == list(ids):
            self._ids.extend(found)
        else:
            self._ids = None
