"""Ids of responses and their items. An item's id tells of which response it is, and nobody can guess either."""

from __future__ import annotations

import re
import secrets
from typing import Final

_RESPONSE: Final = "resp_"
_ITEM: Final = re.compile(r"[a-z]+_([0-9a-f]{48})_i?[0-9]+")


def new_response_id() -> str:
    """Return the id of a new response."""
    return _RESPONSE + secrets.token_hex(24)


def output_id(response_id: str, kind: str, index: int) -> str:
    """Return the id of an item of the output; ``kind`` is a short word for its type."""
    return f"{kind}_{response_id.removeprefix(_RESPONSE)}_{index}"


def input_id(response_id: str, kind: str, index: int) -> str:
    """Return the id of an item of the input that has none of its own."""
    return f"{kind}_{response_id.removeprefix(_RESPONSE)}_i{index}"


def response_of(item_id: str) -> str | None:
    """Return the id of the response that the item is of, or nothing for an id that was not made here."""
    match = _ITEM.fullmatch(item_id)
    return _RESPONSE + match[1] if match else None
