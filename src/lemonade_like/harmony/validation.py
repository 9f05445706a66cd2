"""Says what is wrong with the format of a completion, and where.

Source: the Harmony response format guide. What the parser mends without a word is a problem here; a completion without
problems is one that openai-harmony's own parser takes too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lemonade_like.harmony import tokens
from lemonade_like.harmony.completion import Completion, Part, parts_of, without_request
from lemonade_like.harmony.header import CHANNELS
from lemonade_like.harmony.parser import MessageEnded, Parser, Piece

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lemonade_like.harmony.encoding import Encoder
    from lemonade_like.harmony.messages import Message

_MENDED: Final = {
    "missing_message": "a body began, or a message ended, before any <|message|>",
    "missing_start": "a header has no <|start|> before it",
    "missing_end": "a message goes over into the next one without <|end|>",
    "missing_channel": f"a message of the assistant names no channel; there are {', '.join(CHANNELS)}",
    "unknown_channel": f"a channel is none of {', '.join(CHANNELS)}",
    "repeated_channel": "a header has two channels; the last counts",
    "stray_text": "a header holds words that say nothing there",
    "stray_token": "a control token stands where it means nothing",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. ``position`` counts characters in a text, and tokens among ids, from 0."""

    kind: str
    message: str
    position: int

    def __str__(self) -> str:
        return f"at {self.position}: {self.message} ({self.kind})"


@dataclass(frozen=True)
class Validation:
    """What is wrong, in the order of the completion."""

    problems: tuple[Problem, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether nothing is."""
        return not self.problems


def validate_harmony_format(text: str) -> Validation:
    """Return what is wrong with the format of a completion's text; see :func:`validate`."""
    return validate(text)


def validate(completion: Completion, encoder: Encoder | None = None) -> Validation:
    """Return what is wrong with the format of a completion, or of a whole conversation from its first ``<|start|>`` on.

    The kinds of problems are those of :class:`lemonade_like.harmony.parser.Parser`, and further:

    - ``empty``: there is nothing;
    - ``unfinished``: the last message has no end token (llama.cpp leaves ``<|return|>`` and ``<|call|>`` out of its
      text; its ids have them);
    - ``wrong_end``: a message ends with a token that is not for its kind: ``<|return|>`` ends a final answer,
      ``<|call|>`` a call, ``<|end|>`` a message that others follow;
    - ``after_the_end``: something follows ``<|return|>``, or something other than ``<|start|>`` follows ``<|call|>``;
    - ``call_outside_commentary``: a call to a function in another channel;
    - ``bad_arguments``: a call's arguments are no JSON.

    Raises:
        TypeError: ids, but no encoder.
        ValueError: a number that is no id of the vocabulary.
    """
    parts = without_request(parts_of(completion, encoder))
    check = _Check()
    for part in parts:
        check.take(part)
    check.finish(parts[-1] if parts else None)
    return Validation(tuple(check.problems))


class _Check:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._parser = Parser()
        self._counted: dict[str, int] = {}
        self._over: int | None = None
        self._in_header = False

    def take(self, part: Part) -> None:
        """Look at the next part."""
        self._follows(part)
        self._over = None
        if isinstance(part.value, str):
            pieces = self._parser.feed([], part.value)
            self._in_header = self._parser.in_body is None
        else:
            pieces = self._parser.feed([part.value], "")
            self._control(part.value, part.position, silent=not pieces)
        self._mended(part.position)
        self._ended(pieces, part.position)

    def finish(self, last: Part | None) -> None:
        """Look at how it ends."""
        if last is None:
            self._say("empty", "there is nothing", 0)
            return
        pieces = self._parser.finish()
        self._mended(last.position)
        self._ended(pieces, last.position)
        if pieces or self._in_header:
            self._say("unfinished", "the last message has no end token", last.position)

    def _control(self, token_id: int, position: int, *, silent: bool) -> None:
        """Look at a control token; ``silent`` says that the parser made nothing of it."""
        if token_id in tokens.STOP_IDS:
            self._over = token_id
        if silent and token_id in (tokens.START, tokens.END, *tokens.STOP_IDS):
            if self._in_header:
                self._say("missing_message", _MENDED["missing_message"], position)
            elif token_id != tokens.START:
                self._say("stray_token", f"{tokens.spelling(token_id)} ends nothing", position)
        if self._parser.in_body is None:
            self._in_header = token_id in (tokens.START, tokens.CHANNEL, tokens.CONSTRAIN)
        else:
            self._in_header = False

    def _follows(self, part: Part) -> None:
        if self._over == tokens.CALL and part.value == tokens.START:
            return
        if self._over is not None:
            self._say("after_the_end", f"something follows {tokens.spelling(self._over)}", part.position)

    def _mended(self, position: int) -> None:
        for kind, count in self._parser.recovered.items():
            for _ in range(count - self._counted.get(kind, 0)):
                self._say(kind, _MENDED[kind], position)
        self._counted = dict(self._parser.recovered)

    def _ended(self, pieces: Iterable[Piece], position: int) -> None:
        for piece in pieces:
            if isinstance(piece, MessageEnded):
                self._message(piece.message, position)

    def _message(self, message: Message, position: int) -> None:
        if message.role != "assistant":
            if message.end not in ("<|end|>", None):
                self._say("wrong_end", f"a message of {message.role} ends with {message.end}", position)
            return
        call = bool(message.recipient)
        allowed: tuple[str, ...]
        if call:
            allowed = ("<|call|>", "<|end|>")
        else:
            allowed = ("<|end|>",) if message.channel in ("analysis", "commentary") else ("<|return|>", "<|end|>")
        if message.end not in (*allowed, None):
            what = "a call" if call else f"a message in {message.channel or 'no channel'}"
            self._say("wrong_end", f"{what} ends with {message.end}, not with {' or '.join(allowed)}", position)
        if (message.recipient or "").startswith("functions."):
            self._call(message, position)

    def _call(self, message: Message, position: int) -> None:
        if message.channel != "commentary":
            self._say(
                "call_outside_commentary",
                f"the call to {message.recipient} is in {message.channel or 'no channel'}, not in commentary",
                position,
            )
        if message.end is None:
            return
        try:
            json.loads(message.content)
        except ValueError as error:
            self._say("bad_arguments", f"the arguments of {message.recipient} are no JSON: {error}", position)

    def _say(self, kind: str, message: str, position: int) -> None:
        self.problems.append(Problem(kind, message, position))
