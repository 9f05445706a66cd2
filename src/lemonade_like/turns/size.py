"""How large a request is, told without encoding it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lemonade_like.turns.failures import context_exceeded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lemonade_like.turns.request import TurnRequest

#: What is longer is rendered beside the event loop; the rest takes less time than it takes to hand it over.
LONG_TEXT: Final = 20_000
_MANY_MESSAGES: Final = 200
_MANY_SCHEMA_PARTS: Final = 1_000
#: The longest context that GPT-OSS has: what holds for a model that is not loaded.
LONGEST_CONTEXT: Final = 131_072
#: The longest token of the vocabulary: so many blanks, or dashes, or the like.
LONGEST_TOKEN: Final = 128
#: A message has at least a start, a role, a mark before its body and an end.
_FRAME: Final = 4


def is_long(request: TurnRequest) -> bool:
    """Whether rendering the request may take longer than a few milliseconds."""
    return (
        len(request.messages) > _MANY_MESSAGES
        or _characters(request) > LONG_TEXT
        or _has_many_parts(tool.parameters for tool in request.tools)
    )


def refuse_what_cannot_fit(request: TurnRequest, context_length: int) -> None:
    """Raise ``ContextLengthExceeded`` for a chat that is too long however it is encoded, before time is spent on it."""
    told = sum(len(tool.description) for tool in request.tools) if request.tool_choice != "none" else 0
    least = (_characters(request) + told) // LONGEST_TOKEN
    least += _FRAME * sum(message.role in ("user", "tool") for message in request.messages)
    if least >= context_length:
        raise context_exceeded(least, context_length, at_least=True)


def _characters(request: TurnRequest) -> int:
    return sum(
        len(message.text)
        + len(message.reasoning or "")
        + sum(len(call.arguments) + len(call.name) for call in message.tool_calls)
        for message in request.messages
    )


def _has_many_parts(schemas: Iterable[Any]) -> bool:
    """Whether schemas have many parts, or long texts; looks at no more than it takes to know."""
    size, open_parts = 0, list(schemas)
    while open_parts and size < _MANY_SCHEMA_PARTS:
        part = open_parts.pop()
        size += 1
        if isinstance(part, str):
            size += len(part) // 20
        elif isinstance(part, dict):
            open_parts += part.values()
        elif isinstance(part, list):
            open_parts += part
    return size >= _MANY_SCHEMA_PARTS
