"""Ask a running server with ``generate``, whole and as a stream.

Start a server first: lemonade-like serve
"""

from __future__ import annotations

import os

from lemonade_like import GenerationError, generate, stream

BASE_URL = os.environ.get("LEMONADE_LIKE_URL", "http://127.0.0.1:8000/v1")
API_KEY = os.environ.get("LEMONADE_LIKE_API_KEY")

try:
    result = generate("What is 2+2?", reasoning_level="medium", temperature=0, base_url=BASE_URL, api_key=API_KEY)
except GenerationError as error:
    raise SystemExit(str(error)) from error
print("Reasoning: ", result.reasoning)
print("Commentary:", result.commentary or "none")
print("Answer:    ", result.text)
print("Tokens:    ", result.usage["completion_tokens"])

with stream("Hello", capture_reasoning=False, temperature=0, base_url=BASE_URL, api_key=API_KEY) as answer:
    print("Stream:     ", end="")
    for delta in answer:
        print(delta.text, end="", flush=True)
print(f"\nFinished:   {answer.result.finish_reason}")
