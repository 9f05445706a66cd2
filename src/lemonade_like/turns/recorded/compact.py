"""A turn's events as plain values: few, in order, with when they came."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    MessageEnd,
    Progress,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def compact(batches: Iterable[tuple[float, Sequence[Event]]], began: float) -> list[dict[str, Any]]:
    """Return the events but ``Finish``; those of one kind that follow each other are one, and a call has its arguments.

    ``at`` is when the first of them came, in milliseconds since ``began``; ``pieces`` is how many they were. Of a whole
    message only header, end and length are told: what it says has come in the pieces before it.
    """
    told: list[dict[str, Any]] = []
    calls: dict[int, dict[str, Any]] = {}
    run: tuple[str, str | None] | None = None
    for at, batch in batches:
        for event in batch:
            if isinstance(event, Finish):
                continue
            if isinstance(event, ToolCallArgumentsDelta):
                calls[event.index]["arguments"].append(event.text)
                run = None
                continue
            of = _run(event)
            if of is not None and of == run:
                _extend(told[-1], event)
                continue
            run = of
            entry = _entry(event)
            told.append({"type": entry.pop("type"), "at": round((at - began) * 1000, 1), **entry})
            if isinstance(event, ToolCallStart):
                calls[event.index] = told[-1]
    for entry in told:
        for name in ("text", "arguments"):
            if isinstance(pieces := entry.get(name), list):
                entry["pieces"] = len(pieces)
                entry[name] = "".join(pieces)
    return told


def _run(event: Event) -> tuple[str, str | None] | None:
    """What events have in common that are told as one; ``None`` for those that stand alone."""
    if isinstance(event, ReasoningDelta):
        return "reasoning", None
    if isinstance(event, ContentDelta):
        return "content", event.channel
    if isinstance(event, Progress):
        return "progress", event.stage
    return None


def _extend(entry: dict[str, Any], event: Event) -> None:
    if isinstance(event, Progress):
        entry.update(done=event.done, total=event.total)
        return
    if isinstance(event, ReasoningDelta | ContentDelta):
        entry["text"].append(event.text)
    if isinstance(event, ContentDelta) and event.logprobs:
        entry.setdefault("logprobs", []).extend(event.logprobs)


def _entry(event: Event) -> dict[str, Any]:
    if isinstance(event, ReasoningDelta):
        return {"type": "reasoning", "text": [event.text]}
    if isinstance(event, ContentDelta):
        logprobs = {"logprobs": [*event.logprobs]} if event.logprobs else {}
        return {"type": "content", "channel": event.channel, "text": [event.text], **logprobs}
    if isinstance(event, ToolCallStart):
        return {"type": "tool_call", "index": event.index, "id": event.id, "name": event.name, "arguments": []}
    if isinstance(event, MessageEnd):
        message = event.message
        return {
            "type": "message",
            "role": message.role,
            "channel": message.channel,
            "recipient": message.recipient,
            "content_type": message.content_type,
            "characters": len(message.content),
            "end": message.end,
        }
    named = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    return {"type": named, **{field.name: getattr(event, field.name) for field in fields(event)}}
