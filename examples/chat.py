"""Ask a question through OpenAI's SDK, and show the reasoning apart from the answer.

Start a server first: lemonade-like serve
"""

from __future__ import annotations

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("LEMONADE_LIKE_URL", "http://127.0.0.1:8000/v1"),
    api_key=os.environ.get("LEMONADE_LIKE_API_KEY", "none"),
)

completion = client.chat.completions.create(
    model="tiny-gpt-oss",
    messages=[{"role": "user", "content": "What is 2+2?"}],
    reasoning_effort="medium",
    temperature=0,
)
message = completion.choices[0].message
# The SDK does not know this field, but keeps it.
print("Reasoning:", getattr(message, "reasoning_content", None))
print("Answer:", message.content)
print("Tokens:", completion.usage.completion_tokens if completion.usage else "unknown")
