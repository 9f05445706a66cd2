"""What the debug log is told of turns."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from lemonade_like.harmony.conversation import HarmonyConversation, Opening
from lemonade_like.harmony.encoding import HarmonyEncoding
from lemonade_like.harmony.messages import Message
from lemonade_like.harmony.renderer import Renderer
from lemonade_like.turns.told import MessageShape, shape
from tests.support.fake_llama_server import one_by_one
from tests.support.rig import fake_rig
from tests.support.written import Writer

ANSWER = (
    "<|channel|>analysis<|message|>Hmm, zebras.<|end|><|start|>assistant<|channel|>final<|message|>Stripes.<|return|>"
)


def test_the_shape_of_a_prompt_has_headers_and_counts_but_no_bodies(
    renderer: Renderer, encoder: HarmonyEncoding
) -> None:
    messages = (
        Message("system", "Be brief."),
        Message("user:Ann", "secret"),
        Message("assistant", "thought", channel="analysis"),
        Message("assistant", "{}", "commentary", "functions.f", "<|constrain|>json", end="<|call|>"),
        Message("functions.f", "result", "commentary", "assistant"),
    )
    prompt = renderer.render_for_completion(HarmonyConversation(messages, Opening("final", "begun")))
    told = shape(prompt.ids, encoder)

    assert [(each.role, each.channel, each.recipient) for each in told] == [
        ("system", None, None),
        ("user", None, None),
        ("assistant", "analysis", None),
        ("assistant", "commentary", "functions.f"),
        ("functions.f", "commentary", "assistant"),
        ("assistant", "final", None),
    ]
    assert sum(each.tokens for each in told) == len(prompt.ids)
    assert str(told[3]) == f"assistant commentary to=functions.f {told[3].tokens}"


def test_a_bare_opening_and_an_empty_prompt_have_a_shape(renderer: Renderer, encoder: HarmonyEncoding) -> None:
    prompt = renderer.render_for_completion(HarmonyConversation(()))
    assert shape(prompt.ids, encoder) == [MessageShape("assistant", None, None, 2)]
    assert shape([], encoder) == []


def test_a_name_of_a_client_cannot_forge_a_line() -> None:
    assert str(MessageShape("assistant", None, "functions.f\n12:00:00 INFO", 3)) == (
        r"'assistant to=functions.f\n12:00:00 INFO' 3"
    )


@pytest.mark.parametrize("prompts", [False, True])
async def test_texts_are_told_only_where_they_are_asked_for(
    tmp_path: Path, vocabulary: Path, writer: Writer, caplog: pytest.LogCaptureFixture, prompts: bool
) -> None:
    caplog.set_level(logging.DEBUG, "lemonade_like")
    async with fake_rig(tmp_path, vocabulary, one_by_one(writer.frames(ANSWER, prompt_tokens=9, cached=5))) as rig:
        rig.turns._options = type(rig.turns._options)(log_prompts=prompts)
        await rig.ask("Tell me of okapis.")

    assert "prompt of 3 messages, " in caplog.text and "; user " in caplog.text
    assert "effort medium, 0 tools, no grammar" in caplog.text
    assert "the turn has a slot, in Harmony" in caplog.text
    assert "5 of them cached" in caplog.text
    for text in ("okapis", "zebras", "Stripes", "<|channel|>final<|message|>"):
        assert (text in caplog.text) == prompts
