"""Completions as the fake engine sends them: exact ids, exact bytes, and the ids that get lost on the way."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from lemonade_like.harmony import tokens
from tests.support.completions import parts_of
from tests.support.fake_llama_server import frames_for

if TYPE_CHECKING:
    from pathlib import Path

    from lemonade_like.harmony.encoding import HarmonyEncoding
    from tests.support.fake_llama_server import Frame


class Writer:
    """Writes completions as frames, with the real vocabulary."""

    def __init__(self, encoder: HarmonyEncoding, vocabulary_dir: Path) -> None:
        self._encoder = encoder
        lines = (vocabulary_dir / "o200k_base.tiktoken").read_bytes().splitlines()
        self._bytes = [base64.b64decode(line.split()[0]) for line in lines]

    def frames(self, completion: str, **more: Any) -> list[Frame]:
        """The frames of a completion that is written with its control tokens spelled out."""
        return frames_for([(token_id, self._sent(token_id)) for token_id in self.ids(completion)], **more)

    def ids(self, completion: str) -> list[int]:
        """Its ids."""
        parts = parts_of(completion)
        return [one for part in parts for one in ([part] if isinstance(part, int) else self._encoder.encode(part))]

    def _sent(self, token_id: int) -> bytes:
        """What the engine sends for a token: nothing for those that end a turn."""
        if token_id in tokens.STOP_IDS:
            return b""
        return self._bytes[token_id] if token_id < tokens.FIRST_SPECIAL else tokens.spelling(token_id).encode()
