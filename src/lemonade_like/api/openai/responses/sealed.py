"""Reasoning in the form of ``encrypted_content``: what clients that keep nothing else send back as it is.

It is no secret from the client, which has the reasoning in full beside it, so it is packed and not encrypted.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

#: What others have encrypted cannot be read here, and is told apart by this.
_MARK: Final = "lemonade-like.1."


def sealed(reasoning: str) -> str:
    """Return the reasoning as ``encrypted_content``."""
    return _MARK + base64.urlsafe_b64encode(reasoning.encode()).decode()


def unsealed(content: str) -> str | None:
    """Return the reasoning in it, or nothing if it was not made here."""
    if not content.startswith(_MARK):
        return None
    try:
        return base64.b64decode(content.removeprefix(_MARK), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
