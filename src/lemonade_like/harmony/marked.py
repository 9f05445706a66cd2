"""Text in which control tokens are spelled out, to ids: for those who have asked for that in so many words.

Anywhere else text is encoded as ordinary text, whatever it spells.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lemonade_like.harmony import tokens

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import Encoder

_IDS: Final = {tokens.spelling(token): token for token in range(tokens.FIRST_SPECIAL, tokens.VOCABULARY_SIZE)}
_MARKER: Final = re.compile(r"<\|[a-z0-9_]{1,20}\|>")


def encode_marked(encoder: Encoder, text: str) -> list[int]:
    """Return the ids of ``text``, in which ``<|end|>`` is the control token, and what no token is called is text."""
    ids: list[int] = []
    start = 0
    for marker in _MARKER.finditer(text):
        token = _IDS.get(marker[0])
        if token is not None:
            ids += encoder.encode(text[start : marker.start()])
            ids.append(token)
            start = marker.end()
    ids += encoder.encode(text[start:])
    return ids
