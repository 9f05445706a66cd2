"""Asks a running server for one answer of the bundled model, through the real SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.answers import Answer, whole

if TYPE_CHECKING:
    import openai

TINY = "tiny-gpt-oss"
TIME = {"type": "function", "function": {"name": "get_time", "description": "Get the current time."}}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a location.",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "description": "The name of a city"}},
            "required": ["location"],
        },
    },
}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 1, "maximum": 99},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
AS_PERSON = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}


def request_for(text: str, **more: Any) -> dict[str, Any]:
    """The body of a greedy request with one user message."""
    messages = [{"role": "user", "content": text}]
    return {"model": TINY, "messages": messages, "temperature": 0, "max_tokens": 500} | more


def ask(client: openai.OpenAI, text: str, **more: Any) -> Answer:
    """The whole answer to one user message."""
    return whole(client.chat.completions.create(**request_for(text, **more)))
