"""What was generated before a tool call is remembered, apart for each client, and within bounds."""

from __future__ import annotations

from array import array
from dataclasses import replace

import pytest

from lemonade_like.harmony.messages import ChatMessage, TextPart, ToolCall
from lemonade_like.turns.memory import ReasoningMemory, Remembered

CALL = ToolCall("call_1", "get_weather", '{"city":"Tokyo"}')
TURN = Remembered(array("I", range(100)), "Let me look.", (CALL,), "2026-07-01")
SENT = ChatMessage("assistant", (TextPart("Let me look."),), tool_calls=(CALL,))
CHAT = (ChatMessage("user", (TextPart("Weather?"),)), SENT)


def _memory(size: int = 10_000, age: float = 60.0) -> tuple[ReasoningMemory, list[float]]:
    now = [0.0]
    return ReasoningMemory(size, max_age=age, clock=lambda: now[0]), now


def test_a_turn_is_recalled_by_the_ids_of_its_calls() -> None:
    memory, _ = _memory()
    memory.remember("me", "m", TURN)

    assert memory.recall("me", "m", CHAT) == {1: TURN}


@pytest.mark.parametrize(("owner", "model"), [("you", "m"), ("me", "other")])
def test_clients_and_models_are_kept_apart(owner: str, model: str) -> None:
    memory, _ = _memory()
    memory.remember("me", "m", TURN)

    assert memory.recall(owner, model, CHAT) == {}


@pytest.mark.parametrize(
    "changed",
    [
        replace(SENT, content=(TextPart("Something else."),)),
        replace(SENT, tool_calls=(replace(CALL, arguments='{"city":"Oslo"}'),)),
        replace(SENT, tool_calls=(replace(CALL, arguments="{"),)),
        replace(SENT, tool_calls=(replace(CALL, name="get_time"),)),
        replace(SENT, tool_calls=(CALL, replace(CALL, id="call_2"))),
    ],
)
def test_a_message_that_was_changed_is_not_that_turn(changed: ChatMessage) -> None:
    memory, _ = _memory()
    memory.remember("me", "m", TURN)

    assert memory.recall("me", "m", (changed,)) == {}


def test_arguments_written_anew_and_reasoning_of_any_kind_do_not_matter() -> None:
    memory, _ = _memory()
    memory.remember("me", "m", TURN)
    anew = replace(SENT, reasoning="shortened", tool_calls=(replace(CALL, arguments='{ "city": "Tokyo" }'),))

    assert memory.recall("me", "m", (anew,)) == {0: TURN}


def test_the_oldest_turns_make_room() -> None:
    memory, _ = _memory(size=3 * TURN.size)
    for number in range(10):
        memory.remember("me", "m", replace(TURN, calls=(replace(CALL, id=f"call_{number}"),)))
    sent = [replace(SENT, tool_calls=(replace(CALL, id=f"call_{number}"),)) for number in range(10)]

    assert sorted(memory.recall("me", "m", sent)) == [7, 8, 9]


def test_a_turn_that_is_too_large_or_too_old_is_forgotten() -> None:
    memory, now = _memory(age=60)
    memory.remember("me", "m", replace(TURN, ids=array("I", range(10_000))))
    assert memory.recall("me", "m", CHAT) == {}

    memory.remember("me", "m", TURN)
    now[0] = 61
    assert memory.recall("me", "m", CHAT) == {}


def test_no_room_is_no_memory() -> None:
    memory, _ = _memory(size=0)
    memory.remember("me", "m", TURN)

    assert memory.recall("me", "m", CHAT) == {}
