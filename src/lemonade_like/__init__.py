"""An OpenAI-compatible inference server that wraps llama.cpp and speaks Harmony, the format of GPT-OSS, itself.

For Python users::

    from lemonade_like import PromptBuilder, ResponseParser, generate

``PromptBuilder`` and ``ResponseParser`` need no server, no engine and no network: the vocabulary is that of the bundled
model. ``generate`` asks a server that runs, ``agenerate`` does so within an event loop.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lemonade_like.generation.answer import Generation, GenerationError
    from lemonade_like.generation.asynchronous import agenerate, astream
    from lemonade_like.generation.blocking import generate, stream
    from lemonade_like.harmony.conversation import ConversationError
    from lemonade_like.harmony.prompt import BuiltPrompt
    from lemonade_like.harmony.response import ParsedResponse, extract_channel, extract_final_only
    from lemonade_like.harmony.validation import Validation, validate_harmony_format
    from lemonade_like.library import PromptBuilder, ResponseParser

__all__ = [
    "BuiltPrompt",
    "ConversationError",
    "Generation",
    "GenerationError",
    "ParsedResponse",
    "PromptBuilder",
    "ResponseParser",
    "Validation",
    "agenerate",
    "astream",
    "extract_channel",
    "extract_final_only",
    "generate",
    "stream",
    "validate_harmony_format",
]

_HOMES: Final = {
    "BuiltPrompt": "harmony.prompt",
    "ConversationError": "harmony.conversation",
    "Generation": "generation.answer",
    "GenerationError": "generation.answer",
    "ParsedResponse": "harmony.response",
    "PromptBuilder": "library",
    "ResponseParser": "library",
    "Validation": "harmony.validation",
    "agenerate": "generation.asynchronous",
    "astream": "generation.asynchronous",
    "extract_channel": "harmony.response",
    "extract_final_only": "harmony.response",
    "generate": "generation.blocking",
    "stream": "generation.blocking",
    "validate_harmony_format": "harmony.validation",
}


def __getattr__(name: str) -> Any:
    # Every engine and every command imports this package at its start: what they do not need must cost them nothing.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
