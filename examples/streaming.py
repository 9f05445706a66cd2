"""Show an answer while it is written: the reasoning first, then the answer.

Start a server first: lemonade-like serve
"""

from __future__ import annotations

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("LEMONADE_LIKE_URL", "http://127.0.0.1:8000/v1"),
    api_key=os.environ.get("LEMONADE_LIKE_API_KEY", "none"),
)

stream = client.chat.completions.create(
    model="tiny-gpt-oss",
    messages=[{"role": "user", "content": "What is 2+2?"}],
    reasoning_effort="high",
    temperature=0,
    stream=True,
)
showing = ""
for chunk in stream:
    if not chunk.choices:
        continue
    delta = chunk.choices[0].delta
    for name, text in (
        ("Reasoning", getattr(delta, "reasoning_content", None)),
        ("Answer", delta.content),
    ):
        if not text:
            continue
        if showing != name:
            print(f"\n{name}: " if showing else f"{name}: ", end="")
            showing = name
        print(text, end="", flush=True)
print()
