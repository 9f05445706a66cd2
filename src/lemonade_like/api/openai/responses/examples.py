"""Bodies to try, which the bundled model answers."""

from __future__ import annotations

from typing import Any, Final

_QUESTION: Final = {"model": "tiny-gpt-oss", "input": "What is 2+2?"}

INPUT: Final[dict[str, Any]] = {
    "A question": _QUESTION,
    "Items": {
        "model": "tiny-gpt-oss",
        "instructions": "Answer briefly.",
        "input": [
            {"role": "user", "content": "What is 2+2?"},
            {"role": "assistant", "content": "4"},
            {"role": "user", "content": "And 3+3?"},
        ],
    },
}

RESPONSE: Final[dict[str, Any]] = {
    **INPUT,
    "A stream": {**_QUESTION, "reasoning": {"effort": "low"}, "store": False, "stream": True},
    "Tools": {
        "model": "tiny-gpt-oss",
        "input": "What is the weather in Tokyo?",
        "tools": [
            {
                "type": "function",
                "name": "get_weather",
                "description": "Get the weather in a city.",
                "parameters": {
                    "type": "object",
                    "properties": {"location": {"type": "string"}},
                    "required": ["location"],
                },
            }
        ],
    },
}
