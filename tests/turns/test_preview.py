"""A prompt is shown as it would be sent, and nothing is started for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lemonade_like.errors import BadRequest, ContextLengthExceeded, ModelNotFound
from lemonade_like.harmony import tokens
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, TextPart
from lemonade_like.turns.request import TurnRequest
from lemonade_like.turns.size import LONGEST_CONTEXT, is_long
from tests.support.chats import message
from tests.support.fake_llama_server import one_by_one, requests_of
from tests.support.rig import fake_rig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.written import Writer

_ANSWER = "<|channel|>final<|message|>Hi.<|return|>"


async def test_what_is_shown_is_what_is_sent(tmp_path: Path, vocabulary: Path, writer: Writer) -> None:
    tool = FunctionTool("now", "The time.")
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(_ANSWER))) as rig:
        shown = await rig.turns.render(rig.request("Hello", tools=(tool,)))
        await rig.ask("Hello", tools=(tool,))
    sent = requests_of(tmp_path / "gpt-oss-fake.gguf")[0]["body"]["prompt"]

    assert shown.ids == sent
    assert (shown.harmony, shown.stop_ids) == (True, tokens.STOP_IDS)
    assert shown.text.startswith("<|start|>system<|message|>You are ChatGPT")
    assert shown.text.endswith("<|start|>user<|message|>Hello<|end|><|start|>assistant")


async def test_no_engine_is_started_to_show_a_prompt(tmp_path: Path, vocabulary: Path) -> None:
    async with fake_rig(tmp_path, vocabulary, load=[{"exit": 1}]) as rig:
        assert (await rig.turns.render(rig.request())).ids
        assert (rig.pool.loaded(), rig.pool.loading()) == ([], [])


async def test_what_cannot_be_sent_cannot_be_shown(tmp_path: Path, vocabulary: Path) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        with pytest.raises(BadRequest) as refused:
            await rig.turns.render(rig.request(reasoning_effort="frantic"))
        rig.model = "gpt-oss-fick"
        with pytest.raises(ModelNotFound):
            await rig.turns.render(rig.request())

    assert refused.value.param == "reasoning_effort"


async def test_the_system_message_says_what_the_request_asks_for(tmp_path: Path, vocabulary: Path) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        usual = (await rig.turns.render(rig.request())).text
        asked = await rig.turns.render(
            rig.request(model_identity="You are Bo.", knowledge_cutoff="2025-01", current_date="2027-05-06")
        )

    assert "trained by OpenAI.\nKnowledge cutoff: 2024-06\nCurrent date: 2026-07-01\n" in usual
    assert "<|message|>You are Bo.\nKnowledge cutoff: 2025-01\nCurrent date: 2027-05-06\n" in asked.text


@pytest.mark.parametrize("loaded", [True, False])
async def test_what_is_too_long_for_a_turn_is_too_long_to_be_shown(
    tmp_path: Path, vocabulary: Path, writer: Writer, loaded: bool
) -> None:
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(_ANSWER))) as rig:
        if loaded:
            await rig.ask("Hello")
        context = rig.pool.loaded()[0].ctx_size if loaded else LONGEST_CONTEXT
        fits = await rig.turns.render(rig.request("a " * (context - 200)))
        for text, says in (("a " * context, "The prompt has"), ("a" * 128 * context, "The prompt has at least")):
            with pytest.raises(ContextLengthExceeded, match=says):
                await rig.turns.render(rig.request(text))

    assert context - 200 < len(fits.ids) < context


async def test_what_tools_say_counts_too(tmp_path: Path, vocabulary: Path) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        tool = FunctionTool("f", "x" * 20_000_000)
        with pytest.raises(ContextLengthExceeded, match="at least"):
            await rig.turns.render(rig.request(tools=(tool,)))
        assert (await rig.turns.render(rig.request(tools=(tool,), tool_choice="none"))).ids


async def test_a_chat_that_cannot_fit_is_refused_unread(tmp_path: Path, vocabulary: Path) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        with pytest.raises(ContextLengthExceeded, match="at least 7816 tokens"):
            await rig.ask("a" * 1_000_000)


async def test_more_messages_than_the_context_has_room_for_are_refused_unread(tmp_path: Path, vocabulary: Path) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        with pytest.raises(ContextLengthExceeded, match="at least 8031 tokens"):
            await rig.ask(messages=(message("user", "Hi"),) * 2_000)


def test_what_takes_long_to_render_is_known_beforehand() -> None:
    def long(*messages: ChatMessage, parameters: object = None) -> bool:
        tools = (FunctionTool("f", "", parameters),) if isinstance(parameters, dict) else ()
        return is_long(TurnRequest("m", messages, tools))

    assert not long(message("user", "Hi"), parameters={"type": "object", "properties": {"x": {"type": "string"}}})
    assert long(message("user", "x" * 30_000))
    assert long(message("assistant", "", reasoning="x" * 30_000))
    assert long(*[ChatMessage("user", (TextPart("x"),))] * 1_000)
    assert long(message("user", "Hi"), parameters={"properties": {f"p{n}": {} for n in range(2_000)}})
    assert long(message("user", "Hi"), parameters={"description": "x" * 100_000})
