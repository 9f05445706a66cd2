"""Ask several questions at once with ``agenerate``; the server answers as many side by side as it has slots.

Start a server first: lemonade-like serve
"""

from __future__ import annotations

import asyncio
import os

from lemonade_like import agenerate

BASE_URL = os.environ.get("LEMONADE_LIKE_URL", "http://127.0.0.1:8000/v1")
API_KEY = os.environ.get("LEMONADE_LIKE_API_KEY")
QUESTIONS = ["What is 2+2?", "Count to ten.", "Hello"]


async def ask_all() -> None:
    """Print each question with its answer."""
    answers = await asyncio.gather(
        *(agenerate(question, temperature=0, base_url=BASE_URL, api_key=API_KEY) for question in QUESTIONS)
    )
    for question, answer in zip(QUESTIONS, answers, strict=True):
        print(f"{question} {answer.text}")


asyncio.run(ask_all())
