"""Remembers what the model generated before a tool call, for clients that do not send the reasoning back.

GPT-OSS was trained to see its chain of thought until it has answered, and the engine's cache holds what was generated,
token by token. So the next turn of a tool loop replays it verbatim, found by the ids of its calls, which are random
and known to that client alone.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Sequence

    from lemonade_like.harmony.messages import ChatMessage, ToolCall

#: A tool loop rests for hours when a person must confirm something; hardly for longer.
MAX_AGE_SECONDS: Final = 24 * 3600.0
#: What an entry costs beside its ids and texts, roughly.
_ENTRY_BYTES: Final = 512


@dataclass(frozen=True)
class Remembered:
    """One turn that ended in calls: its ids after ``<|start|>assistant``, and what the client saw of it.

    ``current_date`` is the date that its system message named: a conversation keeps its date, or the engine would have
    to read all of it again after midnight.
    """

    ids: array[int]
    content: str
    calls: tuple[ToolCall, ...]
    current_date: str

    @property
    def size(self) -> int:
        """Bytes that it takes, roughly."""
        texts = len(self.content) + sum(len(call.id) + len(call.name) + len(call.arguments) for call in self.calls)
        return self.ids.itemsize * len(self.ids) + texts + _ENTRY_BYTES

    def is_what(self, message: ChatMessage) -> bool:
        """Whether the client sends back just what it saw. Reasoning does not count: it may be left out or shortened."""
        return (
            message.text == self.content
            and len(message.tool_calls) == len(self.calls)
            and all(map(_is_same_call, message.tool_calls, self.calls))
        )


def _is_same_call(sent: ToolCall, generated: ToolCall) -> bool:
    if (sent.id, sent.name) != (generated.id, generated.name):
        return False
    if sent.arguments == generated.arguments:
        return True
    # Some clients parse the arguments and write them anew.
    try:
        return bool(orjson.loads(sent.arguments) == orjson.loads(generated.arguments))
    except (orjson.JSONDecodeError, RecursionError):
        return False


_Key = tuple[str, str, str]


class ReasoningMemory:
    """Turns by call id, apart for each client and model; bounded by bytes and by age. No bytes at all switch it off."""

    def __init__(
        self, max_bytes: int, *, max_age: float = MAX_AGE_SECONDS, clock: Callable[[], float] = monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._used = 0
        self._max_age = max_age
        self._clock = clock
        self._turns: OrderedDict[_Key, tuple[float, Remembered]] = OrderedDict()

    def remember(self, owner: str, model: str, turn: Remembered) -> None:
        """Keep a turn under the id of its first call; the oldest go when there is no room."""
        if not turn.calls or turn.size > self._max_bytes:
            return
        self._turns[(owner, model, turn.calls[0].id)] = (self._clock(), turn)
        self._used += turn.size
        while self._used > self._max_bytes or self._oldest_is_stale():
            _, (_, dropped) = self._turns.popitem(last=False)
            self._used -= dropped.size

    def recall(self, owner: str, model: str, chat: Sequence[ChatMessage]) -> dict[int, Remembered]:
        """Return the turns that messages of ``chat`` are, by place; a message that was changed is no such turn."""
        found: dict[int, Remembered] = {}
        for place, message in enumerate(chat):
            if not message.tool_calls:
                continue
            since, turn = self._turns.get((owner, model, message.tool_calls[0].id), (0.0, None))
            if turn is not None and self._clock() - since <= self._max_age and turn.is_what(message):
                found[place] = turn
        return found

    def _oldest_is_stale(self) -> bool:
        since, _ = next(iter(self._turns.values()))
        return self._clock() - since > self._max_age
