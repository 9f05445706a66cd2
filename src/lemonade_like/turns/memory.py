"""Remembers what the model generated before a tool call, for clients that do not send the reasoning back.

GPT-OSS was trained to see its chain of thought until it has answered, and the engine's cache holds what was generated,
token by token. So the next turn of a tool loop replays it verbatim, found by the ids of its calls, which are random
and known to that client alone.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final, Generic, TypeVar

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
            and all(map(is_same_call, message.tool_calls, self.calls))
        )


def is_same_call(sent: ToolCall, generated: ToolCall) -> bool:
    """Whether a client sends back the call that was generated."""
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
T = TypeVar("T")


class CallMemory(Generic[T]):
    """Things by call id, apart for each client and model; bounded by bytes and by age. Zero bytes switch it off."""

    def __init__(
        self, max_bytes: int, *, max_age: float = MAX_AGE_SECONDS, clock: Callable[[], float] = monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._used = 0
        self._max_age = max_age
        self._clock = clock
        self._kept: OrderedDict[_Key, tuple[float, int, T]] = OrderedDict()

    def keep(self, owner: str, model: str, call_id: str, thing: T, size: int) -> None:
        """Keep a thing of so many bytes; the oldest go when there is no room."""
        if size > self._max_bytes:
            return
        self._kept[(owner, model, call_id)] = (self._clock(), size, thing)
        self._used += size
        while self._used > self._max_bytes or self._oldest_is_stale():
            _, (_, dropped, _) = self._kept.popitem(last=False)
            self._used -= dropped

    def find(self, owner: str, model: str, call_id: str) -> T | None:
        """Return what is kept, unless it is too old."""
        since, _, thing = self._kept.get((owner, model, call_id), (0.0, 0, None))
        return thing if thing is not None and self._clock() - since <= self._max_age else None

    def _oldest_is_stale(self) -> bool:
        since, _, _ = next(iter(self._kept.values()))
        return self._clock() - since > self._max_age


class ReasoningMemory:
    """Turns by the id of their first call."""

    def __init__(
        self, max_bytes: int, *, max_age: float = MAX_AGE_SECONDS, clock: Callable[[], float] = monotonic
    ) -> None:
        self._turns: CallMemory[Remembered] = CallMemory(max_bytes, max_age=max_age, clock=clock)

    def remember(self, owner: str, model: str, turn: Remembered) -> None:
        """Keep a turn, if it has calls."""
        if turn.calls:
            self._turns.keep(owner, model, turn.calls[0].id, turn, turn.size)

    def recall(self, owner: str, model: str, chat: Sequence[ChatMessage]) -> dict[int, Remembered]:
        """Return the turns that messages of ``chat`` are, by place; a message that was changed is no such turn."""
        found: dict[int, Remembered] = {}
        for place, message in enumerate(chat):
            if not message.tool_calls:
                continue
            turn = self._turns.find(owner, model, message.tool_calls[0].id)
            if turn is not None and turn.is_what(message):
                found[place] = turn
        return found
