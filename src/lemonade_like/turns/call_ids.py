"""Ids that a turn gives."""

from __future__ import annotations

import secrets


def new_call_id() -> str:
    """Return a new id. Nobody can guess it: what is remembered of a turn is found by it."""
    return f"call_{secrets.token_urlsafe(18)}"


def new_turn_id() -> str:
    """Return a new id for a turn that is recorded."""
    return f"turn_{secrets.token_hex(12)}"
