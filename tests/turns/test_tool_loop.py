"""The server runs its own tools between the turns of an answer, and the client sees each step."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.errors import BadRequest, ContextLengthExceeded, QueueFull, ServerError, ShuttingDown
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, TextPart, ToolCall
from lemonade_like.tools.errors import ToolFailed, ToolServerUnavailable
from lemonade_like.turns import rounds
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    Progress,
    ReasoningDelta,
    ServerToolCall,
    ServerToolResult,
    ServerTools,
    ToolCallArgumentsDelta,
    ToolCallStart,
    Usage,
)
from lemonade_like.turns.request import ToolServerUse, TurnRequest
from lemonade_like.turns.rounds import Round
from lemonade_like.turns.tool_loop import LoopLimits, ToolLoop
from tests.support.toolboxes import FakeConnection, tool, toolbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lemonade_like.tools.catalogue import Tool
    from lemonade_like.turns.preview import RenderedPrompt

USER = ChatMessage("user", (TextPart("What is the weather?"),), index=0)
ASKED = TurnRequest("m", (USER,), tool_servers=(ToolServerUse("weather", param="tools[0].server_label"),))
OWN = FunctionTool("mine")


def called(*calls: tuple[str, str, str], text: str = "", reason: str = "tool_calls") -> list[Event]:
    """A turn that ends in calls, each ``(id, name, arguments)``."""
    events: list[Event] = [Progress("prefill", 1, 2), ReasoningDelta("I look.")]
    if text:
        events.append(ContentDelta(text, "commentary"))
    for index, (call_id, name, arguments) in enumerate(calls):
        events += [ToolCallStart(index, call_id, name), ToolCallArgumentsDelta(index, arguments)]
    return [*events, Finish(reason, Usage(10, 5, 2, 4), {"prompt_n": 6, "prompt_ms": 3.0, "cache_n": 4})]  # type: ignore[arg-type]


def weather(call_id: str = "c1", city: str = "Tokyo", name: str = "get_weather") -> tuple[str, str, str]:
    return (call_id, name, f'{{"location":"{city}"}}')


ANSWER: list[Event] = [
    ReasoningDelta("It says sunny."),
    ContentDelta("Sunny."),
    Finish("stop", Usage(20, 3, 1, 15), {"prompt_n": 5, "prompt_ms": 1.0, "cache_n": 15}),
]


class Script:
    """Plays a turn after the other; remembers what was asked of each."""

    def __init__(self, *turns: list[Event] | BaseException) -> None:
        self.requests: list[TurnRequest] = []
        self._turns = list(turns)

    async def run(self, request: TurnRequest) -> AsyncGenerator[list[Event], None]:
        self.requests.append(request)
        turn = self._turns.pop(0)
        if isinstance(turn, BaseException):
            raise turn
        for event in turn:
            yield [event]

    async def render(self, request: TurnRequest) -> RenderedPrompt:
        self.requests.append(request)
        raise NotImplementedError


def server(**more: Any) -> FakeConnection:
    return FakeConnection(tool("weather", "get_weather", read_only=True), tool("weather", "get_time"), **more)


async def run(
    loop: ToolLoop,
    request: TurnRequest = ASKED,
) -> list[Event]:
    return [event async for batch in loop.run(request) for event in batch]


def loop_of(script: Script, connection: FakeConnection | None = None, **limits: Any) -> ToolLoop:
    return ToolLoop(script, toolbox(weather=connection or server()), LoopLimits(**limits))


def steps(events: list[Event]) -> list[Event]:
    """What the client sees, but for the end."""
    return [event for event in events if not isinstance(event, Progress | ServerTools | Finish)]


async def test_a_call_is_run_and_the_model_goes_on_from_its_result() -> None:
    script, connection = Script(called(weather()), ANSWER), server()
    events = await run(loop_of(script, connection))

    assert steps(events) == [
        ReasoningDelta("I look."),
        ServerToolCall(0, "c1", "weather", "get_weather", '{"location":"Tokyo"}', 0),
        ServerToolResult(0, "c1", "sunny"),
        # Another block of the same kind is set apart as within a turn.
        ReasoningDelta("\nIt says sunny."),
        ContentDelta("Sunny."),
    ]
    assert connection.calls == [("get_weather", {"location": "Tokyo"})]
    assert [event.label for event in events if isinstance(event, ServerTools)] == ["weather"]
    first, second = script.requests
    assert [offered.name for offered in first.tools] == ["get_weather", "get_time"]
    assert second.tools == first.tools
    assert second.messages == (
        USER,
        ChatMessage("assistant", reasoning="I look.", tool_calls=(ToolCall(*weather()),), index=1),
        ChatMessage("tool", (TextPart("sunny"),), tool_call_id="c1", index=1),
    )


async def test_usage_and_timings_are_those_of_all_turns() -> None:
    *_, finish = await run(loop_of(Script(called(weather()), ANSWER)))

    assert isinstance(finish, Finish)
    assert (finish.reason, finish.usage) == ("stop", Usage(30, 8, 3, 19))
    assert (finish.timings["prompt_n"], finish.timings["prompt_ms"], finish.timings["cache_n"]) == (11, 4.0, 19)


async def test_without_tool_servers_a_turn_is_passed_on_untouched() -> None:
    script = Script(called(("c1", "mine", "{}")))
    request = replace(ASKED, tool_servers=())

    assert await run(loop_of(script), request) == called(("c1", "mine", "{}"))
    assert script.requests == [request]


async def test_calls_of_one_turn_run_side_by_side_and_results_come_as_they_are_done() -> None:
    both = asyncio.Event()

    async def act(_: Tool, arguments: dict[str, Any]) -> str:
        if arguments["location"] == "Tokyo":
            await both.wait()
        both.set()
        return arguments["location"]

    script = Script(called(weather("c1"), weather("c2", "Paris")), ANSWER)
    events = await run(loop_of(script, server(act=act)))

    assert [event for event in events if isinstance(event, ServerToolResult)] == [
        ServerToolResult(1, "c2", "Paris"),
        ServerToolResult(0, "c1", "Tokyo"),
    ]
    # The model reads them in the order of its calls.
    assert [message.text for message in script.requests[1].messages[2:]] == ["Tokyo", "Paris"]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ToolFailed("The tool failed: no", "no such city"), "no such city"),
        (ToolServerUnavailable("It went away."), "It went away."),
        (ValueError("a mistake of ours"), "The tool could not be run."),
    ],
)
async def test_what_goes_wrong_is_for_the_model_to_read(error: Exception, text: str) -> None:
    async def act(_: Tool, __: dict[str, Any]) -> str:
        raise error

    script = Script(called(weather()), ANSWER)
    events = await run(loop_of(script, server(act=act)))

    assert ServerToolResult(0, "c1", text, failed=True) in events
    assert script.requests[1].messages[-1].text == f"Error: {text}"


@pytest.mark.parametrize("arguments", ["{", '{"location":1}', "{}", "[]"])
async def test_arguments_that_the_tool_does_not_take_never_reach_it(arguments: str) -> None:
    connection = server()
    events = await run(loop_of(Script(called(("c1", "get_weather", arguments)), ANSWER), connection))

    (result,) = [event for event in events if isinstance(event, ServerToolResult)]
    assert result.failed
    assert "arguments" in result.text.lower()
    assert connection.calls == []


async def test_a_long_result_is_cut_for_the_model() -> None:
    async def act(_: Tool, __: dict[str, Any]) -> str:
        return "x" * 1000

    script = Script(called(weather()), ANSWER)
    await run(loop_of(script, server(act=act), result_characters=100))

    assert script.requests[1].messages[-1].text == "x" * 100 + "\n[cut: these are the first 100 of 1000 characters]"


class TestTheEnd:
    async def test_after_the_last_round_the_model_has_to_answer(self) -> None:
        script = Script(called(weather("c1")), called(weather("c2")), ANSWER)
        events = await run(loop_of(script), replace(ASKED, max_tool_rounds=2, tool_choice="required"))

        assert [turn.allowed_tools for turn in script.requests] == [None, None, frozenset()]
        assert [turn.tool_choice for turn in script.requests] == ["required", "auto", "auto"]
        # The prompt stays what it was, and so does the engine's cache.
        assert script.requests[2].tools == script.requests[0].tools
        assert [event.round for event in events if isinstance(event, ServerToolCall)] == [0, 1]
        assert events[-1].reason == "stop"  # type: ignore[union-attr]

    async def test_a_call_after_the_last_round_is_not_run(self) -> None:
        connection = server()
        script = Script(called(weather("c1")), called(weather("c2")))
        events = await run(loop_of(script, connection), replace(ASKED, max_tool_rounds=1))

        assert len(connection.calls) == 1
        assert [event.failed for event in events if isinstance(event, ServerToolResult)] == [False, True]
        assert events[-1].reason == "length"  # type: ignore[union-attr]

    async def test_more_calls_than_are_allowed_are_not_run(self) -> None:
        connection = server()
        script = Script(called(weather("c1"), weather("c2"), weather("c3")), ANSWER)
        events = await run(loop_of(script, connection), replace(ASKED, max_server_calls=2))

        assert len(connection.calls) == 2
        assert {event.id: event.failed for event in events if isinstance(event, ServerToolResult)} == {
            "c1": False,
            "c2": False,
            "c3": True,
        }
        assert script.requests[1].allowed_tools == frozenset()

    async def test_a_call_that_was_cut_off_is_shown_and_not_run(self) -> None:
        connection = server()
        events = await run(loop_of(Script(called(("c1", "get_weather", '{"loc'), reason="length")), connection))

        assert connection.calls == []
        assert ServerToolCall(0, "c1", "weather", "get_weather", '{"loc', 0) in events
        assert events[-1].reason == "length"  # type: ignore[union-attr]

    async def test_max_tokens_and_the_budget_are_those_of_the_whole_answer(self) -> None:
        script = Script(called(weather()), ANSWER)
        await run(loop_of(script), replace(ASKED, max_tokens=12, reasoning_budget=1))
        assert [(turn.max_tokens, turn.reasoning_budget) for turn in script.requests] == [(12, 1), (7, 0)]

        script = Script(called(weather()))
        events = await run(loop_of(script), replace(ASKED, max_tokens=5))
        assert events[-1].reason == "length"  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        "error", [ContextLengthExceeded("too long"), QueueFull("too many", retry_after=1), ShuttingDown("stops")]
    )
    async def test_what_ends_the_answer_between_two_turns_loses_nothing(self, error: ServerError) -> None:
        script = Script(called(weather(), text="I look."), error)
        events = await run(loop_of(script))

        assert ContentDelta("I look.", "commentary") in events
        assert events[-1].reason == "length"  # type: ignore[union-attr]

    async def test_in_the_first_turn_it_is_an_error(self) -> None:
        with pytest.raises(ShuttingDown):
            await run(loop_of(Script(ShuttingDown("stops"))))

    async def test_only_later_turns_continue_the_answer(self) -> None:
        script = Script(called(weather()), ANSWER)
        await run(loop_of(script))
        assert [turn.continues for turn in script.requests] == [False, True]

    async def test_a_turn_that_fails_later_fails_the_answer(self) -> None:
        with pytest.raises(ServerError):
            await run(loop_of(Script(called(weather()), ServerError("the engine died"))))

    async def test_a_client_that_leaves_stops_the_tool(self) -> None:
        began, stopped = asyncio.Event(), asyncio.Event()

        async def act(_: Tool, __: dict[str, Any]) -> str:
            began.set()
            try:
                return (await asyncio.Event().wait() and "never") or ""
            finally:
                stopped.set()

        asking = asyncio.create_task(run(loop_of(Script(called(weather())), server(act=act))))
        await began.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert stopped.is_set()

    async def test_an_answer_that_is_closed_between_two_events_stops_the_tools(self) -> None:
        stopped = asyncio.Event()

        async def act(_: Tool, arguments: dict[str, Any]) -> str:
            if arguments["location"] == "Tokyo":
                return "sunny"
            try:
                return (await asyncio.Event().wait() and "never") or ""
            finally:
                stopped.set()

        script = Script(called(weather("c1"), weather("c2", "Paris")))
        async with aclosing(loop_of(script, server(act=act)).run(ASKED)) as batches:
            async for batch in batches:
                if isinstance(batch[0], ServerToolResult):
                    break
        assert stopped.is_set()


def test_the_start_of_a_call_does_not_put_together_those_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    put_together: list[str] = []
    call = rounds._Written.call
    monkeypatch.setattr(
        rounds._Written, "call", property(lambda self: put_together.append(self.id) or call.__get__(self))
    )
    turn = Round(set(), set())
    for place in range(3):
        assert turn.take([ToolCallStart(place + 1, f"c{place}", "mine")]) == [ToolCallStart(place, f"c{place}", "mine")]
    assert put_together == []
    assert len(turn.own_calls) == 3


class TestTheClientsOwnTools:
    REQUEST = replace(ASKED, tools=(OWN,))

    async def test_the_servers_calls_are_run_and_the_answer_ends_with_the_clients(self) -> None:
        script = Script(called(weather("c1"), ("c2", "mine", '{"a":1}'), weather("c3")))
        events = await run(loop_of(script), self.REQUEST)

        assert [event for event in events if isinstance(event, ToolCallStart | ToolCallArgumentsDelta)] == [
            ToolCallStart(0, "c2", "mine"),
            ToolCallArgumentsDelta(0, '{"a":1}'),
        ]
        assert [event.id for event in events if isinstance(event, ServerToolResult)] == ["c1", "c3"]
        assert events[-1].reason == "tool_calls"  # type: ignore[union-attr]

    @pytest.mark.parametrize("echoed", [False, True])
    async def test_when_the_client_comes_back_the_model_reads_all_that_was_done(self, echoed: bool) -> None:
        script = Script(
            called(weather("c1"), text="Let me look."),
            called(weather("c2", "Paris"), ("c3", "mine", '{"a":1}'), text="And there."),
            ANSWER,
        )
        loop = loop_of(script)
        await run(loop, self.REQUEST)
        shown = ChatMessage(
            "assistant",
            (TextPart("Let me look.\nAnd there."),),
            tool_calls=(ToolCall("c3", "mine", '{ "a": 1 }'),),
            index=1,
        )
        before = (
            ChatMessage("assistant", tool_calls=(ToolCall(*weather("c1")),)),
            ChatMessage("tool", (TextPart("sunny"),), tool_call_id="c1"),
            ChatMessage("assistant", tool_calls=(ToolCall(*weather("c2", "Paris")),)),
            ChatMessage("tool", (TextPart("sunny"),), tool_call_id="c2"),
        )
        result = ChatMessage("tool", (TextPart("done"),), tool_call_id="c3", index=2)
        messages = (USER, *(before if echoed else ()), shown, result)
        await run(loop, replace(self.REQUEST, messages=messages))

        texts = [(message.role, message.text, [call.id for call in message.tool_calls]) for message in
                 script.requests[2].messages]  # fmt: skip
        assert texts == [
            ("user", "What is the weather?", []),
            ("assistant", "Let me look.", ["c1"]),
            ("tool", "sunny", []),
            ("assistant", "And there.", ["c2", "c3"]),
            ("tool", "sunny", []),
            ("tool", "done", []),
        ]
        assert script.requests[2].messages[1].reasoning == "I look."

    async def test_what_was_changed_or_is_anothers_is_not_filled_in(self) -> None:
        script = Script(called(weather("c1")), called(("c3", "mine", '{"a":1}')), ANSWER, ANSWER)
        loop = loop_of(script)
        await run(loop, replace(self.REQUEST, owner="me"))
        shown = ChatMessage("assistant", tool_calls=(ToolCall("c3", "mine", '{"a":1}'),))
        changed = replace(shown, tool_calls=(ToolCall("c3", "mine", '{"a":2}'),))
        for owner, message in (("you", shown), ("me", changed)):
            await run(loop, replace(self.REQUEST, owner=owner, messages=(USER, message)))
            assert script.requests[-1].messages == (USER, message)

    async def test_in_the_last_turn_the_clients_tools_may_still_be_called(self) -> None:
        script = Script(called(weather()), ANSWER)
        await run(loop_of(script), replace(self.REQUEST, max_tool_rounds=1))
        assert script.requests[1].allowed_tools == {"mine"}

    async def test_a_tool_that_is_called_like_the_clients_is_offered_with_its_server(self) -> None:
        script = Script(called(weather(name="weather__get_weather")), ANSWER)
        events = await run(loop_of(script), replace(ASKED, tools=(FunctionTool("get_weather"),)))

        assert [offered.name for offered in script.requests[0].tools] == [
            "get_weather",
            "weather__get_weather",
            "get_time",
        ]
        assert ServerToolResult(0, "c1", "sunny") in events


class TestTheChoice:
    async def chosen(self, **asked: Any) -> TurnRequest:
        script = Script(ANSWER)
        await run(loop_of(script), replace(ASKED, **asked))
        return script.requests[0]

    async def test_only_the_tools_that_are_allowed_are_offered(self) -> None:
        for use in (ToolServerUse("weather", frozenset({"get_weather"})), ToolServerUse("weather", read_only=True)):
            asked = await self.chosen(tool_servers=(use,))
            assert [offered.name for offered in asked.tools] == ["get_weather"]

    async def test_a_tool_may_be_chosen_by_either_name_and_a_server_as_a_whole(self) -> None:
        assert (await self.chosen(allowed_tools=frozenset({"get_time"}))).allowed_tools == {"get_time"}
        assert (await self.chosen(allowed_tools=frozenset({"weather__get_time"}))).allowed_tools == {"get_time"}
        by_server = await self.chosen(allowed_tools=frozenset(), allowed_servers=frozenset({"weather"}))
        assert by_server.allowed_tools == {"get_weather", "get_time"}

    @pytest.mark.parametrize(
        ("asked", "param", "part"),
        [
            ({"tool_servers": (ToolServerUse("nobody", param="tools[0].server_label"),)}, "tools[0].server_label",
             "There are 'weather'"),
            ({"tool_servers": (ToolServerUse("weather", frozenset({"get_wether"})),)}, "tools[0]", "get_weather"),
            ({"allowed_tools": frozenset({"other"})}, "tool_choice", "'other'"),
            ({"allowed_servers": frozenset({"other"}), "tool_choice": "required", "allowed_tools": frozenset()},
             "tool_choice", "none of the tools"),
            ({"max_tool_rounds": 9}, "max_tool_rounds", "bound is 8"),
        ],
    )  # fmt: skip
    async def test_what_is_not_there_is_refused_before_anything_is_generated(
        self, asked: dict[str, Any], param: str, part: str
    ) -> None:
        script = Script()
        with pytest.raises(BadRequest) as caught:
            await run(loop_of(script), replace(ASKED, **asked))
        assert caught.value.param == param
        assert part in caught.value.message
        assert script.requests == []

    async def test_a_server_that_cannot_be_reached_is_an_error_before_anything_is_generated(self) -> None:
        with pytest.raises(ToolServerUnavailable):
            await run(loop_of(Script(), server(away=True)))

    async def test_where_no_server_is_configured_that_is_what_is_said(self) -> None:
        with pytest.raises(BadRequest, match="tool_servers"):
            await run(ToolLoop(Script(), toolbox()), ASKED)

    async def test_calls_in_the_history_have_the_name_that_the_tool_has_now(self) -> None:
        history = (USER, ChatMessage("assistant", tool_calls=(ToolCall(*weather("c0")),)))
        asked = await self.chosen(
            messages=history, tools=(FunctionTool("get_weather"),), server_calls={"c0": ("weather", "get_weather")}
        )
        assert asked.messages[1].tool_calls[0].name == "weather__get_weather"
