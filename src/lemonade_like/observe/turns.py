"""Follows turns as their events pass by, and makes one record of each.

It costs a look at each event's type and at the clock for each batch, so tokens are counted by what is shown of them: a
character that several tokens spell counts once. What that misses, and the tokens of headers, is counted as ``other``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from lemonade_like.errors import ServerError
from lemonade_like.observe.record import CHANNELS, GAP_BOUNDS, Outcome, Stage, TurnRecord
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    Progress,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

    from lemonade_like.turns.preview import RenderedPrompt
    from lemonade_like.turns.request import CompletionRequest, TurnRequest
    from lemonade_like.turns.tokens import TokenizeRequest

    AnyRequest = TurnRequest | CompletionRequest

_logger = logging.getLogger(__name__)

#: A model may make up channels, and they are not to be told one by one.
_CHANNEL_OF: Final[dict[str | None, str]] = {
    None: "final",
    "final": "final",
    "commentary": "commentary",
    "analysis": "analysis",
}

#: While tools are at work, no turn of the model's is running.
_STAGE_OF: Final[dict[str, Literal["queue", "load", "prefill"]]] = {
    "queued": "queue",
    "loading": "load",
    "prefill": "prefill",
}


class Runner(Protocol):
    """Runs turns; see ``lemonade_like.turns.service.Turns``."""

    def run(self, request: TurnRequest) -> AsyncGenerator[list[Event], None]:
        """Yield the events of a turn in batches."""

    async def render(self, request: TurnRequest) -> RenderedPrompt:
        """Return the prompt that the turn would begin with."""

    def complete(self, request: CompletionRequest) -> AsyncGenerator[list[Event], None]:
        """Yield the events of a raw completion in batches."""

    async def tokenize(self, request: TokenizeRequest) -> list[Any]:
        """Return the tokens of a text."""

    async def detokenize(self, model: str, ids: Sequence[int], client: str = "") -> str:
        """Return the text of ids."""


class ObservedTurns:
    """Runs turns as ``turns`` does. Calls ``began`` when one begins, and all of ``ended`` with its record.

    ``name_of`` gives the own name of the model that a client asked for, ``None`` if there is none.
    """

    def __init__(
        self,
        turns: Runner,
        *,
        name_of: Callable[[str], str | None],
        began: Callable[[], None],
        ended: Sequence[Callable[[TurnRecord], None]],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._turns = turns
        self._name_of = name_of
        self._began = began
        self._ended = ended
        self._clock = clock

    def run(self, request: TurnRequest) -> AsyncGenerator[list[Event], None]:
        """Run a turn; see ``Turns.run``."""
        watch = _Watch(self._clock)
        return self._watched(request, watch, self._turns.run(replace(request, on_slot=watch.slot)))

    def complete(self, request: CompletionRequest) -> AsyncGenerator[list[Event], None]:
        """Run a raw completion; see ``Turns.complete``. It is a turn, too."""
        watch = _Watch(self._clock)
        return self._watched(request, watch, self._turns.complete(replace(request, on_slot=watch.slot)))

    async def _watched(
        self, request: AnyRequest, watch: _Watch, turn: AsyncGenerator[list[Event], None]
    ) -> AsyncGenerator[list[Event], None]:
        self._began()
        over = False
        try:
            async with aclosing(turn) as batches:
                async for batch in batches:
                    if finish := watch.take(batch):
                        # Before the last batch is handed on: whoever has the answer may ask for this next.
                        over = True
                        self._tell(watch.record(request, self._name_of(request.model), finish.reason, finish))
                    yield batch
        except (asyncio.CancelledError, GeneratorExit):
            if not over:
                self._tell(watch.record(request, self._name_of(request.model), "cancelled"))
            raise
        except Exception as error:
            if not over:
                self._tell(watch.record(request, self._name_of(request.model), "error", error=_code(error)))
            raise

    async def render(self, request: TurnRequest) -> RenderedPrompt:
        """Return the prompt; see ``Turns.render``. It is no turn."""
        return await self._turns.render(request)

    async def tokenize(self, request: TokenizeRequest) -> list[Any]:
        """Return the tokens of a text; see ``Turns.tokenize``."""
        return await self._turns.tokenize(request)

    async def detokenize(self, model: str, ids: Sequence[int], client: str = "") -> str:
        """Return the text of ids; see ``Turns.detokenize``."""
        return await self._turns.detokenize(model, ids, client)

    def _tell(self, record: TurnRecord) -> None:
        for tell in self._ended:
            try:
                tell(record)
            except Exception:
                # The answer is right, whatever those who count make of it.
                _logger.exception("A turn could not be counted")


def _code(error: Exception) -> str:
    if isinstance(error, ServerError):
        return error.code or error.type
    return "internal_error"


class _Watch:
    """Follows one turn."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = time.time()
        self._began = clock()
        self._waited: float | None = None
        self._first: float | None = None
        #: When the last token came; ``None`` when the next has none before it, or not without a break.
        self._last: float | None = None
        self._prompt_tokens = 0
        self._calls = 0
        self._pieces = dict.fromkeys(CHANNELS, 0)
        self._seconds = dict.fromkeys(CHANNELS, 0.0)
        self._gaps = [0] * (len(GAP_BOUNDS) + 1)
        self._stages: list[tuple[Literal["queue", "load", "prefill", "generation"], float]] = []

    def slot(self) -> None:
        """Take note that the turn has its slot."""
        now = self._clock()
        self._waited = now - self._began
        self._enter("prefill", now)

    def take(self, batch: Iterable[Event]) -> Finish | None:
        """Look at a batch that has just come; return the last event if it is there."""
        channels: list[str] = []
        finish = None
        now = self._clock()
        for event in batch:
            kind = type(event)
            if kind is ContentDelta:
                channels.append(_CHANNEL_OF.get(event.channel, "other"))  # type: ignore[union-attr]
            elif kind is ReasoningDelta:
                channels.append("analysis")
            elif kind is ToolCallArgumentsDelta:
                channels.append("tool_arguments")
            elif kind is ToolCallStart:
                self._calls += 1
                self._shown(now)
            elif isinstance(event, Progress):
                self._progress(event, now)
            elif isinstance(event, Finish):
                finish = event
        if channels:
            self._written(channels, now)
        return finish

    def record(
        self,
        request: AnyRequest,
        model: str | None,
        outcome: Outcome,
        finish: Finish | None = None,
        *,
        error: str | None = None,
    ) -> TurnRecord:
        """Return what there is to tell now that the turn is over."""
        now = self._clock()
        gap_seconds = sum(self._seconds.values())
        if finish is not None and self._last is not None:
            # What the engine wrote after all that was shown: headers, and what is kept from the client.
            self._seconds["other"] += now - self._last
        shown = sum(self._pieces.values())
        usage = finish.usage if finish else Usage(self._prompt_tokens, shown, self._pieces["analysis"])
        by_channel = {**self._pieces, "analysis": usage.reasoning_tokens, "other": 0}
        by_channel["other"] = max(0, usage.completion_tokens - sum(by_channel.values()))
        rate = finish.timings.get("predicted_per_second") if finish else None
        ends = [*(start for _, start in self._stages[1:]), now]
        return TurnRecord(
            request=request,
            model=model,
            outcome=outcome,
            error=error,
            started=self._started,
            duration=now - self._began,
            waited=self._waited,
            time_to_first_token=None if self._first is None else self._first - self._began,
            tokens_per_second=rate or self._rate(usage.completion_tokens, now),
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            tool_calls=self._calls,
            tokens_by_channel=by_channel,
            seconds_by_channel=self._seconds,
            recovered=dict(finish.recovered) if finish else {},
            gaps=tuple(self._gaps),
            gap_seconds=gap_seconds,
            stages=tuple(
                Stage(name, start - self._began, end - self._began)
                for (name, start), end in zip(self._stages, ends, strict=False)
            ),
        )

    def _progress(self, event: Progress, now: float) -> None:
        # The next token comes after a break: the engine was lost, and is started again.
        self._last = None
        if event.stage == "prefill" and self._first is None:
            self._prompt_tokens = event.total
        if (stage := _STAGE_OF.get(event.stage)) is not None:
            self._enter(stage, now)

    def _shown(self, now: float) -> None:
        if self._first is None:
            self._first = now
        self._enter("generation", now)

    def _written(self, channels: list[str], now: float) -> None:
        pieces, last, self._last = self._pieces, self._last, now
        if last is None:
            self._shown(now)
            for channel in channels:
                pieces[channel] += 1
            return
        count, seconds = len(channels), self._seconds
        each = (now - last) / count
        self._gaps[bisect_left(GAP_BOUNDS, each)] += count
        for channel in channels:
            pieces[channel] += 1
            seconds[channel] += each

    def _enter(self, stage: Literal["queue", "load", "prefill", "generation"], now: float) -> None:
        if not self._stages or self._stages[-1][0] != stage:
            self._stages.append((stage, now))

    def _rate(self, tokens: int, now: float) -> float | None:
        if self._first is None or now <= self._first:
            return None
        return tokens / (now - self._first)
