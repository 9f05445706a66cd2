"""The ids of o200k_harmony's control tokens.

Source: openai-harmony's ``o200k_harmony`` encoding; every GPT-OSS GGUF uses the same ids.
"""

from __future__ import annotations

from typing import Final

VOCABULARY_SIZE: Final = 201_088
#: Ordinary text is encoded with ids below this one; everything from here on is a special token.
FIRST_SPECIAL: Final = 199_998

START_OF_TEXT: Final = 199_998
END_OF_TEXT: Final = 199_999
RETURN: Final = 200_002
CONSTRAIN: Final = 200_003
CHANNEL: Final = 200_005
START: Final = 200_006
END: Final = 200_007
MESSAGE: Final = 200_008
CALL: Final = 200_012
END_OF_PROMPT: Final = 200_018

#: The ordinary token of ``|``.
BAR: Final = 91

#: The tokens that end an assistant's turn. ``<|end|>`` is not one of them: it ends a message, and another follows.
STOP_IDS: Final = (RETURN, CALL, END_OF_TEXT)

_NAMED: Final = {
    START_OF_TEXT: "<|startoftext|>",
    END_OF_TEXT: "<|endoftext|>",
    RETURN: "<|return|>",
    CONSTRAIN: "<|constrain|>",
    CHANNEL: "<|channel|>",
    START: "<|start|>",
    END: "<|end|>",
    MESSAGE: "<|message|>",
    CALL: "<|call|>",
    END_OF_PROMPT: "<|endofprompt|>",
}


def spelling(token_id: int) -> str:
    """Return how a special token is written, e.g. ``<|channel|>``; unnamed ones are ``<|reserved_N|>``."""
    return _NAMED.get(token_id) or f"<|reserved_{token_id}|>"
