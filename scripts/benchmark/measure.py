"""Three ways to the same tokens of the same engine, measured in turn, round after round."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import httpx
from scripts.benchmark.load import Job
from scripts.benchmark.servers import BenchError

from lemonade_like.harmony.conversation import SystemMessage, build_conversation
from lemonade_like.harmony.messages import ChatMessage, TextPart
from lemonade_like.harmony.renderer import Renderer
from lemonade_like.turns.payload import GPT_OSS_SAMPLING, completion_payload
from lemonade_like.turns.request import Sampling

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.benchmark.servers import Address, Engine, Generator, Server

    from lemonade_like.harmony.encoding import HarmonyEncoding

RAW, LLAMA_SERVER, OURS = "raw /completion", "llama-server chat", "lemonade-like"

SHORT_PROMPT: Final = "Hello"
LONG_PROMPT: Final = "Sing forever"
#: Enough for the header that Harmony puts before the first visible token, and a few more.
_SHORT_TOKENS: Final = 16
#: The first turns of a block find the prompt of another way in the slot, or no connection.
_WARM_UP: Final = 3
_IDLE_SECONDS: Final = 2.0

_TEXT_IN_CHAT: Final = r'"(?:reasoning_content|content)":"[^"]'
_TEXT_IN_FRAMES: Final = r'"content":"[^"]'
#: The raw stream shows the header of a Harmony message; the text that a client is shown begins after it.
_BODY_IN_FRAMES: Final = rf'<\|message\|>".*?{_TEXT_IN_FRAMES}'

_GREEDY: Final = {**GPT_OSS_SAMPLING, "temperature": 0.0}


@dataclass(frozen=True)
class Way:
    """One way to ask. ``body`` makes the request for a user's message and a number of tokens."""

    name: str
    address: Address
    path: str
    body: Callable[[str, int], dict[str, Any]]
    first: str

    def job(self, prompt: str, max_tokens: int, *, streams: int = 1, turns: int = 1) -> Job:
        """Return what the load generator is to do."""
        body = json.dumps(self.body(prompt, max_tokens))
        return Job(
            self.address.host, self.address.port, self.path, self.address.headers, body, self.first, streams, turns
        )


@dataclass
class Throughput:
    """What was found at one number of streams: tokens/s in each round; over all rounds the tokens, the chunks that
    they came in, and the CPU seconds that our process used meanwhile, its idle use taken off."""

    rates: list[float] = field(default_factory=list)
    tokens: int = 0
    chunks: int = 0
    cpu: float = 0.0


@dataclass
class Measured:
    """What was found of one way: seconds to the first visible text for each turn, and its throughput by streams."""

    first_text: list[float] = field(default_factory=list)
    throughput: dict[int, Throughput] = field(default_factory=dict)


def ways(server: Server, engine: Engine, model: str, encoding: HarmonyEncoding | None) -> list[Way]:
    """Return the three ways; ``encoding`` is given for a model that is served with Harmony."""

    def chat(prompt: str, max_tokens: int) -> dict[str, Any]:
        return {
            "model": model,
            "messages": _messages(prompt),
            "max_tokens": max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            **_GREEDY,
        }

    def raw(prompt: str, max_tokens: int) -> dict[str, Any]:
        told = completion_payload(
            _prompt(engine, encoding, prompt), Sampling(temperature=0.0), max_tokens=max_tokens, seed=0
        )
        return {**told, "stream": True, "return_tokens": True}

    text = _TEXT_IN_FRAMES if encoding is None else _BODY_IN_FRAMES
    return [
        Way(RAW, engine.address, "/completion", raw, text),
        Way(LLAMA_SERVER, engine.address, "/v1/chat/completions", chat, _TEXT_IN_CHAT),
        Way(OURS, server.address, "/v1/chat/completions", chat, _TEXT_IN_CHAT),
    ]


def check_prompts(raw: Way, ours: Way) -> None:
    """Make sure that the engine is asked for the same, directly and by our server. Raises ``BenchError``."""
    ids = raw.body(LONG_PROMPT, 1)["prompt"]
    question = {**ours.body(LONG_PROMPT, 1), "stream": False, "stream_options": None}
    answer = httpx.post(ours.address.url + ours.path, json=question, headers=ours.address.headers, timeout=60)
    seen = answer.json()["usage"]["prompt_tokens"]
    if seen != len(ids):
        raise BenchError(f"The raw prompt has {len(ids)} tokens, but the server's has {seen}: they are not the same.")


def measure_round(
    all_ways: list[Way],
    server: Server,
    generator: Generator,
    found: dict[str, Measured],
    *,
    turns: int,
    tokens: int,
    streams: list[int],
    idle: float,
) -> None:
    """Measure each way once, and add what is found to ``found``; ``idle`` is from ``idle_share``."""
    for way in all_ways:
        answers, _ = generator.run(way.job(SHORT_PROMPT, _SHORT_TOKENS, turns=turns + _WARM_UP))
        found[way.name].first_text += [turn.first for turn in answers[_WARM_UP:] if turn.first is not None]
    for count in streams:
        for way in all_ways:
            one = found[way.name].throughput.setdefault(count, Throughput())
            before = server.cpu_seconds()
            answers, seconds = generator.run(way.job(LONG_PROMPT, tokens, streams=count))
            one.cpu += server.cpu_seconds() - before - idle * seconds
            written = sum(turn.tokens for turn in answers)
            one.rates.append(written / seconds)
            one.tokens += written
            one.chunks += sum(turn.frames for turn in answers)


def idle_share(server: Server) -> float:
    """Return the CPU seconds that our process uses in a second without requests."""
    before = server.cpu_seconds()
    time.sleep(_IDLE_SECONDS)
    return (server.cpu_seconds() - before) / _IDLE_SECONDS


def _prompt(engine: Engine, encoding: HarmonyEncoding | None, prompt: str) -> list[int]:
    if encoding is None:
        text = engine.post("/apply-template", {"messages": _messages(prompt)})["prompt"]
        ids: list[int] = engine.post("/tokenize", {"content": text, "add_special": True, "parse_special": True})[
            "tokens"
        ]
        return ids
    chat = [ChatMessage("user", (TextPart(prompt),))]
    system = SystemMessage(current_date=date.today().isoformat())
    return Renderer(encoding).render_for_completion(build_conversation(chat, system)).ids


def _messages(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]
