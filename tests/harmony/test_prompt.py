"""The prompt builder says what the renderer and openai-harmony say, whatever its settings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.harmony.conversation import ConversationError, SystemMessage, build_conversation
from lemonade_like.harmony.messages import FunctionTool, Message, ToolCall
from lemonade_like.harmony.prompt import PromptBuilder
from tests.support import chats
from tests.support.chats import message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lemonade_like.harmony.encoding import HarmonyEncoding
    from lemonade_like.harmony.messages import ChatMessage
    from lemonade_like.harmony.renderer import Renderer
    from tests.support.library import Reference

efforts = st.sampled_from(["low", "medium", "high"])
dates = st.none() | st.dates().map(str)


@pytest.fixture(scope="module")
def builder(encoder: HarmonyEncoding) -> PromptBuilder:
    return PromptBuilder(encoder, current_date=None)


def _after_the_instructions(chat: Sequence[ChatMessage]) -> list[Message]:
    """The chat in openai-harmony's own terms, with all of the reasoning."""
    written: list[Message] = []
    names: dict[str | None, str] = {}
    for one in chat:
        if one.role == "user":
            written.append(Message("user", one.text))
        elif one.role == "tool":
            written.append(Message(f"functions.{names[one.tool_call_id]}", one.text, "commentary", "assistant"))
        elif one.role == "assistant":
            if one.reasoning:
                written.append(Message("assistant", one.reasoning, "analysis"))
            if one.text:
                written.append(Message("assistant", one.text, "commentary" if one.tool_calls else "final"))
            for call in one.tool_calls:
                names[call.id] = call.name
                written.append(
                    Message("assistant", call.arguments, "commentary", f"functions.{call.name}", "<|constrain|>json")
                )
    return written


def _instructions(chat: Sequence[ChatMessage]) -> str:
    return "\n\n".join(one.text for one in chat if one.role == "system" and one.text)


@given(chat=chats.chats(), tools=chats.tool_lists, effort=efforts, day=dates)
def test_a_prompt_has_the_ids_of_the_renderer(
    builder: PromptBuilder,
    renderer: Renderer,
    encoder: HarmonyEncoding,
    chat: tuple[ChatMessage, ...],
    tools: tuple[FunctionTool, ...],
    effort: Any,
    day: str | None,
) -> None:
    conversation = build_conversation(chat, SystemMessage(effort, day), tools)
    built = builder.build(chat, tools=tools, reasoning_level=effort, current_date=day)

    assert built.ids == renderer.render_for_completion(conversation).ids
    assert built.text == encoder.decode(built.ids)
    assert built.messages == conversation.messages


@given(chat=chats.chats(), answer=chats.texts.filter(bool), tools=chats.tool_lists, effort=efforts, day=dates)
def test_a_sample_with_all_analysis_has_the_training_ids_of_openai_harmony(
    builder: PromptBuilder,
    reference: Reference,
    chat: tuple[ChatMessage, ...],
    answer: str,
    tools: tuple[FunctionTool, ...],
    effort: str,
    day: str | None,
) -> None:
    chat = (*chat, message("assistant", answer, reasoning="Hm."))
    sample = builder.build_for_training(chat, keep_analysis=True, tools=tools, reasoning_level=effort, current_date=day)

    expected = reference.training_ids(effort, day, _instructions(chat), tools, _after_the_instructions(chat))
    assert sample.ids == expected
    assert sample.text.endswith("<|return|>")


@given(chat=chats.chats())
def test_an_unfinished_sample_has_the_training_ids_of_openai_harmony(
    builder: PromptBuilder, reference: Reference, chat: tuple[ChatMessage, ...]
) -> None:
    expected = reference.training_ids("medium", None, _instructions(chat), (), _after_the_instructions(chat))

    assert builder.build_for_training(chat, keep_analysis=True).ids == expected


TWO_TURNS = (
    message("user", "2+2?"),
    message("assistant", "4", reasoning="Two and two."),
    message("user", "And 3+3?"),
    message("assistant", "6", reasoning="Three and three."),
)


def test_the_reasoning_that_a_sample_teaches_stays_and_earlier_reasoning_goes(
    builder: PromptBuilder, reference: Reference
) -> None:
    sample = builder.build_for_training(TWO_TURNS)

    assert "Two and two." not in sample.text
    assert "Three and three." in sample.text
    expected = reference.training_ids("medium", None, "", (), _after_the_instructions(TWO_TURNS), drop_analysis=True)
    assert sample.ids == expected


def test_a_sample_of_one_turn_keeps_its_reasoning_where_openai_harmony_drops_it(
    builder: PromptBuilder, reference: Reference
) -> None:
    chat = TWO_TURNS[:2]
    sample = builder.build_for_training(chat)

    assert "<|channel|>analysis<|message|>Two and two.<|end|>" in sample.text
    dropped = reference.training_ids("medium", None, "", (), _after_the_instructions(chat), drop_analysis=True)
    assert "Two and two." not in reference.decode(dropped)


