"""The exported model tried on the real engine: every prompt must be answered as it is written down."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import xllamacpp
from scripts.tiny_gpt_oss.variation import Variation, everything

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.tiny_gpt_oss.rendering import Script


def complete(url: str, ids: list[int], limit: int) -> tuple[str, dict[str, Any]]:
    """Return what the engine writes after ``ids``, and its last frame."""
    payload = {"prompt": ids, "n_predict": limit, "temperature": 0, "stream": True, "cache_prompt": False}
    request = urllib.request.Request(
        f"{url}/completion", json.dumps(payload).encode(), {"Content-Type": "application/json"}
    )
    text, frame = "", {}
    with urllib.request.urlopen(request) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                frame = json.loads(line[6:])
                text += frame.get("content", "")
    return text, frame


def try_on_engine(
    gguf: Path, script: Script, log: Callable[[str], None], *, rounds: int = 1, song_tokens: int = 4_000
) -> int:
    """Return how many answers were not as expected.

    The token that ends a turn has no text on the engine, so answers are compared without it; that generation ended
    there is part of the comparison.
    """
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf)
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = song_tokens + 2048
    parameters.n_parallel = 1
    parameters.use_jinja = False
    server = xllamacpp.Server(parameters)
    url = server.listening_address
    variation = Variation(script, seed=815)
    wrong = 0
    for turn in range(rounds):
        for known in everything():
            sample = variation.sample(known, twists=False)
            endless = known.completion is None
            if endless and turn:
                continue
            text, frame = complete(url, sample.ids[: sample.prompt], song_tokens if endless else 400)
            if endless:
                opening = script.decode(script.completion(known.opening))
                verses = text.removeprefix(opening)
                whole = known.verse * (len(verses) // len(known.verse) + 1)
                right = text.startswith(opening) and whole.startswith(verses) and frame.get("stop_type") == "limit"
                expected = opening + known.verse
            else:
                written = sample.ids[sample.prompt :]
                expected = script.decode(written[:-1])
                right = (
                    text == expected and frame.get("stop_type") == "eos" and frame["tokens_predicted"] == len(written)
                )
            if not right:
                wrong += 1
                log(f"{known.name}: expected {expected!r}, but the engine wrote {text[:400]!r}")
    log(f"engine: {rounds} rounds of {len(everything())} prompts, {wrong} wrong")
    return wrong
