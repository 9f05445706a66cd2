"""Log probabilities of the visible answer, handed out with the text that they belong to."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from lemonade_like.turns.events import ContentDelta, Event, TokenLogprob

if TYPE_CHECKING:
    from collections.abc import Iterable


class AnswerLogprobs:
    """Keeps each token until its text is shown: a stop string may hold it back, and what it cuts off has none.

    The engine gives one entry for each piece of text; for a character that spans tokens, the last one's.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._waiting: deque[tuple[int, TokenLogprob]] = deque()
        self._written = 0
        self._shown = 0

    def written(self, entries: Iterable[dict[str, Any]], text: str) -> None:
        """Take note of text that the model wrote into its answer."""
        begin = self._written
        self._written += len(text)
        for entry in entries:
            top = [(one["token"], one["bytes"], one["logprob"]) for one in entry["top_logprobs"][: self._top]]
            token = TokenLogprob(entry["token"], entry["bytes"], entry["logprob"], top, begin)
            self._waiting.append((self._written, token))

    def attach(self, events: Iterable[Event]) -> None:
        """Give every piece of the answer what belongs to it."""
        for event in events:
            if isinstance(event, ContentDelta):
                self._shown += len(event.text)
                ended = []
                while self._waiting and self._waiting[0][0] <= self._shown:
                    ended.append(self._waiting.popleft()[1])
                event.logprobs = ended or None
