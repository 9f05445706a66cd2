"""Harmony messages to token ids.

A header and a body are encoded apart, as openai-harmony does, so that the ids are the library's own; control tokens
come from the structure alone and never from a text.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from lemonade_like.harmony import tokens
from lemonade_like.harmony.messages import Message, Verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lemonade_like.harmony.conversation import HarmonyConversation, Opening
    from lemonade_like.harmony.encoding import Encoder

_END_IDS: Final = {"<|end|>": tokens.END, "<|call|>": tokens.CALL, "<|return|>": tokens.RETURN}
_CONSTRAIN: Final = "<|constrain|>"


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt. ``opening`` is how the message begins that the model goes on with."""

    ids: list[int]
    opening: Opening


class Renderer:
    """Renders conversations; remembers the ids of messages that it has seen, since conversations grow by appending.

    The memory is bounded by the number of ids held, at 4 bytes each and about as many for their texts. Safe to share
    between threads.
    """

    def __init__(self, encoder: Encoder, *, cache_ids: int = 1_000_000) -> None:
        self._encoder = encoder
        self._cache: OrderedDict[Message, array[int]] = OrderedDict()
        self._cache_size = cache_ids
        self._cached_ids = 0
        self._lock = Lock()

    @property
    def encoder(self) -> Encoder:
        """The tokenizer."""
        return self._encoder

    def render_for_completion(self, conversation: HarmonyConversation) -> Prompt:
        """Return the ids of the whole messages and of the assistant's header (and body, when one was begun)."""
        ids = self.render_messages(conversation.messages)
        ids.append(tokens.START)
        ids += self._encoder.encode("assistant")
        opening = conversation.opening
        if opening.channel is not None:
            ids.append(tokens.CHANNEL)
            ids += self._encoder.encode(opening.channel)
            if opening.content_type is not None:
                ids += self._content_type_ids(opening.content_type)
            ids.append(tokens.MESSAGE)
            ids += self._encoder.encode(opening.body)
        return Prompt(ids, opening)

    def render_messages(self, messages: Iterable[Message | Verbatim]) -> list[int]:
        """Return the ids of whole messages."""
        ids: list[int] = []
        for message in messages:
            if isinstance(message, Verbatim):
                ids += (tokens.START, *self._encoder.encode("assistant"), *message.ids)
            else:
                ids += self._message_ids(message)
        return ids

    def _message_ids(self, message: Message) -> array[int]:
        with self._lock:
            known = self._cache.get(message)
            if known is not None:
                self._cache.move_to_end(message)
                return known
        ids = array("I", self._encode_message(message))
        with self._lock:
            if len(ids) <= self._cache_size and message not in self._cache:
                self._cache[message] = ids
                self._cached_ids += len(ids)
            while self._cached_ids > self._cache_size:
                self._cached_ids -= len(self._cache.popitem(last=False)[1])
        return ids

    def _encode_message(self, message: Message) -> list[int]:
        encode = self._encoder.encode
        ids = [tokens.START, *encode(message.role)]
        if message.recipient is not None and message.recipient != "all":
            ids += encode(f" to={message.recipient}")
        if message.channel is not None:
            ids.append(tokens.CHANNEL)
            ids += encode(message.channel)
        if message.content_type is not None:
            ids += self._content_type_ids(message.content_type)
        ids.append(tokens.MESSAGE)
        ids += encode(message.content)
        if message.end is not None:
            ids.append(_END_IDS[message.end])
        return ids

    def _content_type_ids(self, content_type: str) -> list[int]:
        # The one place where a control token is spelled out in a field; anywhere else it is ordinary text.
        if not content_type.startswith(_CONSTRAIN):
            return self._encoder.encode(f" {content_type}")
        rest = content_type[len(_CONSTRAIN) :]
        return [*self._encoder.encode(" "), tokens.CONSTRAIN, *self._encoder.encode(rest)]
