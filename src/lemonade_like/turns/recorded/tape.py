"""What a turn was made of, collected by reference as it runs, and read when it is over."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lemonade_like.turns.events import Event, Finish

if TYPE_CHECKING:
    from collections.abc import Callable

    from lemonade_like.harmony.encoding import Encoder
    from lemonade_like.pool.lease import Lease
    from lemonade_like.turns.formats import HarmonyFormat
    from lemonade_like.turns.prepared import Prepared, PreparedCompletion
    from lemonade_like.turns.request import CompletionRequest, TurnRequest
    from lemonade_like.turns.transcript import Transcript

Outcome = Literal["finished", "failed", "cancelled"]


class TurnRecorder(Protocol):
    """Is told of every turn. Neither method may block or raise: a turn is worth more than its record."""

    def begin(self, request: TurnRequest | CompletionRequest) -> Tape:
        """Return the tape for a turn that begins, in the context of the request that asks for it."""

    def keep(self, tape: Tape) -> None:
        """Take the tape of a turn that is over, however it ended; nobody writes to it any more."""


class Tape:
    """Collects one turn; while it runs, nothing is copied and nothing is worked out.

    ``id`` is the id of the HTTP request, which several turns may share, and ``endpoint`` its path. ``started`` is in
    Unix seconds. ``lease`` is there once the model was, ``payload`` once the engine was asked. A turn in Harmony has
    ``prepared``; that and a raw completion have ``prompt_ids`` and ``transcript``; GPT-OSS has an ``encoder``.
    ``error`` is what ended the turn early.
    """

    def __init__(
        self,
        request: TurnRequest | CompletionRequest,
        id: str,
        endpoint: str | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.request = request
        self.id = id
        self.endpoint = endpoint
        self.started = time.time()
        self.began = clock()
        self.ended: float | None = None
        self.batches: list[tuple[float, list[Event]]] = []
        self.lease: Lease[HarmonyFormat] | None = None
        self.prepared: Prepared | None = None
        self.prompt_ids: list[int] | None = None
        self.payload: dict[str, Any] | None = None
        self.transcript: Transcript | None = None
        self.encoder: Encoder | None = None
        self.error: BaseException | None = None
        self._clock = clock

    def harmony(self, prepared: Prepared, transcript: Transcript, encoder: Encoder) -> None:
        """Take what a turn in Harmony asks of its engine, and where what the engine answers is written down."""
        self.prepared, self.prompt_ids, self.payload = prepared, prepared.prompt.ids, prepared.payload
        self.transcript, self.encoder = transcript, encoder

    def completion(self, prepared: PreparedCompletion, transcript: Transcript, encoder: Encoder | None) -> None:
        """Take the same of a raw completion; there is no encoder for a model whose vocabulary only its engine knows."""
        self.prompt_ids, self.payload = prepared.ids, prepared.payload
        self.transcript, self.encoder = transcript, encoder

    def chat(self, payload: dict[str, Any]) -> None:
        """Take what a turn of any other model asks of its engine."""
        self.payload = payload

    def add(self, events: list[Event]) -> None:
        """Take the events of one network read."""
        self.batches.append((self._clock(), events))

    def end(self) -> None:
        """Take note that the turn is over now."""
        self.ended = self._clock()

    @property
    def finish(self) -> Finish | None:
        """The last event, if the turn came to its end."""
        last = self.batches[-1][1] if self.batches else []
        return last[-1] if last and isinstance(last[-1], Finish) else None

    @property
    def outcome(self) -> Outcome:
        """How it ended. A client that goes away with the whole answer has not cancelled it."""
        if self.finish is not None:
            return "finished"
        cancelled = isinstance(self.error, asyncio.CancelledError | GeneratorExit) or self.error is None
        return "cancelled" if cancelled else "failed"
