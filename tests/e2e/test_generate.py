"""``generate`` and ``stream`` against a real server."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_like import GenerationError, PromptBuilder, agenerate, astream, generate, stream
from tests.support.tools import WEATHER

ASK: dict[str, Any] = {"prompt": "What is 2+2?", "temperature": 0}


def test_a_stream_comes_to_the_same_result_as_a_whole_answer(server: str) -> None:
    whole = generate(**ASK, base_url=f"{server}/v1")
    with stream(**ASK, base_url=f"{server}/v1") as answer:
        deltas = list(answer)

    assert "4" in whole.text
    assert whole.reasoning
    assert "".join(delta.text for delta in deltas) == answer.result.text == whole.text
    assert "".join(delta.reasoning for delta in deltas) == answer.result.reasoning == whole.reasoning
    assert answer.result.usage["completion_tokens"] == whole.usage["completion_tokens"]


def test_the_level_of_reasoning_is_the_servers_effort(server: str) -> None:
    low, high = (generate(**ASK, reasoning_level=level, base_url=f"{server}/v1") for level in ("low", "high"))

    assert len(low.reasoning or "") < len(high.reasoning or "")


def test_reasoning_is_there_only_when_it_is_captured(server: str) -> None:
    assert generate(**ASK, capture_reasoning=False, base_url=f"{server}/v1").reasoning is None


def test_a_call_is_given_with_its_arguments(server: str) -> None:
    result = generate("What is the weather in Tokyo?", tools=[WEATHER], temperature=0, base_url=f"{server}/v1")

    assert [(call.name, call.arguments) for call in result.tool_calls] == [("get_weather", '{"location":"Tokyo"}')]
    assert result.finish_reason == "tool_calls"


def test_a_built_prompt_has_as_many_tokens_as_the_server_counts(server: str, cache_dir: Any) -> None:
    messages = [{"role": "user", "content": "What is 2+2?"}]
    prompt = PromptBuilder(cache_dir=cache_dir).build(messages)

    assert generate(messages, temperature=0, base_url=f"{server}/v1").usage["prompt_tokens"] == len(prompt.ids)


def test_an_unknown_model_is_the_servers_error(server: str) -> None:
    with pytest.raises(GenerationError) as refused:
        generate("Hi", model="no-such-model", base_url=f"{server}/v1")

    assert (refused.value.status, refused.value.code) == (404, "model_not_found")


async def test_an_event_loop_gets_the_same_answer(server: str) -> None:
    whole = generate(**ASK, base_url=f"{server}/v1")
    awaited = await agenerate(**ASK, base_url=f"{server}/v1")
    async with astream(**ASK, base_url=f"{server}/v1") as answer:
        text = "".join([delta.text async for delta in answer])

    assert (awaited.text, awaited.reasoning) == (whole.text, whole.reasoning)
    assert text == (await answer.result()).text == whole.text
