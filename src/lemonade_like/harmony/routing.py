"""What a message of the model is to the client: reasoning, part of the answer, a tool call, or none of these."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from lemonade_like.harmony.header import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from lemonade_like.harmony.header import Header

_FUNCTIONS: Final = "functions."
#: Models write these where a recipient stands, and mean none.
_NO_NAMES: Final = frozenset({"assistant", "json", "code", "all", "user", *CHANNELS})


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
    name = _called(header.recipient or "", declared)
    if name:
        return Route(Kind.TOOL_CALL, name) if calls_allowed else Route(Kind.HIDDEN)
    if header.channel != "final" and header.recipient and not _is_no_name(header.recipient):
        return Route(Kind.HIDDEN)
    return Route(Kind.REASONING if header.channel == "analysis" else Kind.CONTENT)


def _called(recipient: str, declared: AbstractSet[str]) -> str:
    """Return the name of the function that is called, or nothing."""
    if recipient.startswith(_FUNCTIONS):
        name = recipient.removeprefix(_FUNCTIONS)
        return recipient if recipient in declared and name not in declared else name
    return recipient if recipient in declared and not _is_no_name(recipient) else ""


def _is_no_name(recipient: str) -> bool:
    return recipient in _NO_NAMES or recipient == _FUNCTIONS
