"""What a message of the model is to the client: reasoning, part of the answer, a tool call, or none of these."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from lemonade_like.harmony.header import Header

_FUNCTIONS: Final = "functions."
#: Models write these where a recipient stands, and mean none.
_NO_NAMES: Final = frozenset({"", "assistant", "json", "code", "all", "user", "final", "commentary", "analysis"})


class Kind(Enum):
    """Where the body of a message goes."""

    REASONING = "reasoning"
    CONTENT = "content"
    TOOL_CALL = "tool_call"
    #: Shown in the raw channel messages only: invented user and tool messages, calls to tools that nobody offers.
    HIDDEN = "hidden"


@dataclass(frozen=True)
class Route:
    """The kind, and for a tool call the name of the function."""

    kind: Kind
    name: str = ""


def route(header: Header, declared: AbstractSet[str] = frozenset(), *, calls_allowed: bool = True) -> Route:
    """Decide what a message is by its header.

    ``functions.X`` is a call to ``X`` whether or not it was declared, so that the client can answer that there is no
    such tool; a bare name is one only if declared. With ``calls_allowed`` false nothing is a call.
    """
    if header.role != "assistant":
        return Route(Kind.HIDDEN)
    recipient = header.recipient or ""
    name = recipient.removeprefix(_FUNCTIONS)
    if recipient in declared or (recipient.startswith(_FUNCTIONS) and name):
        return Route(Kind.TOOL_CALL, name) if calls_allowed else Route(Kind.HIDDEN)
    if recipient not in _NO_NAMES and recipient != _FUNCTIONS:
        return Route(Kind.HIDDEN)
    return Route(Kind.REASONING if header.channel == "analysis" else Kind.CONTENT)
