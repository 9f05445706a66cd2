"""What chunks and whole answers of OpenAI's completions have in common."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from lemonade_like.turns.events import Event, Finish, ServerToolCall, ServerToolResult, TokenLogprob, Usage

if TYPE_CHECKING:
    from lemonade_like.harmony.messages import Message

#: The events of one network read, and the index of the choice that they belong to.
Batch = tuple[int, Sequence[Event]]


@dataclass(frozen=True)
class AnswerHeader:
    """What every chunk of an answer says again. ``model`` is the name that the client used; ``service_tier`` is told
    only to those who ask for one."""

    model: str
    system_fingerprint: str
    service_tier: str | None = None
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def fields(self, object_type: str) -> dict[str, Any]:
        """Return the fields in OpenAI's order."""
        fields = {
            "id": self.id,
            "object": object_type,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.system_fingerprint,
        }
        return fields if self.service_tier is None else {**fields, "service_tier": self.service_tier}

    def opening(self, object_type: str) -> bytes:
        """Return the fields as the beginning of a JSON object, to be gone on with."""
        return orjson.dumps(self.fields(object_type)).removesuffix(b"}")


def server_call_delta(event: ServerToolCall | ServerToolResult) -> dict[str, Any]:
    """Return a call that the server runs, or what came of it; one after the other, they add up to the whole."""
    if isinstance(event, ServerToolResult):
        return {"index": event.index, "error" if event.failed else "output": event.text}
    return {
        "index": event.index,
        "id": event.id,
        "type": "mcp",
        "server_label": event.label,
        "name": event.name,
        "arguments": event.arguments,
        "round": event.round,
    }


def finish_reason(finish: Finish, function_call: bool) -> str:
    """Return why an answer ended; ``function_call`` is whether its calls have the form from before tools."""
    return "function_call" if function_call and finish.reason == "tool_calls" else finish.reason


def logprobs_object(logprobs: Iterable[TokenLogprob]) -> dict[str, Any]:
    """Return OpenAI's object for the tokens of the visible answer."""
    content = [
        {
            "token": one.token,
            "logprob": one.logprob,
            "bytes": one.bytes,
            "top_logprobs": [
                {"token": token, "logprob": logprob, "bytes": spelled} for token, spelled, logprob in one.top
            ],
        }
        for one in logprobs
    ]
    return {"content": content, "refusal": None}


def harmony_object(message: Message) -> dict[str, Any]:
    """Return a channel message as the model wrote it."""
    return {
        "role": message.role,
        "channel": message.channel,
        "recipient": message.recipient,
        "content_type": message.content_type,
        "content": message.content,
    }


def total_usage(finishes: Sequence[Finish | None], candidates: int) -> Usage:
    """Return the usage of several choices; so many in a row share a prompt, which counts once."""
    total = Usage()
    for first in range(0, len(finishes), candidates):
        usages = [finish.usage for finish in finishes[first : first + candidates] if finish is not None]
        total.prompt_tokens += max((usage.prompt_tokens for usage in usages), default=0)
        total.cached_tokens += max((usage.cached_tokens for usage in usages), default=0)
        total.completion_tokens += sum(usage.completion_tokens for usage in usages)
        total.reasoning_tokens += sum(usage.reasoning_tokens for usage in usages)
    return total


def times_resumed(finishes: Iterable[Finish | None]) -> int:
    """Return how many times an engine was lost in the middle of several choices."""
    return sum(finish.resumed for finish in finishes if finish is not None)


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return OpenAI's object."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
