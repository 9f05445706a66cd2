"""Ids of tool calls."""

from __future__ import annotations

import secrets


def new_call_id() -> str:
    """Return a new id. Nobody can guess it: what is remembered of a turn is found by it."""
    return f"call_{secrets.token_urlsafe(18)}"
