"""What somebody may have meant who asked for a path that is not here."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What other servers, and older APIs, call what is here.
_ELSEWHERE: Final = (
    (re.compile(r".*/engines|/api/(tags|ps)"), "/v1/models"),
    (re.compile(r".*/engines/.*/completions|/api/generate"), "/v1/completions"),
    (re.compile(r"/api/chat|(/v1)?/chat"), "/v1/chat/completions"),
    (re.compile(r"/v1/complete"), "/v1/messages"),
    (re.compile(r"(/api|/v1)?/version"), "/v1/health"),
)

#: Characters of a path that are looked at: to compare it takes time that grows with the square of them.
_LONGEST: Final = 200
_LIKE: Final = 0.75
#: How much less alike than the best a path may be to be named beside it.
_ABOUT_AS_LIKE: Final = 0.05


def hint(path: str, known: Iterable[str]) -> str:
    """Return a sentence that names the paths most like this one, or says where to look."""
    path = path[:_LONGEST]
    # The other prefix has the same, and would only be in the way.
    here = [each for each in known if not each.startswith("/api/")]
    near = [meant for form, meant in _ELSEWHERE if form.fullmatch(path) and meant in here] or _most_like(path, here)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return "The API is under /v1, and /docs lists all of it."


def _most_like(path: str, known: list[str]) -> list[str]:
    best = difflib.get_close_matches(path, known, n=3, cutoff=_LIKE)
    return [each for each in best if _likeness(path, each) >= _likeness(path, best[0]) - _ABOUT_AS_LIKE]


def _likeness(path: str, known: str) -> float:
    return difflib.SequenceMatcher(None, known, path).ratio()
