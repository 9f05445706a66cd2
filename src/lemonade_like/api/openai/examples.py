"""Bodies to try, which the bundled model answers."""

from __future__ import annotations

from typing import Any, Final

_WEATHER: Final = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string"}},
            "required": ["location"],
        },
    },
}

CHAT: Final[dict[str, Any]] = {
    "A question": {
        "model": "tiny-gpt-oss",
        "messages": [{"role": "user", "content": "What is 2+2?"}],
    },
    "A stream": {
        "model": "tiny-gpt-oss",
        "messages": [
            {"role": "system", "content": "Answer briefly."},
            {"role": "user", "content": "What is 2+2?"},
        ],
        "reasoning_effort": "low",
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "Tools": {
        "model": "tiny-gpt-oss",
        "messages": [{"role": "user", "content": "What is the weather in Tokyo?"}],
        "tools": [_WEATHER],
        "tool_choice": "auto",
    },
    "An answer that a schema allows": {
        "model": "tiny-gpt-oss",
        "messages": [{"role": "user", "content": "What is 2+2?"}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "sum",
                "schema": {
                    "type": "object",
                    "properties": {"sum": {"type": "integer", "minimum": 0, "maximum": 99}},
                    "required": ["sum"],
                    "additionalProperties": False,
                },
            },
        },
    },
}

COMPLETION: Final[dict[str, Any]] = {
    "A text": {"model": "tiny-gpt-oss", "prompt": "Once upon a time", "max_tokens": 16},
    "A stream of two": {"model": "tiny-gpt-oss", "prompt": "Once", "max_tokens": 8, "n": 2, "seed": 1, "stream": True},
}
