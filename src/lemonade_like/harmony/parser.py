"""Token ids and text back to channel messages, whatever the model wrote.

openai-harmony's own parser raises on a malformed header, or takes a real ``<|start|>`` for text; a model at
temperature 1 writes such things every now and then. This one resynchronises at every control token: any sequence of
ids is parsed, nothing raises, and all text comes out in some message.

Control tokens are recognised by id and text is taken from the text: ids that an engine's stream leaves out (of tokens
that end within a character) do no harm, and a marker spelled out in ordinary tokens stays text.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lemonade_like.harmony import tokens
from lemonade_like.harmony.header import CHANNELS, Header, HeaderText, Start
from lemonade_like.harmony.messages import Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lemonade_like.harmony.conversation import Opening

_ENDS = frozenset({tokens.END, *tokens.STOP_IDS})


@dataclass(slots=True)
class MessageStarted:
    """A header is complete."""

    header: Header


@dataclass(slots=True)
class Body:
    """A piece of the body of the message that started last."""

    text: str


@dataclass(slots=True)
class MessageEnded:
    """The message that started last is complete; ``message.end`` is ``None`` if nothing ended it."""

    message: Message


Piece = MessageStarted | Body | MessageEnded


class Parser:
    """Reads one assistant turn, frame by frame.

    The pieces depend on the ids and the text alone, not on how they are cut into frames, so a stream and a whole
    answer are the same by construction. ``recovered`` counts what was malformed, by kind:

    - ``missing_message``: a body began, or a message ended, without ``<|message|>``;
    - ``missing_start``: a header came without ``<|start|>``;
    - ``missing_end``: ``<|start|>`` or ``<|channel|>`` inside a body;
    - ``missing_channel``: a message without a channel;
    - ``unknown_channel``: a channel that GPT-OSS does not have;
    - ``repeated_channel``: two channels in one header, of which the last counts;
    - ``stray_text``: words in a header that say nothing; they become content;
    - ``stray_token``: any other control token where it has no meaning.
    """

    def __init__(self, opening: Opening | None = None) -> None:
        self.recovered: Counter[str] = Counter()
        self._header = HeaderText(Start.GIVEN)
        self._current: Header | None = None
        self._body: list[str] = []
        if opening is not None and opening.channel is not None:
            self._current = Header(channel=opening.channel, content_type=opening.content_type)
            self._body = [opening.body] if opening.body else []

    @property
    def in_body(self) -> Header | None:
        """The header of the message whose body is being read; ``None`` while a header is."""
        return self._current

    def feed(self, ids: Sequence[int], text: str) -> list[Piece]:
        """Take one frame: the ids that it carries, and its text with control tokens spelled out or left out."""
        if not ids or max(ids) < tokens.FIRST_SPECIAL:
            return self._text(text)
        pieces: list[Piece] = []
        for part in segments(ids, text):
            pieces += self._text(part) if isinstance(part, str) else self._control(part)
        return pieces

    def feed_body(self, ids: Sequence[int], text: str) -> bool:
        """Take a frame if it is nothing but more of the body that is being read; return whether it was.

        Nearly every frame is, and then ``text`` is all that ``feed`` would make a piece of.
        """
        if self._current is None or (ids and max(ids) >= tokens.FIRST_SPECIAL):
            return False
        if text:
            self._body.append(text)
        return True

    def finish(self) -> list[Piece]:
        """Take the end of the output. What was begun is completed, as far as it goes."""
        pieces = self._end(None) if self._current else self._abandon_header(None)
        if len(pieces) == 2 and isinstance(pieces[0], MessageStarted) and pieces[0].header.recipient:
            # Cut off within a header: the recipient may be half a name, and nothing was said to it.
            pieces = pieces[-1:]
        return pieces

    def _text(self, text: str) -> list[Piece]:
        if not text:
            return []
        if self._current is not None:
            self._body.append(text)
            return [Body(text)]
        if self._header.with_text(text).possible():
            self._header = self._header.with_text(text)
            return []
        # Character by character from here, so that it does not matter how the text was cut into frames.
        place = 0
        while self._header.possible():
            self._header = self._header.with_text(text[place])
            place += 1
        return [*self._begin_without_message(), *self._text(text[place:])]

    def _control(self, token_id: int) -> list[Piece]:
        if token_id in _ENDS:
            end = tokens.spelling(token_id)
            return self._end(end) if self._current else self._abandon_header(end)
        if token_id == tokens.START:
            pieces = self._interrupt()
            self._header = HeaderText(Start.MARKED)
            return pieces
        if token_id == tokens.CHANNEL:
            return self._channel_token()
        if token_id == tokens.MESSAGE and self._current is None:
            return self._begin()
        if token_id == tokens.CONSTRAIN and self._current is None and self._header.constrain is None:
            self._header = replace(self._header, constrain="")
            return []
        self.recovered["stray_token"] += 1
        return []

    def _interrupt(self) -> list[Piece]:
        """End what a ``<|start|>`` or ``<|channel|>`` cuts short."""
        if self._current is not None:
            self.recovered["missing_end"] += 1
            return self._end(None)
        return self._abandon_header(None)

    def _channel_token(self) -> list[Piece]:
        pieces = self._interrupt() if self._current else []
        header = self._header
        if header.channel is None and header.constrain is None:
            self._header = replace(header, channel="")
            return pieces
        self.recovered["repeated_channel"] += 1
        read, leftover = header.complete()
        if read.channel is not None and read.channel not in CHANNELS:
            leftover = f"{read.channel}{leftover}"
        if leftover.strip():
            pieces += self._whole(Header(), leftover, None)
        recipient = f" to={read.recipient}" if read.recipient else ""
        self._header = HeaderText(header.start, f"{read.role}{recipient}", "")
        return pieces

    def _begin(self) -> list[Piece]:
        header, leftover = self._header.complete()
        pieces: list[Piece] = []
        if leftover.strip():
            self.recovered["stray_text"] += 1
            pieces += self._whole(Header(), leftover, None)
        self._count_oddities(header)
        self._enter(header)
        return [*pieces, MessageStarted(header)]

    def _begin_without_message(self) -> list[Piece]:
        header, body = self._header.split()
        self.recovered["missing_message"] += 1
        self._count_oddities(header)
        self._enter(header)
        pieces: list[Piece] = [MessageStarted(header)]
        if body:
            self._body.append(body)
            pieces.append(Body(body))
        return pieces

    def _abandon_header(self, end: str | None) -> list[Piece]:
        """Make a message of a header that no ``<|message|>`` completes, unless it is blank."""
        pieces: list[Piece] = []
        if not self._header.blank:
            self.recovered["missing_message"] += 1
            header, body = self._header.split()
            self._count_oddities(header)
            pieces = self._whole(header, body, end)
        self._header = HeaderText(Start.MISSING)
        return pieces

    def _whole(self, header: Header, body: str, end: str | None) -> list[Piece]:
        pieces: list[Piece] = [MessageStarted(header)]
        if body:
            pieces.append(Body(body))
        return [*pieces, MessageEnded(_message(header, body, end))]

    def _enter(self, header: Header) -> None:
        self._current = header
        self._body = []

    def _end(self, end: str | None) -> list[Piece]:
        header, self._current = self._current or Header(), None
        self._header = HeaderText(Start.MISSING)
        return [MessageEnded(_message(header, "".join(self._body), end))]

    def _count_oddities(self, header: Header) -> None:
        if self._header.start is Start.MISSING:
            self.recovered["missing_start"] += 1
        if header.channel is None and header.role == "assistant":
            self.recovered["missing_channel"] += 1
        elif header.channel is not None and header.channel not in CHANNELS:
            self.recovered["unknown_channel"] += 1


def _message(header: Header, body: str, end: str | None) -> Message:
    return Message(header.role, body, header.channel, header.recipient, header.content_type, end)


def segments(ids: Sequence[int], text: str) -> Iterator[str | int]:
    """Yield a frame's text and control tokens in order.

    The markers that end a frame are taken off its end, where their place is certain; those before are looked for from
    the left. Engines send one id a frame, whose marker, if it has one, is the end of the text.
    """
    last = len(ids)
    trailing: list[int] = []
    while last and ids[last - 1] >= tokens.FIRST_SPECIAL:
        last -= 1
        trailing.append(ids[last])
        text = text.removesuffix(tokens.spelling(ids[last]))
    for token_id in ids[:last]:
        if token_id >= tokens.FIRST_SPECIAL:
            before, marker, after = text.partition(tokens.spelling(token_id))
            if marker:
                yield before
                text = after
            yield token_id
    yield text
    yield from reversed(trailing)
