"""What a turn says of a request, in the words of the Responses API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lemonade_like.errors import BadRequest

if TYPE_CHECKING:
    from lemonade_like.errors import ServerError

#: How a turn calls the parts of a request, and what they are called here.
_NAMES: Final = (
    (re.compile(r"\bmessages\[-\d+\]"), "previous_response_id"),
    (re.compile(r"\bmessages\[(\d+)\]"), r"input[\1]"),
    (re.compile(r"\.function\.parameters\b"), ".parameters"),
    (re.compile(r"\bresponse_format\.json_schema\b"), "text.format"),
    (re.compile(r"(?<![\w.])response_format\b"), "text.format"),
    (re.compile(r"\breasoning_effort\b"), "reasoning.effort"),
)


def own_words(error: ServerError) -> ServerError:
    """Return the error with the fields called as the client calls them."""
    if not isinstance(error, BadRequest):
        return error
    param = "input" if error.param == "messages" else error.param
    return type(error)(_renamed(error.message), param=None if param is None else _renamed(param), code=error.code)


def _renamed(text: str) -> str:
    for ours, theirs in _NAMES:
        text = ours.sub(theirs, text)
    return text
