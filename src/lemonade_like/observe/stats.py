"""What turns have cost: the last one and all together, taken from their events as they pass by.

It costs a look at each event's type, so tokens are counted by what is shown of them: a character that several tokens
spell counts once. What that misses, and the tokens of headers, is counted as ``other``.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

    from lemonade_like.turns.completion import CompletionRequest
    from lemonade_like.turns.preview import RenderedPrompt
    from lemonade_like.turns.request import TurnRequest
    from lemonade_like.turns.tokens import TokenizeRequest

_SHOWN = (ContentDelta, ReasoningDelta, ToolCallStart)


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


@dataclass(frozen=True)
class TurnStats:
    """One finished turn. ``started`` is in Unix seconds; times are in seconds, from the request on, so that waiting for
    a slot or a model counts. ``time_to_first_token`` is ``None`` if nothing was shown. ``tokens_per_second`` is the
    engine's own account of generating, or else ours."""

    model: str
    started: float
    duration: float
    time_to_first_token: float | None
    tokens_per_second: float | None
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    tool_calls: int
    tokens_by_channel: dict[str, int]
    finish_reason: str
    recovered: dict[str, int]


@dataclass
class Totals:
    """All turns since the server was started. ``failed`` ended in an error, ``cancelled`` by their clients; of these
    two kinds no tokens are counted."""

    turns: int = 0
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    tool_calls: int = 0
    tokens_by_channel: Counter[str] = field(default_factory=Counter)
    finish_reasons: Counter[str] = field(default_factory=Counter)
    recovered: Counter[str] = field(default_factory=Counter)


class Statistics:
    """Collects turns. Safe to share between threads."""

    def __init__(self) -> None:
        self._totals = Totals()
        self._last: TurnStats | None = None
        self._lock = Lock()

    def began(self) -> None:
        """Count a turn that begins."""
        with self._lock:
            self._totals.turns += 1

    def failed(self) -> None:
        """Count a turn that ended in an error."""
        with self._lock:
            self._totals.failed += 1

    def cancelled(self) -> None:
        """Count a turn whose client went away."""
        with self._lock:
            self._totals.cancelled += 1

    def finished(self, turn: TurnStats) -> None:
        """Take a turn that came to its end."""
        with self._lock:
            totals = self._totals
            totals.finished += 1
            totals.prompt_tokens += turn.prompt_tokens
            totals.cached_tokens += turn.cached_tokens
            totals.completion_tokens += turn.completion_tokens
            totals.reasoning_tokens += turn.reasoning_tokens
            totals.tool_calls += turn.tool_calls
            totals.tokens_by_channel.update(turn.tokens_by_channel)
            totals.finish_reasons[turn.finish_reason] += 1
            totals.recovered.update(turn.recovered)
            self._last = turn

    def snapshot(self) -> dict[str, Any]:
        """Return the last turn under Lemonade's names, ``None`` and 0 if there was none, and in ``last`` and ``totals``
        all there is to tell."""
        with self._lock:
            last = self._last
            totals = {
                name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self._totals).items()
            }
        return {
            "time_to_first_token": last.time_to_first_token if last else None,
            "tokens_per_second": last.tokens_per_second if last else None,
            "input_tokens": last.prompt_tokens - last.cached_tokens if last else 0,
            "output_tokens": last.completion_tokens if last else 0,
            "prompt_tokens": last.prompt_tokens if last else 0,
            "last": asdict(last) if last else None,
            "totals": totals,
        }


class ObservedTurns:
    """Runs turns as ``turns`` does, and tells ``statistics`` of them."""

    def __init__(
        self, turns: Runner, statistics: Statistics, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._turns = turns
        self._statistics = statistics
        self._clock = clock

    def run(self, request: TurnRequest) -> AsyncGenerator[list[Event], None]:
        """Run a turn; see ``Turns.run``."""
        return self._observed(request.model, self._turns.run(request))

    def complete(self, request: CompletionRequest) -> AsyncGenerator[list[Event], None]:
        """Run a raw completion; see ``Turns.complete``. It is a turn, too."""
        return self._observed(request.model, self._turns.complete(request))

    async def _observed(
        self, model: str, events: AsyncGenerator[list[Event], None]
    ) -> AsyncGenerator[list[Event], None]:
        watch = _Watch(model, self._clock)
        self._statistics.began()
        try:
            async with aclosing(events) as batches:
                async for batch in batches:
                    if turn := watch.take(batch):
                        # Before the last batch is handed on: whoever has the answer may ask for this next.
                        self._statistics.finished(turn)
                    yield batch
        except (asyncio.CancelledError, GeneratorExit):
            if not watch.over:
                self._statistics.cancelled()
            raise
        except Exception:
            self._statistics.failed()
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


class _Watch:
    """Follows one turn."""

    def __init__(self, model: str, clock: Callable[[], float]) -> None:
        self.over = False
        self._model = model
        self._clock = clock
        self._started = time.time()
        self._began = clock()
        self._first: float | None = None
        self._calls = 0
        self._pieces: Counter[str] = Counter()

    def take(self, batch: Iterable[Event]) -> TurnStats | None:
        pieces = self._pieces
        turn = None
        for event in batch:
            kind = type(event)
            if self._first is None and kind in _SHOWN:
                self._first = self._clock()
            if kind is ContentDelta:
                pieces[event.channel or "final"] += 1  # type: ignore[union-attr]
            elif kind is ToolCallArgumentsDelta:
                pieces["tool_arguments"] += 1
            elif kind is ToolCallStart:
                self._calls += 1
            elif isinstance(event, Finish):
                turn = self._turn(event)
        return turn

    def _turn(self, finish: Finish) -> TurnStats:
        self.over = True
        now, usage = self._clock(), finish.usage
        first = None if self._first is None else self._first - self._began
        by_channel = {name: self._pieces[name] for name in ("commentary", "final", "tool_arguments")}
        by_channel["analysis"] = usage.reasoning_tokens
        by_channel["other"] = max(0, usage.completion_tokens - sum(by_channel.values()))
        return TurnStats(
            model=self._model,
            started=self._started,
            duration=now - self._began,
            time_to_first_token=first,
            tokens_per_second=finish.timings.get("predicted_per_second") or self._rate(usage.completion_tokens, now),
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            tool_calls=self._calls,
            tokens_by_channel=by_channel,
            finish_reason=finish.reason,
            recovered=dict(finish.recovered),
        )

    def _rate(self, tokens: int, now: float) -> float | None:
        if self._first is None or now <= self._first:
            return None
        return tokens / (now - self._first)
