"""Raw completions whose engine is really killed: what the client gets is what it would have got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.faults import after, at_token

if TYPE_CHECKING:
    from tests.support.faults import FaultyServer, Place

TINY: dict[str, Any] = {
    "model": "tiny-gpt-oss",
    "prompt": "<|start|>user<|message|>Sing forever<|end|><|start|>assistant",
    "extra_body": {"parse_special": True},
    "max_tokens": 80,
}
OTHER: dict[str, Any] = {
    "model": "SmolLM2-135M-Instruct.Q4_1",
    "prompt": "<|im_start|>user\nSay hi<|im_end|>\n<|im_start|>assistant\n",
    "max_tokens": 60,
}
EMOJI: dict[str, Any] = {**OTHER, "prompt": "🙂漢字🙂漢字🙂漢字🙂漢字", "max_tokens": 12}
FORM: dict[str, Any] = {**OTHER, "extra_body": {"grammar": 'root ::= ("one " | "two "){8} "three"'}}


async def _ask(server: FaultyServer, *, stream: bool, **asked: Any) -> tuple[str, str | None, int]:
    """The text, how it ended, and how many tokens it has."""
    if not stream:
        whole = await server.client.completions.create(temperature=0, **asked)
        assert whole.usage is not None
        return whole.choices[0].text, whole.choices[0].finish_reason, whole.usage.completion_tokens
    text, reason, count = "", None, 0
    async for chunk in await server.client.completions.create(
        temperature=0, stream=True, stream_options={"include_usage": True}, **asked
    ):
        if chunk.usage:
            count = chunk.usage.completion_tokens
        for choice in chunk.choices:
            text += choice.text
            reason = choice.finish_reason or reason
    return text, reason, count


@pytest.mark.parametrize(
    ("asked", "place", "stream"),
    [
        pytest.param(TINY, after("<|message|>"), True, id="behind a control token"),
        pytest.param(TINY, at_token(60), False, id="whole", marks=pytest.mark.nightly),
        pytest.param(OTHER, at_token(10), True, id="another model goes on"),
        pytest.param(EMOJI, after("字🙂"), True, id="another model behind ids that were never sent"),
        pytest.param(FORM, at_token(7), True, id="another model under a grammar", marks=pytest.mark.nightly),
    ],
)
async def test_a_completion_survives_the_death_of_its_engine(
    server: FaultyServer, asked: dict[str, Any], place: Place, stream: bool
) -> None:
    expected = await _ask(server, stream=False, **asked)
    server.reaper.places = [place]

    assert await _ask(server, stream=stream, **asked) == expected
    assert server.reaper.places == []
