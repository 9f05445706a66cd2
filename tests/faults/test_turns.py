"""Turns whose engine is really killed: what the client gets is what it would have got."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from tests.support.answers import Answer, Collector, whole
from tests.support.faults import after, at_token
from tests.support.observed import samples_of, value
from tests.support.tools import WEATHER

if TYPE_CHECKING:
    from tests.support.faults import FaultyServer, Place


#: Has a near relation in the suite.
NIGHTLY: Any = pytest.mark.nightly


def _says(text: str) -> Any:
    return [{"role": "user", "content": text}]


STRICT: Any = {"type": "function", "function": {**WEATHER["function"], "strict": True}}
STRICT["function"]["parameters"] = {**WEATHER["function"]["parameters"], "additionalProperties": False}
COLOUR: Any = {"type": "object", "properties": {"colour": {"enum": ["red", "green"]}}, "required": ["colour"]}

ANSWER: Any = {"messages": _says("What is the capital of France?")}
CALL: Any = {"messages": _says("What is the weather in Tokyo?"), "tools": [WEATHER]}
SONG: Any = {"messages": _says("Sing forever"), "max_tokens": 120}
REQUIRED: Any = {**CALL, "tools": [STRICT], "tool_choice": "required"}
FORMAT: Any = {
    **ANSWER,
    "response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": COLOUR, "strict": False}},
    "max_tokens": 60,
}
BUDGET: Any = {**ANSWER, "extra_body": {"reasoning_budget": 5}}


def _same(survived: Answer, expected: Answer) -> None:
    assert survived == expected
    assert survived.usage is not None and expected.usage is not None
    for counted in ("prompt_tokens", "completion_tokens", "total_tokens", "completion_tokens_details"):
        assert survived.usage[counted] == expected.usage[counted]


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        pytest.param(ANSWER, after("I do not"), id="mid-reasoning"),
        pytest.param(ANSWER, after("<|start|>assistant"), id="mid-header", marks=NIGHTLY),
        pytest.param(ANSWER, after("a very small"), id="mid-answer"),
        pytest.param(CALL, after('{"'), id="mid-arguments"),
        pytest.param(SONG, after("🍋"), id="behind ids that were never sent"),
        pytest.param(ANSWER, after("GGUF`."), id="before the last token", marks=NIGHTLY),
        pytest.param({**SONG, "max_tokens": 40}, at_token(40), id="at the last token that was allowed"),
        pytest.param(REQUIRED, after('{"'), id="mid-arguments under a grammar"),
        pytest.param(FORMAT, after('{"'), id="mid-answer under a schema"),
        pytest.param(BUDGET, after("I am"), id="behind a reasoning that was cut"),
    ],
)
async def test_a_turn_survives_the_death_of_its_engine(server: FaultyServer, asked: Any, place: Place) -> None:
    expected = await server.ask(stream=False, **asked)
    server.reaper.places = [place]
    _same(await server.ask(stream=True, **asked), expected)
    assert server.reaper.places == []


async def test_a_death_its_restart_and_the_turn_that_survives_are_counted_once_each(server: FaultyServer) -> None:
    async def counted() -> tuple[float, ...]:
        async with httpx.AsyncClient(base_url=server.url) as client:
            samples = samples_of((await client.get("/metrics")).text)
        of_model = ("crashes_total", "resumes_total", "load_duration_seconds_count")
        return (
            *(value(samples, name, model="tiny-gpt-oss") for name in of_model),
            value(samples, "turns_total", model="tiny-gpt-oss", outcome="stop"),
        )

    await server.ask(stream=True, **ANSWER)
    before = await counted()
    server.reaper.places = [after("a very small")]
    await server.ask(stream=True, **ANSWER)
    assert [now - then for now, then in zip(await counted(), before, strict=True)] == [1, 1, 1, 1]


@NIGHTLY
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("asked", "places"),
    [
        pytest.param(ANSWER, range(1, 74, 2), id="an answer"),
        pytest.param(CALL, range(1, 40), id="a call"),
        pytest.param(SONG, range(2, 119, 3), id="a song with emojis"),
        pytest.param(REQUIRED, range(1, 40, 3), id="a constrained call"),
    ],
)
async def test_a_turn_survives_a_death_at_any_token(server: FaultyServer, asked: Any, places: range) -> None:
    expected = await server.ask(stream=False, **asked)
    assert expected.usage is not None
    for number in places:
        if number < expected.usage["completion_tokens"]:
            server.reaper.places = [at_token(number)]
            _same(await server.ask(stream=True, **asked), expected)


@pytest.mark.parametrize(
    ("asked", "place"),
    [pytest.param(ANSWER, after("a very small"), id="free"), pytest.param(REQUIRED, after('{"'), id="constrained")],
)
async def test_a_whole_answer_survives_it_too(server: FaultyServer, asked: Any, place: Place) -> None:
    expected = await server.ask(stream=False, **asked)
    server.reaper.places = [place]
    _same(await server.ask(stream=False, **asked), expected)


async def test_a_turn_survives_several_deaths_and_its_log_line_tells(
    server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    expected = await server.ask(stream=True, **ANSWER)
    server.reaper.places = [after("I do not"), after("so I")]
    with caplog.at_level(logging.INFO):
        _same(await server.ask(stream=True, **ANSWER), expected)

    assert any("POST /v1/chat/completions 200" in line and "resumed=2" in line for line in caplog.messages)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/messages", {"messages": ANSWER["messages"], "max_tokens": 100}),
        ("/responses", {"input": ANSWER["messages"], "store": False}),
    ],
)
async def test_the_log_tells_of_a_lost_engine_whatever_the_api(
    server: FaultyServer, caplog: pytest.LogCaptureFixture, path: str, asked: Any, stream: bool
) -> None:
    server.reaper.places = [after("I do not")]
    with caplog.at_level(logging.INFO):
        answered = await server.client.post(
            path, cast_to=httpx.Response, body={"model": "tiny-gpt-oss", "stream": stream, **asked}
        )
        await answered.aread()

    assert server.reaper.places == []
    assert any(f"POST /v1{path} 200" in line and "resumed=1" in line for line in caplog.messages)


async def test_what_the_first_engine_had_cached_is_what_is_counted(server: FaultyServer) -> None:
    await server.ask(stream=True, **SONG)
    warm = await server.ask(stream=True, **SONG)
    server.reaper.places = [at_token(50)]
    survived = await server.ask(stream=True, **SONG)

    assert warm.usage is not None and survived.usage is not None
    assert survived.usage["prompt_tokens_details"] == warm.usage["prompt_tokens_details"]
    assert warm.usage["prompt_tokens_details"]["cached_tokens"] > 0


async def test_timings_span_the_engines(server: FaultyServer) -> None:
    server.reaper.places = [at_token(50)]
    completion = await server.client.chat.completions.create(model="tiny-gpt-oss", temperature=0, **SONG)

    assert completion.model_extra is not None and completion.usage is not None
    timings = completion.model_extra["timings"]
    assert timings["predicted_n"] == SONG["max_tokens"]
    assert timings["cache_n"] + timings["prompt_n"] == completion.usage.prompt_tokens
    assert timings["predicted_ms"] > 0
    assert timings["predicted_per_second"] == pytest.approx(1000 * SONG["max_tokens"] / timings["predicted_ms"])


async def test_a_turn_that_sees_too_many_deaths_ends_with_what_has_come_and_an_error(server: FaultyServer) -> None:
    server.reaper.places = [after("I do not"), after("so I"), after("I am tiny")]
    collector = Collector()
    with pytest.raises(openai.APIError, match=r"died in the middle of the turn \(was killed by SIGKILL\)"):
        async for chunk in await server.client.chat.completions.create(
            model="tiny-gpt-oss", temperature=0, stream=True, **ANSWER
        ):
            collector.add(chunk)

    expected = await server.ask(stream=False, **ANSWER)
    assert expected.reasoning.startswith(collector.answer.reasoning) and "so I" in collector.answer.reasoning


@pytest.mark.parametrize(
    "place",
    [pytest.param(after("a very"), id="mid-answer"), pytest.param(at_token(3), id="before it", marks=NIGHTLY)],
)
async def test_log_probabilities_go_on_where_they_were(server: FaultyServer, place: Place) -> None:
    asked: Any = {**ANSWER, "model": "tiny-gpt-oss", "temperature": 0, "logprobs": True, "top_logprobs": 2}
    expected = await server.client.chat.completions.create(**asked)
    server.reaper.places = [place]
    survived = await server.client.chat.completions.create(**asked)

    one, other = (completion.choices[0].logprobs for completion in (expected, survived))
    assert one is not None and other is not None
    assert one.content is not None and other.content is not None
    assert [token.token for token in other.content] == [token.token for token in one.content]
    assert "".join(token.token for token in other.content) == whole(expected).content
    for ours, theirs in zip(other.content, one.content, strict=True):
        assert ours.logprob == pytest.approx(theirs.logprob, abs=1e-3)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(after("a very"), id="within the stop string"),
        pytest.param(after("so I"), id="before it", marks=NIGHTLY),
    ],
)
async def test_a_stop_string_is_found_across_engines(server: FaultyServer, place: Place) -> None:
    asked = {**ANSWER, "stop": ["a very small model"]}
    expected = await server.ask(stream=True, **asked)
    server.reaper.places = [place]

    assert await server.ask(stream=True, **asked) == expected
    assert expected.content.endswith("tiny-gpt-oss, ")


@pytest.mark.parametrize("stream", [True, pytest.param(False, marks=NIGHTLY)])
async def test_all_choices_survive_the_engine_that_they_share(server: FaultyServer, stream: bool) -> None:
    expected = await server.ask(stream=False, **SONG)
    server.reaper.places = [at_token(60)]
    asked: Any = {"model": "tiny-gpt-oss", "temperature": 0, "n": 2, **SONG}
    if stream:
        contents = ["", ""]
        async for chunk in await server.client.chat.completions.create(**asked, stream=True):
            for choice in chunk.choices:
                contents[choice.index] += choice.delta.content or ""
    else:
        completion = await server.client.chat.completions.create(**asked)
        contents = [choice.message.content or "" for choice in completion.choices]

    assert contents == [expected.content, expected.content]


async def test_with_a_temperature_it_is_an_answer_all_the_same(server: FaultyServer) -> None:
    server.reaper.places = [at_token(30)]
    answer = await server.ask(stream=True, **{**SONG, "temperature": 1.0})

    assert answer.usage is not None
    assert answer.usage["completion_tokens"] == SONG["max_tokens"]
    assert answer.content.startswith("♪ Sunshine, sugar")


async def test_a_constrained_turn_with_a_temperature_is_generated_again_with_the_same_seed(
    server: FaultyServer,
) -> None:
    server.reaper.places = [after('{"')]
    answer = await server.ask(stream=True, **{**REQUIRED, "temperature": 1.0})

    assert [name for name, _ in answer.calls] == ["get_weather"]
    assert answer.finish_reason == "tool_calls"


async def test_a_turn_of_which_nothing_has_come_is_simply_asked_again(server: FaultyServer) -> None:
    asked: Any = {"messages": _says("word " * 6_000), "max_tokens": 10}
    expected = await server.ask(stream=True, **asked)
    server.reaper.kill()
    server.reaper.during_prefill = True
    _same(await server.ask(stream=True, **asked), expected)
    assert not server.reaper.during_prefill


JINJA: Any = {"model": "SmolLM2-135M-Instruct.Q4_1", "messages": _says("Count to twenty."), "max_tokens": 30}


async def test_another_model_is_asked_again_if_nothing_was_sent(server: FaultyServer) -> None:
    expected = await server.ask(stream=True, **JINJA)
    server.reaper.kill()
    server.reaper.during_prefill = True
    _same(await server.ask(stream=True, **JINJA), expected)


async def test_a_whole_answer_of_another_model_is_begun_again_whenever_its_engine_dies(server: FaultyServer) -> None:
    expected = await server.ask(stream=False, **JINJA)
    server.reaper.places = [lambda written, _: len(written) > 20]
    _same(await server.ask(stream=False, **JINJA), expected)
    assert server.reaper.places == []


async def test_another_model_that_has_begun_to_answer_ends_with_an_error(server: FaultyServer) -> None:
    expected = await server.ask(stream=True, **JINJA)
    server.reaper.places = [lambda written, _: len(written) > 20]
    collector = Collector()
    with pytest.raises(openai.APIError, match=r"died in the middle of the turn \(was killed by SIGKILL\)"):
        async for chunk in await server.client.chat.completions.create(temperature=0, stream=True, **JINJA):
            collector.add(chunk)

    assert expected.content.startswith(collector.answer.content)
    assert len(collector.answer.content) > 20
    assert await server.ask(stream=True, **JINJA) == expected
