"""Let the model call functions until it has what it needs for an answer.

Start a server first: lemonade-like serve
"""

from __future__ import annotations

import json
import os
from typing import Any

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("LEMONADE_LIKE_URL", "http://127.0.0.1:8000/v1"),
    api_key=os.environ.get("LEMONADE_LIKE_API_KEY", "none"),
)


def get_weather(location: str) -> dict[str, Any]:
    """A real one would ask a weather service."""
    return {"location": location, "temperature": 22, "condition": "sunny"}


FUNCTIONS = {"get_weather": get_weather}
TOOLS: list[Any] = [
    {
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
]

messages: list[Any] = [{"role": "user", "content": "What is the weather in Tokyo?"}]
for _ in range(10):  # a model may go on for ever; a program should not
    completion = client.chat.completions.create(model="tiny-gpt-oss", messages=messages, tools=TOOLS, temperature=0)
    message = completion.choices[0].message
    # The whole message goes back, its reasoning too: the model goes on thinking where it was.
    messages.append(message.model_dump(exclude_none=True))
    if not message.tool_calls:
        print("Answer:", message.content)
        break
    for call in message.tool_calls:
        if call.type != "function":
            continue
        try:
            result = FUNCTIONS[call.function.name](**json.loads(call.function.arguments))
        except (KeyError, TypeError, ValueError) as error:
            # What a model gets wrong it can mend, if it is told.
            result = {"error": f"{type(error).__name__}: {error}"}
        print("Call:", call.function.name, call.function.arguments, "->", json.dumps(result))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})
