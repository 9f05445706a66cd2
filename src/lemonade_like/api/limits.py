"""How much one request may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BodyLimits:
    """The bytes of a body, and the messages (or input items) in it.

    64 MiB are enough for a context of a million tokens with room to spare, and for some images.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_messages: int = 5_000
