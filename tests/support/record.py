"""Records without an engine: what a model might have written, as a recorded turn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lemonade_like.harmony.completion import parts_of
from lemonade_like.turns.recorded.compact import compact
from lemonade_like.turns.recorded.replay import parse_again, read_record

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import Encoder
    from lemonade_like.turns.recorded.schema import Record


def line(written: str, encoder: Encoder, **changes: Any) -> bytes:
    """A line for a turn in which the model wrote this, as the parser of today reads it; ``changes`` are made last."""
    ids = [
        one
        for part in parts_of(written)
        for one in ([part.value] if isinstance(part.value, int) else encoder.encode(part.value))
    ]
    message = {"role": "user", "content": [{"text": "What is 2+2?"}]}
    plain: dict[str, Any] = {
        "schema": 1,
        "id": "req_1",
        "turn": "turn_1",
        "started": "2026-07-01T12:00:00.000+00:00",
        "seconds": 1.5,
        "first_token_seconds": 0.25,
        "server": "1.2.3",
        "endpoint": "/v1/chat/completions",
        "owner": "",
        "model": {"name": "tiny-gpt-oss", "checkpoint": None, "path": "/models/tiny.gguf", "bytes": 1},
        "engine": {"backend": "bundled", "version": "1", "command": [], "ctx_size": 4096, "parallel": 4},
        "request": {"model": "tiny-gpt-oss", "messages": [message]},
        "prompt": {
            "ids": [200006],
            "text": "<|start|>",
            "system": {
                "opening": {},
                "effort": "medium",
                "current_date": "2026-07-01",
                "model_identity": "You are ChatGPT.",
                "knowledge_cutoff": "2024-06",
                "recalled": [],
            },
        },
        "payload": {"n_predict": -1, "seed": 7},
        "output": {"exact": True, "ids": ids, "tokens": len(ids), "text": written, "parts": None},
        "events": compact([], 0.0),
        "outcome": "finished",
        "finish_reason": "stop",
        "stop_string": None,
        "error": None,
        "usage": {"prompt_tokens": 1, "completion_tokens": len(ids), "reasoning_tokens": 0, "cached_tokens": 0},
        "timings": {},
        "recovered": {},
        "resumed": 0,
    }
    read = parse_again(read_record(json.dumps(plain).encode())).now
    plain |= {"events": read.events, "finish_reason": read.finish_reason, "recovered": read.recovered}
    return json.dumps(plain | changes).encode() + b"\n"


def record(written: str, encoder: Encoder, **changes: Any) -> Record:
    """The same as a record."""
    return read_record(line(written, encoder, **changes))
