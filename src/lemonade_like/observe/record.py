"""What is known of a turn that is over: the one record that statistics, metrics and traces are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from lemonade_like.turns.request import CompletionRequest, TurnRequest

Outcome = Literal["stop", "length", "tool_calls", "cancelled", "error"]

#: Where a generated token can be; ``other`` are headers, what is kept from the client, and channels of no known name.
CHANNELS: Final = ("analysis", "commentary", "final", "tool_arguments", "other")

#: Upper bounds, in seconds, of the classes in which the time between tokens is counted; one more class is above all.
GAP_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 5.0)


class Stage(NamedTuple):
    """A part of a turn, in seconds from its beginning."""

    name: Literal["queue", "load", "prefill", "generation"]
    start: float
    end: float


@dataclass(frozen=True)
class TurnRecord:
    """One turn, however it ended.

    ``model`` is the model's own name, ``None`` if what the client asked for is none. ``error`` is the code of what went
    wrong. ``started`` is in Unix seconds; times are in seconds, from the request on, so that waiting for a slot or a
    model counts: ``waited`` is until the turn had its slot, ``None`` if it never had. ``time_to_first_token`` is
    ``None`` if nothing was shown. ``tokens_per_second`` is the engine's own account of generating, or else ours.

    Of a turn that did not come to its end, ``completion_tokens`` and the channels count what was shown of it.
    ``seconds_by_channel`` is the time between tokens, by the channel of the later one. ``gaps`` counts tokens by the
    time since the one before, in the classes of ``GAP_BOUNDS``; ``gap_seconds`` is all of that time.
    """

    request: TurnRequest | CompletionRequest
    model: str | None
    outcome: Outcome
    error: str | None
    started: float
    duration: float
    waited: float | None
    time_to_first_token: float | None
    tokens_per_second: float | None
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    tool_calls: int
    tokens_by_channel: dict[str, int]
    seconds_by_channel: dict[str, float]
    recovered: dict[str, int]
    gaps: tuple[int, ...]
    gap_seconds: float
    stages: tuple[Stage, ...]
