"""What is said through one API or another is the same to the model: token by token, remembered turns included."""

from __future__ import annotations

from array import array
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.harmony.messages import FunctionTool, ToolCall
from lemonade_like.turns.memory import ReasoningMemory, Remembered
from lemonade_like.turns.preview import harmony_preview
from tests.support.chats import chats, message, tool_lists
from tests.support.dialects import DIALECTS, Conversation
from tests.support.messages import WEATHER

if TYPE_CHECKING:
    from lemonade_like.harmony.messages import ChatMessage
    from lemonade_like.harmony.renderer import Renderer
    from lemonade_like.turns.preview import RenderedPrompt
    from tests.support.written import Writer

TODAY = date(2026, 7, 1)
TOOL = FunctionTool("get_weather", WEATHER["description"], WEATHER["input_schema"])
CALL = ToolCall("call_q7", "get_weather", '{"location":"Oslo"}')


async def prompts(
    said: Conversation, renderer: Renderer, memory: ReasoningMemory | None = None
) -> dict[str, RenderedPrompt]:
    """The prompt of each dialect."""
    return {
        name: await harmony_preview(
            request(said),
            renderer,
            memory=memory or ReasoningMemory(0),
            model_name="m",
            default_effort="medium",
            today=TODAY,
        )
        for name, request in DIALECTS.items()
    }


async def shared_prompt(
    said: Conversation, renderer: Renderer, memory: ReasoningMemory | None = None
) -> RenderedPrompt:
    """The prompt that all dialects have in common."""
    first, *others = (await prompts(said, renderer, memory)).values()
    for other in others:
        assert (other.text, other.ids) == (first.text, first.ids)
    return first


@given(
    chat=chats(),
    tools=tool_lists.map(lambda tools: tuple(tool for tool in tools if tool.parameters is not None)),
    effort=st.sampled_from([None, "low", "high", "max"]),
    calls_forbidden=st.booleans(),
)
async def test_a_conversation_is_the_same_prompt_through_every_api(
    renderer: Renderer,
    chat: tuple[ChatMessage, ...],
    tools: tuple[FunctionTool, ...],
    effort: str | None,
    calls_forbidden: bool,
) -> None:
    await shared_prompt(Conversation(chat, tools, effort, calls_forbidden), renderer)


LOOP = (
    message("system", "Be brief."),
    message("user", "And Oslo?"),
    message("assistant", "Let me look.", reasoning="I need the weather.", tool_calls=(CALL,)),
    message("tool", "sunny", tool_call_id=CALL.id),
)


@pytest.mark.parametrize(
    "said",
    [
        Conversation((message("user", "Hi"),)),
        Conversation(LOOP, (TOOL,)),
        Conversation((*LOOP, message("user", "In Celsius, please.")), (TOOL,)),
        Conversation((*LOOP, message("assistant", "It is")), (TOOL,)),
        Conversation((message("user", "Hi"), message("assistant", "", reasoning="A greeting."))),
        Conversation((message("user", "Hi"),), effort="none"),
        Conversation((message("user", "Hi"),), (TOOL,), effort="none"),
        Conversation((message("user", "Hi"),), answer_schema={"type": "object", "properties": {"a": {}}}),
    ],
    ids=[
        "a question",
        "a tool loop",
        "results and a question",
        "a prefill",
        "begun reasoning",
        "no reasoning",
        "no reasoning, tools",
        "a form",
    ],
)
async def test_special_conversations_are_the_same_prompt_too(said: Conversation, renderer: Renderer) -> None:
    assert (await shared_prompt(said, renderer)).ids


async def test_a_remembered_turn_is_replayed_through_every_api(renderer: Renderer, writer: Writer) -> None:
    generated = writer.ids(
        "<|channel|>analysis<|message|>Oslo it is, thought at length.<|end|>"
        "<|start|>assistant<|channel|>commentary<|message|>Let me look.<|end|>"
        "<|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
        '{"location": "Oslo"}<|call|>'
    )
    memory = ReasoningMemory(10_000)
    written = ToolCall(CALL.id, CALL.name, '{"location": "Oslo"}')
    memory.remember("", "m", Remembered(array("I", generated), "Let me look.", (written,), "2026-06-30"))

    prompt = await shared_prompt(Conversation(LOOP, (TOOL,)), renderer, memory)

    assert "thought at length" in prompt.text
    assert "Current date: 2026-06-30" in prompt.text
