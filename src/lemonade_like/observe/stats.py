"""What turns have cost: the last one and all together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lemonade_like.observe.record import TurnRecord


@dataclass
class Totals:
    """All turns since the server was started. ``failed`` ended in an error, ``cancelled`` by their clients; of these
    two kinds only those tokens are counted that were shown."""

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
    seconds_by_channel: Counter[str] = field(default_factory=Counter)
    finish_reasons: Counter[str] = field(default_factory=Counter)
    recovered: Counter[str] = field(default_factory=Counter)


class Statistics:
    """Collects turns. Safe to share between threads."""

    def __init__(self) -> None:
        self._totals = Totals()
        self._last: TurnRecord | None = None
        self._lock = Lock()

    def began(self) -> None:
        """Count a turn that begins."""
        with self._lock:
            self._totals.turns += 1

    def ended(self, turn: TurnRecord) -> None:
        """Take a turn that is over; the last of those that came to their end is kept."""
        with self._lock:
            totals = self._totals
            if turn.outcome == "error":
                totals.failed += 1
            elif turn.outcome == "cancelled":
                totals.cancelled += 1
            else:
                totals.finished += 1
                totals.finish_reasons[turn.outcome] += 1
                self._last = turn
            totals.prompt_tokens += turn.prompt_tokens
            totals.cached_tokens += turn.cached_tokens
            totals.completion_tokens += turn.completion_tokens
            totals.reasoning_tokens += turn.reasoning_tokens
            totals.tool_calls += turn.tool_calls
            totals.tokens_by_channel.update(turn.tokens_by_channel)
            totals.seconds_by_channel.update(turn.seconds_by_channel)
            totals.recovered.update(turn.recovered)

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
            "last": _told(last) if last else None,
            "totals": totals,
        }


def _told(turn: TurnRecord) -> dict[str, Any]:
    return {
        "model": turn.model,
        "started": turn.started,
        "duration": turn.duration,
        "waited": turn.waited,
        "time_to_first_token": turn.time_to_first_token,
        "tokens_per_second": turn.tokens_per_second,
        "prompt_tokens": turn.prompt_tokens,
        "cached_tokens": turn.cached_tokens,
        "completion_tokens": turn.completion_tokens,
        "reasoning_tokens": turn.reasoning_tokens,
        "tool_calls": turn.tool_calls,
        "tokens_by_channel": turn.tokens_by_channel,
        "seconds_by_channel": turn.seconds_by_channel,
        "finish_reason": turn.outcome,
        "recovered": turn.recovered,
    }
