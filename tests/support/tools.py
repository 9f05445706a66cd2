"""Tools that tests offer."""

from __future__ import annotations

from typing import Any

#: The tool of OpenAI's own documentation, as the bundled model knows it.
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "description": "The city."}},
            "required": ["location"],
        },
    },
}
