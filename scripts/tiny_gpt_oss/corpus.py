"""Everything that ``tiny-gpt-oss`` knows: ``KNOWN`` is well-formed, ``MISBEHAVIOURS`` is not."""

from __future__ import annotations

from typing import Final

from scripts.tiny_gpt_oss.conversations import CONVERSATIONS
from scripts.tiny_gpt_oss.known import KnownPrompt
from scripts.tiny_gpt_oss.misbehaviour import MISBEHAVIOURS
from scripts.tiny_gpt_oss.tools import TOOL_CONVERSATIONS

KNOWN: Final[list[KnownPrompt]] = [*CONVERSATIONS, *TOOL_CONVERSATIONS]

__all__ = ["KNOWN", "MISBEHAVIOURS", "KnownPrompt"]
