"""How long a turn took, over all the engines that it took."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class TurnTimings:
    """The engine's own account, as long as one engine writes the whole turn.

    Otherwise what it says of the prompt is that of the first engine that wrote something: what the others had to read
    once more is not the client's doing. The time of the tokens that a lost engine has written is measured here, and
    counts; the pause until the next engine is there does not.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._prefill: dict[str, Any] = {}
        self._lost_ms = 0.0
        self._resumed = False
        #: Of the engine that writes now: how many tokens there were before it, and when its first and last came.
        self._before = 0
        self._first = self._last = 0.0

    @property
    def cached(self) -> int:
        """Tokens of the prompt that did not have to be read."""
        return int(self._prefill.get("cache", 0))

    def prefill(self, progress: dict[str, Any]) -> None:
        """Take what the engine says of its reading of the prompt."""
        if not self._before:
            self._prefill = progress

    def tick(self, predicted: int) -> None:
        """Take note that the engine is alive, and has generated so many tokens since the turn began."""
        self._last = self._clock()
        if not self._first and predicted > self._before:
            self._first = self._last

    def lost(self, predicted: int, *, goes_on: bool) -> None:
        """Take note that the engine is gone, with what it has written, or not (then all of it is written again)."""
        self._resumed = True
        written_ms = (self._last - self._first) * 1000 if self._first else 0.0
        self._lost_ms = self._lost_ms + written_ms if goes_on else 0.0
        self._before = predicted
        self._first = 0.0

    def of_turn(self, last: dict[str, Any], predicted: int) -> dict[str, Any]:
        """Return the timings of the whole turn; ``last`` are those that the last engine gave, if any."""
        if not self._resumed or not self._before:
            return last
        spent = self._lost_ms + last.get("predicted_ms", 0.0)
        return {**last, **self._of_prompt(), "predicted_n": predicted, **_rate("predicted", predicted, spent)}

    def _of_prompt(self) -> dict[str, Any]:
        if not self._prefill:
            return {}
        read = self._prefill.get("total", 0) - self.cached
        return {"cache_n": self.cached, "prompt_n": read, **_rate("prompt", read, self._prefill.get("time_ms", 0))}


def _rate(what: str, tokens: int, milliseconds: float) -> dict[str, float]:
    return {
        f"{what}_ms": milliseconds,
        f"{what}_per_token_ms": milliseconds / tokens if tokens else 0.0,
        f"{what}_per_second": 1000 * tokens / milliseconds if milliseconds else 0.0,
    }


def of_several_turns(turns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the timings of turns that make one answer, added up: tokens and milliseconds, and the rates of these."""
    told = [turn for turn in turns if turn]
    if len(told) <= 1:
        return told[0] if told else {}
    total: dict[str, Any] = {"cache_n": sum(turn.get("cache_n", 0) for turn in told)}
    for what in ("prompt", "predicted"):
        tokens = sum(turn.get(f"{what}_n", 0) for turn in told)
        total |= {f"{what}_n": tokens, **_rate(what, tokens, sum(turn.get(f"{what}_ms", 0.0) for turn in told))}
    return total
