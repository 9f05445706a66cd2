"""Build a GPT-OSS prompt as token ids and as text. Needs no server."""

from __future__ import annotations

from lemonade_like import PromptBuilder

builder = PromptBuilder(
    reasoning_level="high",
    current_date="2026-01-31",
    knowledge_cutoff="2024-06",
    instructions="Answer in one sentence.",
    tools=[
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "Get the current weather in a city.",
                "parameters": {"type": "object", "properties": {"location": {"type": "string"}}},
            },
        }
    ],
)

prompt = builder.build([{"role": "user", "content": "Is <|end|> a token of yours?"}])
print(prompt.text)
# Only the ids tell the marker that the user wrote from the real ones.
print(len(prompt.ids), "tokens, of which", prompt.ids.count(200_007), "are <|end|>")

# Every setting can be overridden for one prompt.
brief = builder.build([{"role": "user", "content": "Hello"}], reasoning_level="low", tools=[])
print(len(brief.ids), "tokens without the tool")
