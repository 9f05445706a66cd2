"""Turns come through as they were, and each leaves one record."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from lemonade_like.errors import BadRequest, EngineFailure
from lemonade_like.observe.record import CHANNELS, GAP_BOUNDS, TurnRecord
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
from lemonade_like.turns.request import CompletionRequest, TurnRequest
from tests.support.observed import Watched
from tests.support.turns import Step

TURN: list[Step] = [
    [Progress("queued"), Progress("prefill", 1, 10)],
    [ReasoningDelta("a"), ReasoningDelta("b")],
    [ContentDelta("Let", "commentary"), ContentDelta(" me", "commentary")],
    [ToolCallStart(0, "1", "f"), ToolCallArgumentsDelta(0, "{}"), ToolCallStart(1, "2", "g")],
    [ContentDelta("Hi")],
    [Finish("tool_calls", Usage(10, 12, 3, 6), {}, {"missing_end": 2})],
]


async def test_a_turn_is_recorded_and_its_events_are_the_same() -> None:
    watched = Watched(TURN)
    assert await watched.run() == TURN
    (record,) = watched.records

    # The clock ticks when the turn begins, at each batch, and at the end.
    assert (record.time_to_first_token, record.duration) == (2.0, 7.0)
    assert (record.model, record.request.model, record.outcome, record.error) == ("m", "M", "tool_calls", None)
    assert (record.tool_calls, record.recovered) == (2, {"missing_end": 2})
    assert (record.prompt_tokens, record.cached_tokens, record.completion_tokens) == (10, 6, 12)
    assert record.tokens_by_channel == {
        "analysis": 3, "commentary": 2, "final": 1, "tool_arguments": 1, "other": 5
    }  # fmt: skip


async def test_a_raw_completion_is_a_turn_too() -> None:
    script: list[Step] = [[ContentDelta("Hi", None)], [Finish("length", Usage(3, 2))]]
    watched = Watched(script)
    request = CompletionRequest("M", "Hello")
    assert [batch async for batch in watched.turns.complete(request)] == script
    (record,) = watched.records

    assert (record.request, record.model, record.outcome, record.prompt_tokens) == (request, "m", "length", 3)
    assert record.tokens_by_channel["final"] == 1


async def test_the_time_between_tokens_is_that_of_the_later_ones_channel() -> None:
    watched = Watched(TURN)
    await watched.run()
    (record,) = watched.records

    # The two of commentary share a second; what came after the last token is nobody's.
    assert record.seconds_by_channel == {
        "analysis": 0.0, "commentary": 1.0, "tool_arguments": 1.0, "final": 1.0, "other": 2.0
    }  # fmt: skip
    half, whole = GAP_BOUNDS.index(0.5), GAP_BOUNDS.index(1.0)
    assert {place: count for place, count in enumerate(record.gaps) if count} == {half: 2, whole: 2}
    assert record.gap_seconds == 3.0


async def test_a_turn_is_told_apart_into_its_stages() -> None:
    watched = Watched([[Progress("queued")], [Progress("loading")], *TURN])
    await watched.run()
    (record,) = watched.records

    # The scripted turn is queued once more after it was loaded.
    assert [stage.name for stage in record.stages] == ["queue", "load", "queue", "prefill", "generation"]
    assert record.stages[0].start == 1.0
    assert record.stages[-1].end == record.duration
    assert all(stage.end == later.start for stage, later in zip(record.stages, record.stages[1:], strict=False))


async def test_the_wait_for_a_slot_ends_when_the_turn_says_so() -> None:
    class Slotted:
        async def run(self, request: TurnRequest):  # type: ignore[no-untyped-def]
            assert request.on_slot is not None
            yield [Progress("queued")]
            request.on_slot()
            yield [Finish("stop", Usage())]

    watched = Watched([])
    watched.turns._turns = Slotted()  # type: ignore[assignment]
    await watched.run()
    (record,) = watched.records

    assert record.waited == 2.0
    assert [stage.name for stage in record.stages] == ["queue", "prefill"]


async def test_the_break_when_an_engine_is_started_again_is_no_time_between_tokens() -> None:
    script: list[Step] = [[ContentDelta("a")], [Progress("loading")], [ContentDelta("b")], [ContentDelta("c")]]
    watched = Watched([*script, [Finish("stop", Usage(1, 3))]])
    await watched.run()
    (record,) = watched.records

    assert sum(record.gaps) == 1
    assert record.seconds_by_channel["final"] == 1.0


async def test_channels_that_the_model_made_up_are_not_told_one_by_one() -> None:
    watched = Watched([[ContentDelta("a", "made up")], [ContentDelta("b", "too")], [Finish("stop", Usage(1, 2))]])
    await watched.run()
    (record,) = watched.records

    assert set(record.tokens_by_channel) == set(record.seconds_by_channel) == set(CHANNELS)
    assert (record.tokens_by_channel["other"], record.seconds_by_channel["other"]) == (2, 3.0)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EngineFailure("gone"), "engine_failure"),
        (BadRequest("no"), "invalid_request_error"),
        (ZeroDivisionError("oops"), "internal_error"),
    ],
)
async def test_a_turn_that_fails_counts_what_was_shown_of_it(error: Exception, code: str) -> None:
    shown: list[Event] = [ReasoningDelta("a"), ContentDelta("b"), ContentDelta("c")]
    watched = Watched([[Progress("prefill", 7, 7)], shown, error])
    with pytest.raises(type(error)):
        await watched.run()
    (record,) = watched.records

    assert (record.outcome, record.error) == ("error", code)
    assert (record.prompt_tokens, record.completion_tokens, record.reasoning_tokens) == (7, 3, 1)
    assert record.tokens_by_channel == {
        "analysis": 1, "commentary": 0, "final": 2, "tool_arguments": 0, "other": 0
    }  # fmt: skip


async def test_a_turn_whose_client_leaves_is_cancelled_unless_it_was_over() -> None:
    watched = Watched(TURN)
    async with aclosing(watched.turns.run(TurnRequest("M", ()))) as batches:
        await anext(batches)
    over = Watched([TURN[-1]])
    async with aclosing(over.turns.run(TurnRequest("M", ()))) as batches:
        await anext(batches)

    assert [record.outcome for record in watched.records] == ["cancelled"]
    assert [record.outcome for record in over.records] == ["tool_calls"]


async def test_an_error_after_the_end_does_not_count_a_turn_twice() -> None:
    watched = Watched([*TURN, EngineFailure("gone")])
    with pytest.raises(EngineFailure):
        await watched.run()
    assert [record.outcome for record in watched.records] == ["tool_calls"]


async def test_an_answer_is_whole_although_it_cannot_be_counted(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(TURN)

    def broken(record: TurnRecord) -> None:
        raise KeyError(record.outcome)

    watched.turns._ended = [broken, *watched.turns._ended]
    assert await watched.run() == TURN
    assert [record.outcome for record in watched.records] == ["tool_calls"]
    assert "A turn could not be counted" in caplog.text


async def test_that_tools_are_at_work_is_no_stage_of_a_turn() -> None:
    watched = Watched([[Progress("tools")], *TURN])
    await watched.run()
    (record,) = watched.records
    assert [stage.name for stage in record.stages] == ["queue", "prefill", "generation"]


async def test_a_turn_that_is_cancelled_while_it_waits_is_recorded() -> None:
    never = asyncio.Event()
    watched = Watched([never])
    turn = asyncio.create_task(watched.run())
    await watched.turns._turns.waiting.wait()  # type: ignore[attr-defined]
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn

    (record,) = watched.records
    assert (record.outcome, record.waited, record.stages) == ("cancelled", None, ())
