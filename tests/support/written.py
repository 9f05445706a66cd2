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
        sent: list[tuple[int, bytes]] = []
        for part in parts_of(completion):
            if isinstance(part, int):
                sent.append((part, b"" if part in tokens.STOP_IDS else tokens.spelling(part).encode()))
            else:
                sent += [(token_id, self._bytes[token_id]) for token_id in self._encoder.encode(part)]
        return frames_for(sent, **more)
