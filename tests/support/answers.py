"""What a client sees of an answer, put together from a whole one or from a stream, in the same form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openai.types.chat import ChatCompletion, ChatCompletionChunk


@dataclass
class Answer:
    """Reasoning, content, calls as ``[name, arguments]``, and how it ended. Ids of calls are random: they stay out."""

    reasoning: str = ""
    content: str = ""
    calls: list[list[str]] = field(default_factory=list)
    finish_reason: str | None = None
    usage: dict[str, Any] | None = field(default=None, compare=False)


def whole(completion: ChatCompletion) -> Answer:
    """From an answer that came in one piece."""
    choice = completion.choices[0]
    message = choice.message
    extra = message.model_extra or {}
    assert extra.get("reasoning") == extra.get("reasoning_content")
    return Answer(
        reasoning=extra.get("reasoning_content") or "",
        content=message.content or "",
        calls=[[call.function.name, call.function.arguments] for call in message.tool_calls or ()],
        finish_reason=choice.finish_reason,
        usage=completion.usage.model_dump() if completion.usage else None,
    )


class Collector:
    """Puts a stream together, chunk by chunk."""

    def __init__(self) -> None:
        self.answer = Answer()

    def add(self, chunk: ChatCompletionChunk) -> None:
        answer = self.answer
        if chunk.usage:
            answer.usage = chunk.usage.model_dump()
        for choice in chunk.choices:
            extra = choice.delta.model_extra or {}
            assert extra.get("reasoning") == extra.get("reasoning_content")
            answer.reasoning += extra.get("reasoning_content") or ""
            answer.content += choice.delta.content or ""
            for call in choice.delta.tool_calls or ():
                if call.id:
                    assert call.index == len(answer.calls)
                    answer.calls.append([call.function.name, ""])
                answer.calls[call.index][1] += call.function.arguments or ""
            answer.finish_reason = choice.finish_reason or answer.finish_reason


def streamed(chunks: Iterable[ChatCompletionChunk]) -> Answer:
    """From a stream."""
    collector = Collector()
    for chunk in chunks:
        collector.add(chunk)
    return collector.answer
