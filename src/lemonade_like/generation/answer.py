"""An answer as it comes from a server, whole or in chunks, taken apart.

Any server that speaks OpenAI's chat completions will do. What only this one tells (the raw channel messages, asked for
with ``"include": ["harmony"]``) is used where it is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lemonade_like.harmony.header import Header
from lemonade_like.harmony.messages import ToolCall
from lemonade_like.harmony.routing import Kind, route

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class GenerationError(Exception):
    """The server could not be reached, or answered with an error; the message says what to do.

    ``status`` is the HTTP status, ``code`` the error's own code, each ``None`` where there is none.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Generation:
    """What the model answered.

    ``text`` is the answer. ``reasoning`` is ``None`` if it was not captured, and empty if there was none.
    ``commentary`` is what the model says to the user beside its calls; ``None`` if the server does not tell it apart,
    in which case it is part of ``text``. ``finish_reason`` is ``stop``, ``length`` or ``tool_calls``. ``usage`` is
    OpenAI's usage object, in tokens. ``messages`` are the raw channel messages, each with role, channel, recipient,
    content_type and content; empty if the server does not tell them.
    """

    text: str
    reasoning: str | None = None
    commentary: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    messages: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Delta:
    """A piece of an answer in the making: of its visible text, or of its reasoning."""

    text: str = ""
    reasoning: str = ""


class Answer:
    """An answer as it comes together, in one piece or in many."""

    def __init__(self, capture_reasoning: bool) -> None:
        self._capture_reasoning = capture_reasoning
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, list[str]] = {}
        self._messages: list[dict[str, Any]] = []
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] = {}

    def add_whole(self, completion: Mapping[str, Any]) -> None:
        """Take a whole completion."""
        choices = completion.get("choices")
        if not choices:
            raise GenerationError("The server's answer has no choices.")
        self.add({**completion, "choices": [{**choices[0], "delta": choices[0].get("message", {})}]})

    def add(self, chunk: Mapping[str, Any]) -> Delta:
        """Take a chunk; return what it shows."""
        self._usage = chunk.get("usage") or self._usage
        choice = next(iter(chunk.get("choices") or ()), None)
        if choice is None:
            return Delta()
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        delta = choice.get("delta") or {}
        self._messages += delta.get("harmony") or choice.get("harmony") or ()
        for place, call in enumerate(delta.get("tool_calls") or ()):
            function = call.get("function") or {}
            known = self._calls.setdefault(call.get("index", place), ["", "", ""])
            known[0] = known[0] or call.get("id") or ""
            known[1] = known[1] or function.get("name") or ""
            known[2] += function.get("arguments") or ""
        text = delta.get("content") or ""
        reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
        self._content.append(text)
        if not self._capture_reasoning:
            return Delta(text)
        self._reasoning.append(reasoning)
        return Delta(text, reasoning)

    def result(self) -> Generation:
        """Return the answer as it stands."""
        content = "".join(self._content)
        text, commentary = apart(content, self._messages) if self._messages else (content, None)
        return Generation(
            text=text,
            reasoning="".join(self._reasoning) if self._capture_reasoning else None,
            commentary=commentary,
            tool_calls=tuple(ToolCall(*self._calls[index]) for index in sorted(self._calls)),
            finish_reason=self._finish_reason,
            usage=self._usage,
            messages=tuple(
                one for one in self._messages if self._capture_reasoning or one.get("channel") != "analysis"
            ),
        )


def apart(content: str, messages: Sequence[Mapping[str, Any]]) -> tuple[str, str | None]:
    """Return the answer and the commentary of a content in which they are joined.

    What is visible is the content, not the messages: a stop string cuts the one and not the other. Where they do not
    go together, the content is the answer and nothing is said of the commentary.
    """
    blocks: dict[bool, list[str]] = {True: [], False: []}
    rest, first = content, True
    for message in messages:
        header = Header(message.get("role", "assistant"), message.get("channel"), message.get("recipient"))
        said = message.get("content") or ""
        if route(header).kind is not Kind.CONTENT or not said or not rest:
            continue
        if not first:
            rest = rest.removeprefix("\n")
        piece, rest, first = rest[: len(said)], rest[len(said) :], False
        if not said.startswith(piece):
            return content, None
        blocks[message.get("channel") == "commentary"].append(piece)
    if rest:
        return content, None
    return "\n".join(blocks[False]), "\n".join(blocks[True])
