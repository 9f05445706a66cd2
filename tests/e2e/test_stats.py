"""What the server tells of its turns, on the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from tests.support.asking import WEATHER, ask

if TYPE_CHECKING:
    import openai


def test_the_last_turn_and_the_totals_are_told(client: openai.OpenAI, server: str) -> None:
    before = httpx.get(f"{server}/v1/stats").json()["totals"]
    answer = ask(client, "What is the weather in Tokyo?", tools=[WEATHER])
    after = httpx.get(f"{server}/api/v1/stats").json()
    last, totals = after["last"], after["totals"]

    assert answer.usage is not None
    assert (last["completion_tokens"], after["output_tokens"]) == (answer.usage["completion_tokens"],) * 2
    assert last["prompt_tokens"] == after["prompt_tokens"] == answer.usage["prompt_tokens"]
    assert last["reasoning_tokens"] == answer.usage["completion_tokens_details"]["reasoning_tokens"]
    assert last["tokens_by_channel"]["analysis"] > 0 and last["tokens_by_channel"]["tool_arguments"] > 0
    assert sum(last["tokens_by_channel"].values()) == last["completion_tokens"]
    assert (last["model"], last["tool_calls"], last["finish_reason"]) == (
        "tiny-gpt-oss",
        len(answer.calls),
        "tool_calls",
    )
    assert 0 < last["time_to_first_token"] < last["duration"]
    assert after["tokens_per_second"] > 0
    assert totals["finished"] == before["finished"] + 1
    assert totals["completion_tokens"] == before["completion_tokens"] + last["completion_tokens"]