def test_a_sample_that_ends_with_a_call_ends_with_the_call_token(builder: PromptBuilder) -> None:
    chat = (message("user", "Weather?"), message("assistant", "", tool_calls=(ToolCall("1", "get_weather", "{}"),)))

    assert builder.build_for_training(chat).text.endswith("<|constrain|>json<|message|>{}<|call|>")


def test_a_sample_may_end_with_reasoning_alone(builder: PromptBuilder) -> None:
    chat = (message("user", "Hi"), message("assistant", "", reasoning="Hm."))

    assert builder.build_for_training(chat).text.endswith("<|channel|>analysis<|message|>Hm.<|end|>")


@pytest.mark.parametrize("last", [message("user", "Hi"), message("assistant", "")])
def test_a_sample_without_an_answer_gets_none(builder: PromptBuilder, last: ChatMessage) -> None:
    sample = builder.build_for_training((message("user", "Oh"), last), reasoning_level="none")

    assert "final<|message|>" not in sample.text


def test_a_trailing_assistant_message_is_continued_in_a_prompt(builder: PromptBuilder) -> None:
    prompt = builder.build((message("user", "Count"), message("assistant", "one, two,")))

    assert prompt.text.endswith("<|start|>assistant<|channel|>final<|message|>one, two,")
    assert (prompt.opening.channel, prompt.opening.body) == ("final", "one, two,")


def test_every_setting_is_said_and_can_be_overridden(encoder: HarmonyEncoding) -> None:
    tool = FunctionTool("get_weather", "The weather.")
    builder = PromptBuilder(
        encoder,
        reasoning_level="deep",
        knowledge_cutoff="2025-03",
        current_date=date(2026, 1, 31),
        identity="You are a lighthouse.",
        instructions="Be brief.",
        tools=[tool],
    )
    chat = (message("developer", "Be kind."), message("user", "Hello"))
    prompt = builder.build(chat)

    assert prompt.text.startswith(
        "<|start|>system<|message|>You are a lighthouse.\nKnowledge cutoff: 2025-03\nCurrent date: 2026-01-31\n\n"
        "Reasoning: high"
    )
    assert "# Instructions\n\nBe brief.\n\nBe kind." in prompt.text
    assert "type get_weather" in prompt.text

    other = builder.build(
        chat,
        reasoning_level="low",
        knowledge_cutoff="2024-06",
        current_date="2027-02-03",
        identity="You are a buoy.",
        instructions="",
        tools=[],
    )
    for said in ("You are a buoy.", "2024-06", "2027-02-03", "Reasoning: low", "# Instructions\n\nBe kind."):
        assert said in other.text
    assert "get_weather" not in other.text
    assert builder.build(chat).ids == prompt.ids


def test_the_date_is_the_day_of_the_call_unless_it_is_given(encoder: HarmonyEncoding) -> None:
    days = iter([date(2026, 1, 31), date(2026, 1, 31), date(2026, 2, 1)])
    builder = PromptBuilder(encoder, today=lambda: next(days))
    chat = (message("user", "Hello"),)

    assert "Current date: 2026-01-31" in builder.build(chat).text
    assert "Current date: 2026-02-01" in builder.build(chat).text
    assert "Current date: 2025-12-24" in builder.build(chat, current_date=datetime(2025, 12, 24, 18)).text
    assert "Current date" not in builder.build(chat, current_date=None).text


@pytest.mark.parametrize(
    ("setting", "param"),
    [({"reasoning_level": "extreme"}, "reasoning_level"), ({"current_date": "tomorrow"}, "current_date")],
)
def test_a_setting_that_cannot_be_is_refused_at_once(
    encoder: HarmonyEncoding, builder: PromptBuilder, setting: Any, param: str
) -> None:
    with pytest.raises(ConversationError, match="must be") as at_once:
        PromptBuilder(encoder, **setting)
    with pytest.raises(ConversationError) as later:
        builder.build((message("user", "Hi"),), **setting)

    assert at_once.value.param == later.value.param == param


def test_a_setting_that_there_is_not_is_named(builder: PromptBuilder) -> None:
    with pytest.raises(TypeError, match="'effort' is no setting"):
        builder.build((message("user", "Hi"),), effort="low")  # type: ignore[call-arg]


def test_the_wire_format_is_not_guessed_without_a_reader(builder: PromptBuilder) -> None:
    with pytest.raises(TypeError, match="not of dict"):
        builder.build([{"role": "user", "content": "Hi"}])


def test_eight_threads_build_the_same_ids(encoder: HarmonyEncoding) -> None:
    builder = PromptBuilder(encoder, current_date="2026-01-31")
    all_chats = [(message("user", f"Question {number}"), *TWO_TURNS) for number in range(50)]
    alone = [PromptBuilder(encoder, current_date="2026-01-31").build(chat).ids for chat in all_chats]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda _: [builder.build(chat).ids for chat in all_chats], range(8)))

    assert together == [alone] * 8
