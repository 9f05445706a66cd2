"""What the real engine reads again when a chat goes on."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.harmony.messages import ChatMessage, FunctionTool, TextPart, ToolCall
from tests.support.chats import message
from tests.support.rig import finish, rig

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = message("user", "What is the weather in all of these cities? " + "Look at each of them by itself. " * 100)


def _called(place: int) -> list[ChatMessage]:
    call = ToolCall(f"call_{place}", "get_weather", f'{{"location":"City {place}"}}')
    result = (TextPart('{"sky":"clear","wind":"north"}'),)
    thought = f"Now comes city number {place}, for which the tool is needed again."
    return [
        ChatMessage("assistant", reasoning=thought, tool_calls=(call,)),
        ChatMessage("tool", result, tool_call_id=call.id),
    ]


@pytest.mark.parametrize(("calls", "args"), [(10, ""), (20, "--ctx-checkpoints 64")])
async def test_a_new_user_message_after_a_tool_loop_reads_only_what_changed(
    tiny_model: Path, vocabulary: Path, tmp_path: Path, calls: int, args: str
) -> None:
    model = tmp_path / "other.gguf"
    model.symlink_to(tiny_model)
    async with rig(model, vocabulary, tmp_path, parallel=1, llamacpp_args=f"--threads 1 {args}") as one:
        chat = [QUESTION]
        more: dict[str, Any] = {"tools": (FunctionTool("get_weather"),), "max_tokens": 1}
        for place in range(calls):
            await one.ask(messages=tuple(chat), **more)
            chat += _called(place)
        before = await one.turns.render(one.request(messages=tuple(chat), **more))
        await one.ask(messages=tuple(chat), **more)

        chat += [message("assistant", "All are clear."), message("user", "And tomorrow?")]
        after = await one.turns.render(one.request(messages=tuple(chat), **more))
        usage = finish(await one.ask(messages=tuple(chat), **more)).usage

    kept = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(before.ids, after.ids, strict=False))))
    assert 600 < kept < len(after.ids) - 200
    # The checkpoint stands a few tokens before the end of a prompt.
    assert kept - 8 <= usage.cached_tokens <= kept
