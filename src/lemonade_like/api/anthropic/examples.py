"""Bodies to try, which the bundled model answers."""

from __future__ import annotations

from typing import Any, Final

_QUESTION: Final = {"model": "tiny-gpt-oss", "messages": [{"role": "user", "content": "What is 2+2?"}]}
_TOOLS: Final = {
    "model": "tiny-gpt-oss",
    "system": "You help.",
    "messages": [{"role": "user", "content": "What is the weather in Tokyo?"}],
    "tools": [
        {
            "name": "get_weather",
            "description": "Get the weather in a city.",
            "input_schema": {
                "type": "object",
                "properties": {"location": {"type": "string"}},
                "required": ["location"],
            },
        }
    ],
}

COUNT: Final[dict[str, Any]] = {"A question": _QUESTION, "Tools": _TOOLS}

MESSAGE: Final[dict[str, Any]] = {
    "A question": {**_QUESTION, "max_tokens": 256},
    "A stream": {
        **_QUESTION,
        "max_tokens": 256,
        "thinking": {"type": "enabled", "budget_tokens": 64},
        "stream": True,
    },
    "Tools": {**_TOOLS, "max_tokens": 256},
}
