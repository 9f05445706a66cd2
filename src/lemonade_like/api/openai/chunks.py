"""What OpenAI's two streams of chunks have in common: everything but the chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import orjson

from lemonade_like.api.errors import error_object
from lemonade_like.api.openai.objects import times_resumed, total_usage, usage_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lemonade_like.api.openai.objects import Batch
    from lemonade_like.errors import ServerError
    from lemonade_like.turns.events import Event, Finish, Progress, Usage

_DONE: Final = b"data: [DONE]\n\n"


class ChoiceWriter(Protocol):
    """Writes the chunks of one choice. ``progress`` is what it waited for last, ``finish`` how it ended."""

    finish: Finish | None
    progress: Progress | None

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the chunks of a batch of events, joined."""


class ChunkStream:
    """Writes an answer as a stream of chunks. All of them begin with ``opening``, a JSON object that is left open;
    ``candidates`` is how many choices there are of each prompt."""

    def __init__(
        self, opening: bytes, choices: Sequence[ChoiceWriter], *, candidates: int, include_usage: bool
    ) -> None:
        self._opening = opening
        self._choices = choices
        self._candidates = candidates
        self._include_usage = include_usage

    def write(self, batch: Batch) -> bytes:
        """Return the chunks of a batch, joined; nothing, if it only says that something is under way."""
        index, events = batch
        return self._choices[index].write(events)

    def keep_alive(self) -> bytes:
        """Return a comment that says what the answer waits for."""
        waiting = next((choice for choice in self._choices if choice.finish is None), self._choices[0])
        return _comment(waiting.progress)

    def fail(self, error: ServerError) -> bytes:
        """Return the error, and the end of the stream."""
        return b"data: %b\n\n%b" % (orjson.dumps(error_object(error)), _DONE)

    def end(self) -> bytes:
        """Return the chunk with the usage if it was asked for, and the end of the stream."""
        if not self._include_usage:
            return _DONE
        usage = orjson.dumps(usage_object(self.usage()))
        return b'data: %b,"choices":[],"usage":%b}\n\n%b' % (self._opening, usage, _DONE)

    def usage(self) -> Usage:
        """Return what has been used so far."""
        return total_usage([choice.finish for choice in self._choices], self._candidates)

    def resumed(self) -> int:
        """Return how many times an engine was lost in the middle of it."""
        return times_resumed(choice.finish for choice in self._choices)


def _comment(progress: Progress | None) -> bytes:
    if progress is None:
        return b": waiting\n\n"
    if progress.stage == "prefill" and progress.total:
        return b": prefill %d/%d\n\n" % (progress.done, progress.total)
    if progress.stage == "queued" and progress.done:
        return b": queued at place %d\n\n" % progress.done
    return b": %b\n\n" % progress.stage.encode()
