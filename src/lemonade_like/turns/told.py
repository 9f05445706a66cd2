"""What the debug log is told of a turn: how its prompt is built and what came of it; its texts only where asked for."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lemonade_like.harmony import tokens
from lemonade_like.turns.events import ContentDelta, Finish, ReasoningDelta, ToolCallArgumentsDelta

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lemonade_like.harmony.encoding import Encoder
    from lemonade_like.harmony.messages import ChatMessage
    from lemonade_like.pool.lease import Waiting
    from lemonade_like.turns.events import Event

_logger: Final = logging.getLogger("lemonade_like.turns")


@dataclass(frozen=True)
class MessageShape:
    """One message of a prompt: its header without its body, and how many tokens it has, control tokens included."""

    role: str
    channel: str | None
    recipient: str | None
    tokens: int

    def __str__(self) -> str:
        where = f" {self.channel}" if self.channel else ""
        whom = f" to={self.recipient}" if self.recipient else ""
        header = f"{self.role}{where}{whom}"
        # Names of tools are the client's to choose, and must not forge a line.
        return f"{header if header.isprintable() else repr(header)} {self.tokens}"


def shape(ids: Sequence[int], encoder: Encoder) -> list[MessageShape]:
    """Return the messages of a rendered prompt, the one that the model goes on with included."""
    starts = [place for place, token in enumerate(ids) if token == tokens.START]
    ends = [*starts[1:], len(ids)]
    return [_message(ids[start:end], encoder) for start, end in zip(starts, ends, strict=False)]


def _message(ids: Sequence[int], encoder: Encoder) -> MessageShape:
    header = list(ids[1 : _place(ids, tokens.MESSAGE)])
    channel_at = _place(header, tokens.CHANNEL)
    role, _, recipient = encoder.decode(header[:channel_at]).partition(" to=")
    channel = encoder.decode(header[channel_at + 1 : _place(header, tokens.CONSTRAIN)]).strip()
    # A user may have a name, which is the client's to choose.
    return MessageShape(role.partition(":")[0], channel or None, recipient or None, len(ids))


def _place(ids: Sequence[int], token: int) -> int:
    return next((place for place, each in enumerate(ids) if each == token), len(ids))


class TurnLog:
    """Writes the debug log's lines of one turn. ``texts`` says whether prompts and answers may be in it."""

    def __init__(self, model: str, *, texts: bool) -> None:
        self._model = model
        self._on = _logger.isEnabledFor(logging.DEBUG)
        #: Whether texts are wanted at all; what makes them costs time.
        self.texts = texts and self._on

    def waits(self, waiting: Waiting) -> None:
        """Say what the turn waits for."""
        place = f", place {waiting.place} in line" if waiting.place else ""
        detail = f": {waiting.detail}" if waiting.detail else ""
        _logger.debug("%s: the turn waits (%s%s)%s", self._model, waiting.stage, place, detail)

    def has_slot(self, *, harmony: bool) -> None:
        """Say that the turn has its slot, and how the model is spoken to."""
        _logger.debug(
            "%s: the turn has a slot, %s", self._model, "in Harmony" if harmony else "through the model's own template"
        )

    def prompt(self, ids: Sequence[int], encoder: Encoder) -> None:
        """Tell the shape of a Harmony prompt, and its text where that is wanted."""
        if not self._on:
            return
        messages = shape(ids, encoder)
        _logger.debug(
            "%s: prompt of %d messages, %d tokens: %s",
            self._model,
            len(messages),
            len(ids),
            "; ".join(map(str, messages)),
        )
        if self.texts:
            self.prompt_text(encoder.decode(list(ids)))

    def messages(self, messages: Iterable[ChatMessage], tools: int) -> None:
        """Tell the shape of a chat that the engine renders."""
        if self._on:
            roles = [message.role for message in messages]
            _logger.debug("%s: chat of %d messages, %d tools: %s", self._model, len(roles), tools, "; ".join(roles))

    def raw_prompt(self, prompt: str | Sequence[int], count: int) -> None:
        """Tell how many tokens a raw prompt has (0 if only the engine knows), and what it is where that is wanted."""
        _logger.debug("%s: raw prompt of %d tokens", self._model, count)
        if self.texts:
            self.prompt_text(prompt if isinstance(prompt, str) else repr(list(prompt)))

    def prompt_text(self, text: str) -> None:
        """Tell a prompt."""
        _logger.debug("%s: the prompt is: %s", self._model, text)

    def output_text(self, text: str) -> None:
        """Tell what the model wrote."""
        _logger.debug("%s: the output is: %s", self._model, text)

    def finished(self, events: Sequence[Event]) -> None:
        """Say how the turn ended, of which these are the last events."""
        if not self._on:
            return
        finish = events[-1]
        assert isinstance(finish, Finish)  # noqa: S101 (it is what a turn ends with)
        usage = finish.usage
        _logger.debug(
            "%s: the turn ended (%s): prompt of %d tokens, %d of them cached; %d tokens generated",
            self._model,
            finish.reason,
            usage.prompt_tokens,
            usage.cached_tokens,
            usage.completion_tokens,
        )


def shown(events: Iterable[Event]) -> str:
    """Return the texts of events, joined: all that is known of output that the engine has taken apart."""
    return "".join(
        event.text for event in events if isinstance(event, ContentDelta | ReasoningDelta | ToolCallArgumentsDelta)
    )


def spelled(parts: Iterable[str | int], encoder: Encoder | None) -> str:
    """Return output with its control tokens spelled out; without an ``encoder`` there are none."""
    return "".join(part if isinstance(part, str) else encoder.decode([part]) if encoder else "" for part in parts)
