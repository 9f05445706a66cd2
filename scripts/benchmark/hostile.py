"""Prompts that are made to take long: how long they take, and how long others wait meanwhile."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHINESE: Final = "中文字符没有空格也没有标点所以很慢"
_TIMEOUT: Final = 60.0

#: Texts without a place where the tokenizer cuts, by name; and many small things instead of a large one.
PROMPTS: Final[Mapping[str, str]] = {
    '200,000 × "a"': "a" * 200_000,
    "100,000 Chinese characters": (_CHINESE * 6_000)[:100_000],
    "200,000 blanks": " " * 200_000,
    "100,000 digits": "0123456789" * 10_000,
    "60,000 emoji": "🍋" * 60_000,
    "100,000 combining marks": "e" + "\u0301" * 100_000,
    "100,000 × <|end|>": "<|end|>" * 100_000,
}


@dataclass(frozen=True)
class Held:
    """``status`` of the answer, ``seconds`` until it was whole without those in which the engine read the prompt, and
    the longest that ``/health`` took meanwhile."""

    status: int
    seconds: float
    health: float


def ask(base_url: str, path: str, body: dict[str, Any]) -> Held:
    """Send one request, and look at ``/health`` without a pause until it is answered."""
    longest, over = 0.0, threading.Event()

    def watch() -> None:
        nonlocal longest
        with httpx.Client(base_url=base_url, timeout=_TIMEOUT) as client:
            while not over.is_set():
                began = time.perf_counter()
                client.get("/health")
                longest = max(longest, time.perf_counter() - began)
                time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        began = time.perf_counter()
        answer = httpx.post(base_url + path, json=body, timeout=_TIMEOUT)
        seconds = time.perf_counter() - began
    finally:
        over.set()
        watcher.join()
    reading = answer.json().get("timings", {}).get("prompt_ms", 0.0) / 1000
    return Held(answer.status_code, seconds - reading, longest)


def hostile_rows(base_url: str, model: str) -> dict[str, Held]:
    """Return what each prompt did to a server, as a question and where only the prompt is shown."""
    rows = {}
    for name, text in PROMPTS.items():
        body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 1}
        rows[name] = ask(base_url, "/v1/chat/completions", body)
        rows[f"{name}, /render"] = ask(base_url, "/v1/chat/completions/render", body)
    return rows
