"""Turns are counted as they pass by, and come through as they were."""

from __future__ import annotations

import itertools
from contextlib import aclosing
from typing import Any

import pytest

from lemonade_like.errors import EngineFailure
from lemonade_like.observe.stats import ObservedTurns, Statistics
from lemonade_like.turns.completion import CompletionRequest
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
from lemonade_like.turns.request import TurnRequest
from tests.support.turns import ScriptedTurns, Step

TURN: list[list[Event]] = [
    [Progress("queued"), Progress("prefill", 1, 9)],
    [ReasoningDelta("a"), ReasoningDelta("b")],
    [ContentDelta("Let", "commentary"), ContentDelta(" me", "commentary")],
    [ToolCallStart(0, "1", "f"), ToolCallArgumentsDelta(0, "{}"), ToolCallStart(1, "2", "g")],
    [ContentDelta("Hi")],
    [Finish("tool_calls", Usage(10, 12, 3, 6), {}, {"missing_end": 2})],
]


async def run(script: list[Step], statistics: Statistics) -> list[list[Event]]:
    ticks = itertools.count(100)
    observed = ObservedTurns(ScriptedTurns(script), statistics, clock=lambda: float(next(ticks)))
    return [batch async for batch in observed.run(TurnRequest("m", ()))]


async def test_a_turn_is_counted_and_its_events_are_the_same() -> None:
    statistics = Statistics()
    assert await run([*TURN], statistics) == TURN
    told = statistics.snapshot()
    last = told["last"]

    # The clock ticks when the turn begins, at the first text, and at the end.
    assert (last["time_to_first_token"], last["duration"], last["tokens_per_second"]) == (1.0, 2.0, 12.0)
    assert last["tokens_by_channel"] == {"analysis": 3, "commentary": 2, "final": 1, "tool_arguments": 1, "other": 5}
    assert (last["model"], last["tool_calls"], last["recovered"]) == ("m", 2, {"missing_end": 2})
    lemonade = {key: told[key] for key in ("time_to_first_token", "input_tokens", "output_tokens", "prompt_tokens")}
    assert lemonade == {"time_to_first_token": 1.0, "input_tokens": 4, "output_tokens": 12, "prompt_tokens": 10}


async def test_a_raw_completion_counts_as_a_turn() -> None:
    statistics = Statistics()
    observed = ObservedTurns(ScriptedTurns([[ContentDelta("Hi", None)], [Finish("length", Usage(3, 2))]]), statistics)
    batches = [batch async for batch in observed.complete(CompletionRequest("m", "Hello"))]
    last = statistics.snapshot()["last"]

    assert len(batches) == 2
    assert (last["model"], last["prompt_tokens"], last["finish_reason"]) == ("m", 3, "length")
    assert last["tokens_by_channel"]["final"] == 1


async def test_totals_are_of_all_turns() -> None:
    statistics = Statistics()
    for _ in range(2):
        await run([*TURN], statistics)
    await run([[Finish("stop", Usage(5, 0), {"predicted_per_second": 33.0})]], statistics)
    told = statistics.snapshot()

    assert (told["time_to_first_token"], told["tokens_per_second"]) == (None, 33.0)
    totals = told["totals"]
    assert (totals["turns"], totals["finished"], totals["prompt_tokens"], totals["cached_tokens"]) == (3, 3, 25, 12)
    assert (totals["completion_tokens"], totals["reasoning_tokens"], totals["tool_calls"]) == (24, 6, 4)
    assert (totals["tokens_by_channel"]["commentary"], totals["recovered"]) == (4, {"missing_end": 4})
    assert totals["finish_reasons"] == {"tool_calls": 2, "stop": 1}


async def test_a_turn_that_fails_or_is_given_up_is_no_finished_one() -> None:
    statistics = Statistics()
    with pytest.raises(EngineFailure):
        await run([[ContentDelta("a")], EngineFailure("gone")], statistics)
    async with aclosing(ObservedTurns(ScriptedTurns([*TURN]), statistics).run(TurnRequest("m", ()))) as batches:
        await anext(batches)
    # Whoever has seen the end need not read on.
    async with aclosing(ObservedTurns(ScriptedTurns([TURN[-1]]), statistics).run(TurnRequest("m", ()))) as batches:
        await anext(batches)

    counts: dict[str, Any] = statistics.snapshot()["totals"]
    assert {name: counts[name] for name in ("turns", "failed", "cancelled", "finished")} == {
        "turns": 3, "failed": 1, "cancelled": 1, "finished": 1
    }  # fmt: skip


def test_before_the_first_turn_there_is_nothing_to_tell() -> None:
    told = Statistics().snapshot()
    assert (told["last"], told["tokens_per_second"], told["output_tokens"]) == (None, None, 0)
    assert told["totals"]["turns"] == 0
