"""Reasoning that was shown inline comes back as reasoning, and what was hidden stays hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.harmony.messages import ChatMessage, FunctionTool, TextPart, ToolCall
from lemonade_like.turns.events import ToolCallStart
from lemonade_like.turns.visibility import untagged
from tests.support.chats import message
from tests.support.fake_llama_server import one_by_one, requests_of
from tests.support.rig import content, fake_rig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_llama_server import Step
    from tests.support.written import Writer

CALL = ToolCall("call_1", "f", "{}")
RESULT = ChatMessage("tool", (TextPart("sunny"),), tool_call_id="call_1")
QUESTION = message("user", "Weather?")
TOOLS = (FunctionTool("f"),)
CALLED = (
    "<|channel|>analysis<|message|>I must look.<|end|><|start|>assistant<|channel|>commentary<|message|>Wait.<|end|>"
    "<|start|>assistant to=functions.f<|channel|>commentary <|constrain|>json<|message|>{}<|call|>"
)


def _chat(answer: ChatMessage) -> tuple[ChatMessage, ...]:
    return (QUESTION, answer, RESULT)


async def test_a_client_that_sends_tags_back_gets_the_prompt_of_one_that_sends_the_field(
    tmp_path: Path, vocabulary: Path
) -> None:
    tagged = message("assistant", "<think>I must look.</think>Wait.", tool_calls=(CALL,))
    apart = message("assistant", "Wait.", reasoning="I must look.", tool_calls=(CALL,))
    async with fake_rig(tmp_path, vocabulary) as rig:

        async def ids(*messages: ChatMessage, shown: Any = "inline") -> list[int]:
            request = rig.request(messages=messages, tools=TOOLS, reasoning_format=shown)
            return (await rig.turns.render(request)).ids

        assert await ids(*_chat(tagged)) == await ids(*_chat(apart)) == await ids(*_chat(apart), shown="separate")
        assert await ids(*_chat(tagged), shown="separate") != await ids(*_chat(apart))

        # After the answer it is dropped, as all reasoning is.
        answered = (message("assistant", "<think>Sun.</think>Sunny."), message("user", "Thanks"))
        plain = (message("assistant", "Sunny."), message("user", "Thanks"))
        without = message("assistant", "Wait.", tool_calls=(CALL,))
        assert await ids(*_chat(tagged), *answered) == await ids(*_chat(without), *plain)


async def test_what_is_shown_inline_and_sent_back_as_it_was_is_replayed(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    replies = [one_by_one(writer.frames(CALLED)), one_by_one(writer.frames("<|channel|>final<|message|>Ok<|return|>"))]
    async with fake_rig(tmp_path, vocabulary, *replies) as rig:
        first = await rig.ask(tools=TOOLS, reasoning_format="inline")
        start = next(event for event in first if isinstance(event, ToolCallStart))
        call = ToolCall(start.id, "f", "{}")
        grown = (
            *rig.request().messages,
            message("assistant", content(first), tool_calls=(call,)),
            ChatMessage("tool", (TextPart("sunny"),), tool_call_id=call.id),
        )
        await rig.ask(messages=grown, tools=TOOLS, reasoning_format="inline")
    asked, again = (one["body"]["prompt"] for one in requests_of(tmp_path / "gpt-oss-fake.gguf"))

    assert content(first) == "<think>I must look.</think>Wait."
    assert again[: len(asked) + len(writer.ids(CALLED))] == [*asked, *writer.ids(CALLED)]


@pytest.mark.parametrize("shown", ["inline", "separate"])
async def test_other_models_get_it_as_reasoning_too(tmp_path: Path, vocabulary: Path, shown: Any) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hi."}, "finish_reason": "stop"}]}
    steps: list[Step] = [*one_by_one([chunk]), {"raw": "data: [DONE]\n\n"}]
    async with fake_rig(tmp_path, vocabulary, steps, name="some-model") as rig:
        chat = (QUESTION, message("assistant", "<think>Hm.</think>Sunny."), message("user", "Sure?"))
        await rig.ask(messages=chat, reasoning_format=shown)
    sent = requests_of(tmp_path / "some-model.gguf")[0]["body"]["messages"][1]

    apart = {"role": "assistant", "content": "Sunny.", "reasoning_content": "Hm."}
    together = {"role": "assistant", "content": "<think>Hm.</think>Sunny."}
    assert sent == (apart if shown == "inline" else together)


def test_only_a_whole_block_at_the_beginning_of_an_answer_is_taken() -> None:
    for left in (
        message("user", "<think>a</think>b"),
        message("assistant", "b <think>a</think>"),
        message("assistant", "<think>a"),
        message("assistant", "a</think>b"),
        message("assistant", ""),
        message("assistant", "<think>a</think>b", channel="final"),
    ):
        assert untagged((left,)) == (left,)
    for text, reasoning, rest in (
        ("<think>a</think>b</think>", "a", "b</think>"),
        ("\n<think>\na\n</think>\n\nb", "\na\n", "\n\nb"),
        ("<think>a</think>", "a", ""),
        ("<think></think>b", None, "b"),
    ):
        assert untagged((message("assistant", text),)) == (message("assistant", rest, reasoning=reasoning),)
    twice = message("assistant", "<think>a</think>b", reasoning="whole")
    assert untagged((twice,)) == (message("assistant", "b", reasoning="whole"),)


async def test_what_was_hidden_is_not_shown_by_the_next_prompt(
    tmp_path: Path, vocabulary: Path, writer: Writer
) -> None:
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(CALLED))) as rig:
        first = await rig.ask(tools=TOOLS, reasoning_format="hidden")
        start = next(event for event in first if isinstance(event, ToolCallStart))
        call = ToolCall(start.id, "f", "{}")
        grown = (
            *rig.request().messages,
            message("assistant", "Wait.", tool_calls=(call,)),
            ChatMessage("tool", (TextPart("sunny"),), tool_call_id=call.id),
        )
        shown = await rig.turns.render(rig.request(messages=grown, tools=TOOLS, reasoning_format="hidden"))

    assert "Wait." in shown.text
    assert "I must look." not in shown.text
