"""What of a chat stands in the prompt, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.harmony.conversation import (
    ConversationError,
    Opening,
    SystemMessage,
    build_conversation,
    developer_text,
)
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, MediaPart, Message, ToolCall
from tests.support.chats import message

if TYPE_CHECKING:
    from collections.abc import Sequence

_CALL = ToolCall("call_1", "get_weather", '{"city":"Tokyo"}')


def _after_system(chat: Sequence[ChatMessage], tools: Sequence[FunctionTool] = ()) -> list[Message]:
    return list(build_conversation(chat, SystemMessage(), tools).messages[1:])


def test_the_system_message_says_who_when_how_much_and_which_channels() -> None:
    assert SystemMessage("high", "2026-01-02").text(with_function_tools=False) == (
        "You are ChatGPT, a large language model trained by OpenAI.\n"
        "Knowledge cutoff: 2024-06\n"
        "Current date: 2026-01-02\n\n"
        "Reasoning: high\n\n"
        "# Valid channels: analysis, commentary, final. Channel must be included for every message."
    )


def test_only_function_tools_bring_the_line_about_the_commentary_channel() -> None:
    assert "commentary channel: 'functions'" in SystemMessage().text(with_function_tools=True)
    assert "'functions'" not in SystemMessage().text(with_function_tools=False)


def test_leading_instructions_become_one_developer_message() -> None:
    chat = [message("system", "Be brief."), message("developer", "Be kind."), message("user", "Hi")]

    assert _after_system(chat)[0] == Message("developer", "# Instructions\n\nBe brief.\n\nBe kind.")


def test_later_instructions_stay_in_their_place() -> None:
    chat = [message("user", "Hi"), message("system", "Now in French."), message("user", "Hi")]

    assert [m.role for m in _after_system(chat)] == ["user", "developer", "user"]


def test_without_instructions_and_tools_there_is_no_developer_message() -> None:
    assert [m.role for m in _after_system([message("system", ""), message("user", "Hi")])] == ["user"]


def test_tools_follow_the_instructions() -> None:
    text = developer_text("Be brief.", [FunctionTool("now", "The time.")])

    assert text == (
        "# Instructions\n\nBe brief.\n\n# Tools\n\n## functions\n\nnamespace functions {\n\n"
        "// The time.\ntype now = () => any;\n\n} // namespace functions"
    )


def test_reasoning_before_the_last_answer_is_dropped() -> None:
    chat = [
        message("user", "1+1?"),
        message("assistant", "2", reasoning="easy"),
        message("user", "2+2?"),
        message("assistant", "", reasoning="use the tool", tool_calls=(_CALL,)),
        message("tool", "4", tool_call_id="call_1"),
    ]

    analysis = [m.content for m in _after_system(chat) if m.channel == "analysis"]

    assert analysis == ["use the tool"]


def test_a_call_is_written_as_the_model_writes_it_and_text_beside_it_is_a_preamble() -> None:
    chat = [
        message("user", "Weather?"),
        message("assistant", "Let me look.", tool_calls=(_CALL,)),
        message("tool", "sunny", tool_call_id="call_1"),
    ]

    assert _after_system(chat)[1:] == [
        Message("assistant", "Let me look.", channel="commentary"),
        Message(
            "assistant", _CALL.arguments, "commentary", "functions.get_weather", "<|constrain|>json", end="<|call|>"
        ),
        Message("functions.get_weather", "sunny", "commentary", "assistant"),
    ]


def test_a_result_whose_call_is_unknown_needs_a_name() -> None:
    chat = [message("user", "x"), message("tool", "4", tool_call_id="call_9", index=1)]

    with pytest.raises(ConversationError, match="call_9") as caught:
        build_conversation(chat, SystemMessage())

    assert caught.value.param == "messages[1].tool_call_id"
    named = [message("user", "x"), message("tool", "4", tool_call_id="call_9", name="f")]
    assert _after_system(named)[-1].role == "functions.f"


def test_only_the_assistant_reasons() -> None:
    with pytest.raises(ConversationError, match="only the assistant"):
        build_conversation([message("user", "Hi", reasoning="hm")], SystemMessage())


def test_an_image_is_refused_by_name() -> None:
    chat = [ChatMessage("user", (MediaPart("image_url", {"type": "image_url"}),), index=3)]

    with pytest.raises(ConversationError, match="image_url") as caught:
        build_conversation(chat, SystemMessage())

    assert caught.value.param == "messages[3].content"


def test_without_effort_the_answer_begins_at_once() -> None:
    chat = [message("user", "Hi")]

    assert build_conversation(chat, SystemMessage("none")).opening == Opening("final")
    with_tools = build_conversation(chat, SystemMessage("none"), [FunctionTool("f")])
    assert with_tools.opening == Opening()


def test_a_trailing_assistant_message_is_continued_in_its_channel() -> None:
    begun = build_conversation([message("user", "Hi"), message("assistant", "Hel", reasoning="greet")], SystemMessage())
    thinking = build_conversation([message("user", "Hi"), message("assistant", "", reasoning="gre")], SystemMessage())

    assert begun.messages[-1] == Message("assistant", "greet", channel="analysis")
    assert begun.opening == Opening("final", "Hel")
    assert thinking.opening == Opening("analysis", "gre")


def test_a_message_may_bring_its_own_header() -> None:
    chat = [
        message("user", "Plot it.", name="ada"),
        message("assistant", "Let me see.", channel="commentary"),
        message("assistant", "plot()", channel="analysis", recipient="python", content_type="code"),
        message("tool", "<png>", name="python", channel="analysis", content_type="<|constrain|>json"),
        message("assistant", "Here.", channel="final", content_type="<|constrain|>json"),
        message("user", "Thanks"),
    ]

    assert _after_system(chat) == [
        Message("user:ada", "Plot it."),
        Message("assistant", "Let me see.", "commentary"),
        Message("assistant", "plot()", "analysis", "python", "code", "<|call|>"),
        Message("python", "<png>", "analysis", "assistant", "<|constrain|>json"),
        Message("assistant", "Here.", "final", None, "<|constrain|>json"),
        Message("user", "Thanks"),
    ]


def test_the_whole_name_of_a_tool_is_not_named_twice() -> None:
    chat = [
        message("assistant", "{}", recipient="functions.f"),
        message("tool", "1", name="functions.f"),
        message("tool", "2", name="f"),
    ]

    assert [(m.role, m.channel) for m in _after_system(chat)] == [
        ("assistant", "commentary"),
        ("functions.f", "commentary"),
        ("functions.f", "commentary"),
    ]


def test_thoughts_on_their_own_channel_are_dropped_once_answered() -> None:
    chat = [
        message("user", "1+1?"),
        message("assistant", "easy", channel="analysis"),
        message("assistant", "Let me see.", channel="commentary"),
        message("assistant", "2", channel="final"),
        message("user", "2+2?"),
        message("assistant", "hm", channel="analysis"),
        message("assistant", "{}", recipient="functions.f", channel="commentary"),
        message("tool", "4", name="functions.f"),
    ]

    assert [m.content for m in _after_system(chat)] == ["1+1?", "Let me see.", "2", "2+2?", "hm", "{}", "4"]


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool"])
def test_a_channel_that_was_not_declared_is_refused(role: Any) -> None:
    chat = [message("user", "Hi"), message(role, "x", channel="thoughts", name="f", index=1)]

    with pytest.raises(ConversationError, match="analysis, commentary, final") as caught:
        build_conversation(chat, SystemMessage())

    assert (caught.value.param, caught.value.code) == ("messages[1].channel", "invalid_channel")


def test_instructions_with_a_header_stay_in_their_place() -> None:
    chat = [message("developer", "Be brief."), message("developer", "Be kind.", channel="commentary")]

    assert _after_system(chat) == [
        Message("developer", "# Instructions\n\nBe brief."),
        Message("developer", "# Instructions\n\nBe kind.", "commentary"),
    ]


def test_a_begun_message_keeps_its_header() -> None:
    chat = [message("user", "Hi"), message("assistant", '{"a":', channel="final", content_type="<|constrain|>json")]
    called = [message("user", "Hi"), message("assistant", "{}", recipient="functions.f")]

    assert build_conversation(chat, SystemMessage()).opening == Opening("final", '{"a":', "<|constrain|>json")
    assert build_conversation(called, SystemMessage()).opening == Opening()


def test_a_tool_whose_schema_is_too_large_is_named() -> None:
    deep: dict[str, Any] = {"type": "string", "description": "\n" * 300_000}
    for _ in range(40):
        deep = {"type": "object", "properties": {"x": deep}}

    with pytest.raises(ConversationError, match="'plant'") as caught:
        build_conversation([message("user", "Hi")], SystemMessage(), [FunctionTool("plant", "", deep)])

    assert caught.value.param == "tools"


@pytest.mark.parametrize(
    ("description", "comment"),
    [
        ("one\ntwo", "// one\n// two\n"),
        ("one\r\ntwo\n", "// one\n// two\n"),
        ("one\x0btwo\u2028three", "// one\x0btwo\u2028three\n"),
    ],
)
def test_a_tools_description_is_cut_into_lines_as_openai_harmony_does(description: str, comment: str) -> None:
    assert f"{{\n\n{comment}type f" in developer_text("", [FunctionTool("f", description)])


def test_the_response_format_is_the_last_section_of_the_developer_message() -> None:
    told = "# Response Formats\n\n## answer\n\n{}"
    conversation = build_conversation(
        [message("system", "Be brief."), message("user", "Hello")],
        SystemMessage(),
        [FunctionTool("f")],
        response_format=told,
    )
    developer = conversation.messages[1].content
    assert developer.startswith("# Instructions\n\nBe brief.\n\n# Tools")
    assert developer.endswith(f"\n\n{told}")
