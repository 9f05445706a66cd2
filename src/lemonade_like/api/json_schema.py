"""What ``/openapi.json`` says of fields that are checked by hand, as pydantic cannot tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import WithJsonSchema

if TYPE_CHECKING:
    import re


def spelt(form: re.Pattern[str]) -> WithJsonSchema:
    """Return what is said of a text that has this form as a whole."""
    return WithJsonSchema({"type": "string", "pattern": f"^(?:{form.pattern})$"})


def nothing(why: str) -> WithJsonSchema:
    """Return what is said of a field that may only say that it wants nothing, and ``why``."""
    return WithJsonSchema({"description": f"Not supported: {why}.", "enum": [None, False, 0, "", [], {}]})
