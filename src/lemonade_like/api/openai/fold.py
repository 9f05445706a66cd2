"""The events of a chat completion, folded into the whole answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lemonade_like.api.openai.objects import (
    finish_reason,
    harmony_object,
    logprobs_object,
    server_call_delta,
    times_resumed,
    total_usage,
    usage_object,
)
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    MessageEnd,
    ReasoningDelta,
    ServerToolCall,
    ServerToolResult,
    TokenLogprob,
    ToolCallArgumentsDelta,
    ToolCallStart,
    Usage,
)

if TYPE_CHECKING:
    from lemonade_like.api.openai.objects import AnswerHeader, Batch


class AnswerFold:
    """Folds events into a whole answer."""

    def __init__(
        self, header: AnswerHeader, *, choices: int = 1, include_harmony: bool = False, function_call: bool = False
    ) -> None:
        self._header = header
        self._choices = [_FoldedChoice(include_harmony, function_call) for _ in range(choices)]

    def add(self, batch: Batch) -> None:
        """Take a batch in."""
        index, events = batch
        choice = self._choices[index]
        for event in events:
            choice.add(event)

    def answer(self) -> dict[str, Any]:
        """Return the whole answer, once every choice has finished."""
        answer = self._header.fields("chat.completion")
        answer["choices"] = [choice.choice(index) for index, choice in enumerate(self._choices)]
        answer["usage"] = usage_object(self.usage())
        finish = self._choices[0].finish
        if len(self._choices) == 1 and finish is not None and finish.timings:
            answer["timings"] = finish.timings
        return answer

    def usage(self) -> Usage:
        """Return what has been used so far."""
        return total_usage([choice.finish for choice in self._choices], len(self._choices))

    def resumed(self) -> int:
        """Return how many times an engine was lost in the middle of it."""
        return times_resumed(choice.finish for choice in self._choices)


@dataclass
class _FoldedCall:
    id: str
    name: str
    arguments: list[str] = field(default_factory=list)


class _FoldedChoice:
    """One choice; texts are kept in pieces and joined once, so that the cost grows with the text and no faster."""

    def __init__(self, include_harmony: bool, function_call: bool) -> None:
        self._raw: list[dict[str, Any]] | None = [] if include_harmony else None
        self._function_call = function_call
        self.finish: Finish | None = None
        self._content: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, _FoldedCall] = {}
        self._server_calls: list[dict[str, Any]] = []

    def add(self, event: Event) -> None:
        if isinstance(event, ContentDelta):
            self._content.append(event.text)
            if event.logprobs:
                self._logprobs += event.logprobs
        elif isinstance(event, ReasoningDelta):
            self._reasoning.append(event.text)
        elif isinstance(event, ToolCallArgumentsDelta):
            self._calls[event.index].arguments.append(event.text)
        elif isinstance(event, ToolCallStart):
            self._calls[event.index] = _FoldedCall(event.id, event.name)
        elif isinstance(event, ServerToolCall):
            self._server_calls.append(server_call_delta(event))
        elif isinstance(event, ServerToolResult):
            self._server_calls[event.index] |= server_call_delta(event)
        elif isinstance(event, MessageEnd):
            if self._raw is not None:
                self._raw.append(harmony_object(event.message))
        elif isinstance(event, Finish):
            self.finish = event

    def choice(self, index: int) -> dict[str, Any]:
        if self.finish is None:
            raise RuntimeError(f"The turn of choice {index} ended without a finish.")
        return {
            "index": index,
            "message": self._message(),
            "logprobs": logprobs_object(self._logprobs) if self._logprobs else None,
            "finish_reason": finish_reason(self.finish, self._function_call),
        }

    def _message(self) -> dict[str, Any]:
        content = "".join(self._content) if self._content or not self._calls else None
        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
        if self._reasoning:
            message["reasoning_content"] = message["reasoning"] = "".join(self._reasoning)
        if self._calls and self._function_call:
            call = self._calls[min(self._calls)]
            message["function_call"] = {"name": call.name, "arguments": "".join(call.arguments)}
        elif self._calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": "".join(call.arguments)},
                }
                for _, call in sorted(self._calls.items())
            ]
        if self._server_calls:
            message["server_tool_calls"] = self._server_calls
        if self._raw is not None:
            message["harmony"] = self._raw
        return message
