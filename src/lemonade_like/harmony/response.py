"""What a GPT-OSS model wrote, taken apart: the answer, the reasoning, the preambles, the calls.

Source: the Harmony response format guide. The reading is that of the server's own parser: malformed output is mended,
never refused, and no text is lost.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.harmony.completion import Completion, Part, parts_of, without_request
from lemonade_like.harmony.header import Header
from lemonade_like.harmony.messages import FunctionTool, Message
from lemonade_like.harmony.parser import MessageEnded, Parser, Piece
from lemonade_like.harmony.routing import Kind, Route, route
from lemonade_like.harmony.validation import Validation, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lemonade_like.harmony.conversation import Opening
    from lemonade_like.harmony.encoding import Encoder

_COUNTED_AS: Final = {
    Kind.REASONING: "reasoning",
    Kind.CONTENT: "content",
    Kind.TOOL_CALL: "tool_calls",
    Kind.HIDDEN: "hidden",
}
_SPEECH: Final = (Kind.CONTENT, Kind.REASONING)


@dataclass(frozen=True)
class ParsedCall:
    """A tool call. ``arguments`` is the JSON text just as the model wrote it, right or wrong; ``id`` is new."""

    name: str
    arguments: str
    id: str = field(default="", compare=False)

    def json(self) -> Any:
        """Return the arguments as Python values. Raises ``ValueError`` if they are no JSON."""
        return json.loads(self.arguments)


@dataclass(frozen=True)
class TokenCounts:
    """How many tokens of a completion went where.

    ``format`` are headers and control tokens. ``hidden`` is in messages that are nobody's: user messages that the
    model invented, calls to tools that it was not offered.
    """

    reasoning: int = 0
    content: int = 0
    tool_calls: int = 0
    hidden: int = 0
    format: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.reasoning + self.content + self.tool_calls + self.hidden + self.format


@dataclass(frozen=True)
class Metadata:
    """About a completion.

    ``end`` is the control token that ended it; ``None`` if it was cut off (or if the engine leaves that token out of
    its text, as llama.cpp does). ``recovered`` counts by kind what was malformed and had to be mended; the kinds are
    those of :class:`lemonade_like.harmony.parser.Parser`. ``tokens`` is there when ids were parsed.
    """

    end: str | None
    recovered: dict[str, int]
    tokens: TokenCounts | None = None


@dataclass(frozen=True)
class ParsedResponse:
    """A completion by its channels. Several messages of one kind are joined by one newline.

    ``final`` is the answer, text without a channel or in an unknown one included. ``analysis`` is the reasoning.
    ``commentary`` is what the model says to the user beside its calls. ``messages`` are all messages in order, as the
    model wrote them, those too that are in none of the other fields.
    """

    final: str
    analysis: str
    commentary: str
    tool_calls: tuple[ParsedCall, ...]
    messages: tuple[Message, ...]
    metadata: Metadata

    @property
    def channels(self) -> dict[str, tuple[Message, ...]]:
        """The assistant's messages by channel, calls included; those without a channel are under the empty string."""
        found: dict[str, tuple[Message, ...]] = {}
        for message in self.messages:
            if message.role == "assistant":
                name = message.channel or ""
                found[name] = (*found.get(name, ()), message)
        return found

    def as_message(self) -> dict[str, Any]:
        """Return the assistant's message in OpenAI's form, to be appended to a chat before the calls' results."""
        content = "\n".join(text for text in (self.commentary, self.final) if text)
        message: dict[str, Any] = {"role": "assistant", "content": content or (None if self.tool_calls else "")}
        if self.analysis:
            message["reasoning_content"] = self.analysis
        if self.tool_calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in self.tool_calls
            ]
        return message


