"""Remembers what an answer was made of that ended in calls for the client.

The client has seen one message with its own calls; the model wrote several, with the server's calls and their results
between them, and is to read those when the client comes back with its results.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lemonade_like.turns.memory import CallMemory, is_same_call

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lemonade_like.harmony.messages import ChatMessage, ToolCall
    from lemonade_like.turns.request import TurnRequest

#: What a message costs beside its texts, roughly.
_MESSAGE_BYTES: Final = 512


@dataclass(frozen=True)
class _Made:
    """The messages of an answer, and those of its calls that are the client's."""

    messages: tuple[ChatMessage, ...]
    own: tuple[ToolCall, ...]

    @property
    def size(self) -> int:
        texts = (
            len(message.text) + len(message.reasoning or "") + sum(len(call.arguments) for call in message.tool_calls)
            for message in self.messages
        )
        return sum(texts) + _MESSAGE_BYTES * len(self.messages)

    @property
    def of_server(self) -> set[str]:
        """The ids of the calls that the server ran."""
        return {call.id for message in self.messages for call in message.tool_calls} - {call.id for call in self.own}

    def is_what(self, message: ChatMessage) -> bool:
        """Whether the client sends back just what it saw; whether the server's calls are with it does not matter."""
        sent = {call.id: call for call in message.tool_calls}
        said = "\n".join(one.text for one in self.messages if one.role == "assistant" and one.text)
        return (
            message.text == said
            and all(call.id in sent and is_same_call(sent[call.id], call) for call in self.own)
            and sent.keys() <= {call.id for call in self.own} | self.of_server
        )


class AnswerMemory:
    """Answers by the ids of the client's calls, apart for each client and model, within so many bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._answers: CallMemory[_Made] = CallMemory(max_bytes)

    def remember(self, request: TurnRequest, messages: Sequence[ChatMessage], own: Sequence[ToolCall]) -> None:
        """Keep an answer to the request."""
        made = _Made(tuple(messages), tuple(own))
        self._answers.keep(request.owner, request.model, own[0].id, made, made.size)

    def restored(self, request: TurnRequest) -> TurnRequest:
        """Return the request with what it has of such answers replaced by what they were made of."""
        found = {
            place: made
            for place, message in enumerate(request.messages)
            for call in message.tool_calls
            if (made := self._answers.find(request.owner, request.model, call.id)) is not None and made.is_what(message)
        }
        return replace(request, messages=tuple(_restored(request.messages, found))) if found else request


def _restored(messages: Sequence[ChatMessage], found: dict[int, _Made]) -> Iterator[ChatMessage]:
    known = set[str]().union(*(made.of_server for made in found.values()))
    for place, message in enumerate(messages):
        if place in found:
            yield from (replace(one, index=message.index) for one in found[place].messages)
            continue
        # The client may have sent the server's calls and their results, too.
        calls = {call.id for call in message.tool_calls}
        if message.tool_call_id not in known and not (calls and calls <= known):
            yield message
