"""The OpenAI SDK, pointed at a real server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import openai
import psutil
import pytest

from tests.support.answers import Collector, streamed, whole
from tests.support.tools import WEATHER

if TYPE_CHECKING:
    from pathlib import Path

    from openai.types.chat import ChatCompletionMessageParam

TINY = "tiny-gpt-oss"


def _ask(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def test_a_question_is_answered_with_reasoning(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model=TINY, messages=_ask("What is 2+2?"), temperature=0)
    answer = whole(completion)

    assert answer.reasoning
    assert "4" in answer.content
    assert answer.finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion.usage.completion_tokens_details is not None
    assert 0 < (completion.usage.completion_tokens_details.reasoning_tokens or 0) < completion.usage.completion_tokens


def test_more_effort_is_more_reasoning(client: openai.OpenAI) -> None:
    lengths = []
    for effort in ("low", "medium", "high"):
        completion = client.chat.completions.create(
            model=TINY, messages=_ask("What is 2+2?"), temperature=0, reasoning_effort=effort
        )
        lengths.append(len(whole(completion).reasoning))

    assert lengths == sorted(set(lengths))


def test_no_effort_is_no_reasoning(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model=TINY, messages=_ask("What is 2+2?"), temperature=0, reasoning_effort="none"
    )
    answer = whole(completion)

    assert answer.reasoning == ""
    assert "4" in answer.content


async def test_the_asynchronous_client_streams(async_client: openai.AsyncOpenAI) -> None:
    stream = await async_client.chat.completions.create(
        model=TINY, messages=_ask("Hello"), temperature=0, stream=True, stream_options={"include_usage": True}
    )
    collector = Collector()
    async for chunk in stream:
        collector.add(chunk)
    expected = await async_client.chat.completions.create(model=TINY, messages=_ask("Hello"), temperature=0)

    assert collector.answer == whole(expected)
    assert collector.answer.usage is not None


def test_the_sdks_own_stream_follows_several_choices(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": TINY, "messages": _ask("What is 2+2?"), "temperature": 0, "n": 3}
    for _ in range(3):
        with client.chat.completions.stream(**asked) as stream:
            stream.until_done()
            completion = stream.get_final_completion()
        assert len({choice.message.content for choice in completion.choices}) == 1
        assert [choice.index for choice in completion.choices] == [0, 1, 2]


def test_a_tool_loop_ends_in_an_answer(client: openai.OpenAI) -> None:
    messages = _ask("What is the weather in Tokyo?")
    first = client.chat.completions.create(model=TINY, messages=messages, tools=[WEATHER], temperature=0)
    call = first.choices[0].message.tool_calls[0]  # type: ignore[index]
    assert first.choices[0].finish_reason == "tool_calls"
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"location": "Tokyo"}

    messages.append(first.choices[0].message.model_dump(exclude_none=True))  # type: ignore[arg-type]
    result = json.dumps({"temperature": 22, "condition": "sunny"})
    messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    second = client.chat.completions.create(model=TINY, messages=messages, tools=[WEATHER], temperature=0)

    assert second.choices[0].finish_reason == "stop"
    assert "Tokyo" in (second.choices[0].message.content or "")


def test_a_tool_that_is_required_is_called_whatever_was_asked(client: openai.OpenAI) -> None:
    for request in ("Hello", "What is 2+2?"):
        completion = client.chat.completions.create(
            model=TINY, messages=_ask(request), tools=[WEATHER], tool_choice="required", temperature=0, max_tokens=400
        )
        answer = whole(completion)

        assert answer.finish_reason == "tool_calls"
        assert [name for name, _ in answer.calls] == ["get_weather"]
        assert isinstance(json.loads(answer.calls[0][1]), dict)


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"n": 2, "logprobs": True, "top_logprobs": 2, "max_tokens": 40}, "logprobs"),
        ({"functions": [WEATHER["function"]], "function_call": {"name": "get_weather"}}, "function_call"),
        ({"tools": [WEATHER], "tool_choice": "required", "max_tokens": 200}, "tool_calls"),
        ({"service_tier": "auto", "extra_body": {"include": ["harmony"]}, "max_tokens": 40}, "harmony"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_kind_of_answer_is_of_the_sdks_types(client: openai.OpenAI, more: dict[str, Any], kind: str) -> None:
    asked: dict[str, Any] = {"model": TINY, "messages": _ask("What is 2+2?"), "temperature": 0, **more}
    # Both are checked strictly on their way to the SDK.
    at_once = client.chat.completions.create(**asked)
    in_pieces = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))

    assert f'"{kind}":' in at_once.model_dump_json(exclude_none=True)
    assert any(f'"{kind}":' in chunk.model_dump_json(exclude_none=True) for chunk in in_pieces)
    assert at_once.service_tier == in_pieces[0].service_tier == ("default" if "service_tier" in more else None)


def test_a_tool_that_is_forbidden_is_not_called(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model=TINY,
        messages=_ask("What is the weather in Tokyo?"),
        tools=[WEATHER],
        tool_choice="none",
        temperature=0,
        max_tokens=200,
    )

    assert whole(completion).calls == []


def test_stop_strings_cut_the_answer_and_not_the_reasoning(client: openai.OpenAI) -> None:
    free = whole(client.chat.completions.create(model=TINY, messages=_ask("What is 2+2?"), temperature=0))
    cut = whole(client.chat.completions.create(model=TINY, messages=_ask("What is 2+2?"), temperature=0, stop="4"))

    assert cut.reasoning == free.reasoning
    assert cut.content == free.content.partition("4")[0]
    assert cut.finish_reason == "stop"


def test_max_completion_tokens_cuts_with_length(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model=TINY, messages=_ask("What is 2+2?"), temperature=0, max_completion_tokens=5
    )

    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None and completion.usage.completion_tokens == 5


def test_a_seed_repeats_a_drawn_answer(client: openai.OpenAI) -> None:
    def draw(seed: int) -> str:
        completion = client.chat.completions.create(
            model=TINY, messages=_ask("Tell me something"), temperature=2, seed=seed, max_tokens=60
        )
        return whole(completion).content + whole(completion).reasoning

    # The first time the prompt is read in one go, later it comes from the cache: the last digits then differ.
    draw(6)

    assert draw(7) == draw(7) != draw(8)


def test_the_prompt_that_was_read_before_is_counted_as_cached(client: openai.OpenAI) -> None:
    messages = _ask("Hello, hello, hello! " * 20)
    for _ in range(2):
        completion = client.chat.completions.create(model=TINY, messages=messages, temperature=0, max_tokens=4)
        assert completion.usage is not None and completion.usage.prompt_tokens_details is not None

    assert (completion.usage.prompt_tokens_details.cached_tokens or 0) > completion.usage.prompt_tokens / 2


def test_the_models_are_listed(client: openai.OpenAI, smollm: Path) -> None:
    names = [model.id for model in client.models.list()]

    assert names[0] == TINY
    assert smollm.stem in names
    assert client.models.retrieve(TINY).id == TINY


async def test_five_clients_at_once_get_what_each_asked_for(async_client: openai.AsyncOpenAI) -> None:
    async def add(number: int) -> str:
        messages = _ask(f"What is {number}+1?")
        completion = await async_client.chat.completions.create(model=TINY, messages=messages, temperature=0)
        return whole(completion).content

    answers = await asyncio.gather(*(add(number) for number in range(1, 6)))

    assert all(str(number + 1) in answer for number, answer in enumerate(answers, start=1))


async def test_a_client_that_leaves_frees_its_slot(async_client: openai.AsyncOpenAI, server: str) -> None:
    for stream in (True, False):
        asking = asyncio.create_task(
            async_client.chat.completions.create(
                model=TINY,
                messages=_ask("Sing forever"),
                temperature=0,
                max_tokens=20_000,
                stream=stream,  # type: ignore[arg-type]
            )
        )
        if stream:
            async for _ in await asking:
                break
            await asking.result().response.aclose()
        else:
            await _until_busy(server, 1)
            asking.cancel()
        await _until_busy(server, 0)


async def _until_busy(server: str, slots: int) -> None:
    """Wait until the engine of the tiny model works on that many turns."""
    async with httpx.AsyncClient() as http:
        while await _busy(http, server) != slots:
            await asyncio.sleep(0.02)


async def _busy(http: httpx.AsyncClient, server: str) -> int:
    health: dict[str, Any] = (await http.get(f"{server}/health")).json()
    engine = next((one for one in health["models"] if one["name"] == TINY and one["state"] == "ready"), None)
    if engine is None:
        return 0
    command = engine["command"]
    key = psutil.Process(engine["pid"]).environ()["LLAMA_API_KEY"]
    url = f"http://127.0.0.1:{command[command.index('--port') + 1]}/slots"
    answer = await http.get(url, headers={"Authorization": f"Bearer {key}"})
    return sum(slot["is_processing"] for slot in answer.json())


class TestOtherModels:
    """Models that are no GPT-OSS go through llama.cpp's own template, with the same answers' shape."""

    def test_streamed_and_whole_are_the_same(self, client: openai.OpenAI, smollm: Path) -> None:
        request: dict[str, Any] = {
            "model": smollm.stem,
            "messages": _ask("What is the capital of France?"),
            "temperature": 0,
            "max_tokens": 24,
        }
        at_once = whole(client.chat.completions.create(**request))
        in_pieces = streamed(client.chat.completions.create(**request, stream=True))

        assert at_once.content
        assert in_pieces == at_once

    def test_stop_and_max_tokens_hold(self, client: openai.OpenAI, smollm: Path) -> None:
        request: dict[str, Any] = {
            "model": smollm.stem,
            "messages": _ask("What is the capital of France?"),
            "temperature": 0,
        }
        free = whole(client.chat.completions.create(**request, max_tokens=24))
        stop = free.content[10:14]
        cut = whole(client.chat.completions.create(**request, max_tokens=24, stop=[stop]))
        short = client.chat.completions.create(**request, max_tokens=2)

        assert cut.content == free.content.partition(stop)[0]
        assert cut.finish_reason == "stop"
        assert short.choices[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("request_", "status", "code", "param"),
    [
        ({"model": "gpt-oss-200b"}, 404, "model_not_found", "model"),
        ({"messages": []}, 400, None, "messages"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, 400, None, "messages[0].role"),
        ({"temperature": "hot"}, 400, None, "temperature"),
        ({"tool_choice": "required"}, 400, None, "tool_choice"),
        ({"reasoning_effort": "frantic"}, 400, None, "reasoning_effort"),
        ({"messages": [{"role": "user", "content": "word " * 40_000}]}, 400, "context_length_exceeded", "messages"),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.parametrize("stream", [False, True])
def test_bad_input_is_refused_by_name_and_the_server_lives_on(
    client: openai.OpenAI, request_: dict[str, Any], status: int, code: str | None, param: str, stream: bool
) -> None:
    request: dict[str, Any] = {"model": TINY, "messages": _ask("Hello"), "temperature": 0, **request_}
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**request, stream=stream)

    error = caught.value
    assert (error.status_code, error.param) == (status, param)
    assert code is None or error.code == code
    assert error.message
    assert whole(client.chat.completions.create(model=TINY, messages=_ask("Hello"), temperature=0)).content


@pytest.mark.parametrize("send_reasoning", [True, False])
def test_the_engine_reads_nothing_again_within_a_tool_loop(client: openai.OpenAI, send_reasoning: bool) -> None:
    messages = _ask("What is the weather in Paris?")
    first = client.chat.completions.create(model=TINY, messages=messages, tools=[WEATHER], temperature=0)
    sent = first.choices[0].message.model_dump(exclude_none=True)
    for name in () if send_reasoning else ("reasoning", "reasoning_content"):
        sent.pop(name)
    result = {"role": "tool", "tool_call_id": sent["tool_calls"][0]["id"], "content": '{"condition": "sunny"}'}

    second = client.chat.completions.create(
        model=TINY,
        messages=[*messages, sent, result],  # type: ignore[list-item]
        tools=[WEATHER],
        temperature=0,
    )

    assert first.usage is not None and second.usage is not None and second.usage.prompt_tokens_details is not None
    kept = first.usage.prompt_tokens + first.usage.completion_tokens - 1
    assert (second.usage.prompt_tokens_details.cached_tokens or 0) >= kept