class ResponseParser:
    """Takes completions apart. Keeps nothing between two of them; safe to share between threads.

    Args:
        encoder: the o200k_harmony encoding; only ids need it.
        tools: the functions that were offered (OpenAI's dicts or ``FunctionTool``), or their names. ``functions.X`` is
            a call to ``X`` in any case; a recipient without ``functions.`` is one only if it is among these.
        new_call_id: makes the ids of calls, which the format does not have.
    """

    def __init__(
        self,
        encoder: Encoder | None = None,
        *,
        tools: Iterable[str | FunctionTool | Mapping[str, Any]] = (),
        new_call_id: Callable[[], str] = lambda: f"call_{secrets.token_urlsafe(18)}",
    ) -> None:
        self._encoder = encoder
        self._declared = frozenset(map(_name_of, tools))
        self._new_call_id = new_call_id

    def parse(self, completion: Completion, *, opening: Opening | None = None) -> ParsedResponse:
        """Return what the model wrote.

        Args:
            completion: what follows ``<|start|>assistant``, as ids or as text with its markers spelled out, each of
                which then counts as the control token; or a whole conversation from its first ``<|start|>`` on, of
                which the assistant's messages count.
            opening: how the prompt began the message already: ``BuiltPrompt.opening``. What it holds of the body is
                part of the result.

        Raises:
            TypeError: ids, but no encoder.
            ValueError: a number that is no id of the vocabulary.
        """
        reader = _Reader(self._declared, opening)
        for part in without_request(parts_of(completion, self._encoder)):
            reader.take(part)
        return reader.response(self._new_call_id, counted=not isinstance(completion, str))

    def extract_final_only(self, completion: Completion) -> str:
        """Return the answer alone: no reasoning, no preambles, no calls. Errors are those of :meth:`parse`."""
        return self.parse(completion).final

    def extract_channel(self, completion: Completion, name: str) -> str:
        """Return what the assistant said in the channel ``name``, calls left out; empty if nothing.

        Several messages are joined by one newline. Errors are those of :meth:`parse`.
        """
        said = self.parse(completion).channels.get(name, ())
        return _joined(one for one in said if route(_header(one), self._declared).kind in _SPEECH)

    def validate_harmony_format(self, completion: Completion) -> Validation:
        """Return what is wrong with the format of a completion; see :func:`~lemonade_like.harmony.validation.validate`.

        Errors are those of :meth:`parse`.
        """
        return validate(completion, self._encoder)


def extract_final_only(text: str) -> str:
    """Return the answer alone out of a completion's text: no reasoning, no preambles, no calls."""
    return ResponseParser().extract_final_only(text)


def extract_channel(text: str, name: str) -> str:
    """Return what the assistant said in the channel ``name`` of a completion's text; empty if nothing."""
    return ResponseParser().extract_channel(text, name)


class _Reader:
    """Reads one completion, and keeps count of where its tokens went."""

    def __init__(self, declared: frozenset[str], opening: Opening | None) -> None:
        self._parser = Parser(opening)
        self._declared = declared
        self._routed: list[tuple[Message, Route]] = []
        self._tokens: Counter[str] = Counter()

    def take(self, part: Part) -> None:
        """Take the next part."""
        if isinstance(part.value, int):
            self._add(self._parser.feed([part.value], ""))
            self._tokens["format"] += part.count
            return
        self._add(self._parser.feed([], part.value))
        header = self._parser.in_body
        self._tokens[_COUNTED_AS[self._route(header).kind] if header else "format"] += part.count

    def response(self, new_call_id: Callable[[], str], *, counted: bool) -> ParsedResponse:
        """Return the whole, now that no more comes."""
        self._add(self._parser.finish())
        messages = tuple(message for message, _ in self._routed)
        content = [message for message, to in self._routed if to.kind is Kind.CONTENT]
        return ParsedResponse(
            final=_joined(message for message in content if message.channel != "commentary"),
            analysis=_joined(message for message, to in self._routed if to.kind is Kind.REASONING),
            commentary=_joined(message for message in content if message.channel == "commentary"),
            tool_calls=tuple(
                ParsedCall(to.name, message.content, new_call_id())
                for message, to in self._routed
                if to.kind is Kind.TOOL_CALL
            ),
            messages=messages,
            metadata=Metadata(
                end=messages[-1].end if messages else None,
                recovered=dict(self._parser.recovered),
                tokens=TokenCounts(**self._tokens) if counted else None,
            ),
        )

    def _add(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if isinstance(piece, MessageEnded):
                self._routed.append((piece.message, self._route(_header(piece.message))))

    def _route(self, header: Header) -> Route:
        return route(header, self._declared)


def _header(message: Message) -> Header:
    return Header(message.role, message.channel, message.recipient, message.content_type)


def _joined(messages: Iterable[Message]) -> str:
    return "\n".join(message.content for message in messages if message.content)


def _name_of(tool: str | FunctionTool | Mapping[str, Any]) -> str:
    if isinstance(tool, str):
        return tool
    if isinstance(tool, FunctionTool):
        return tool.name
    return str(tool["function"]["name"])
