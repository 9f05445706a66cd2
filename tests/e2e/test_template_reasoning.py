"""Reasoning through a model's own chat template: the same controls, by the engine's own means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.e2e.conftest import ONE_THREAD
from tests.support.answers import Answer, streamed
from tests.support.asking import WEATHER, ask, request_for
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUESTION = "What is 2+2?"


@pytest.fixture(scope="module")
def templated(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """A client of a server that speaks to GPT-OSS through its template: a model that reasons and is not spoken to in
    Harmony."""
    log = tmp_path_factory.mktemp("log") / "server.log"
    with (
        log.open("w") as stderr,
        server_process(cache_dir, "--no-harmony", *ONE_THREAD, stderr=stderr.fileno()) as process,
        openai.OpenAI(base_url=f"{address(process)}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client
        process.terminate()
        process.wait()


def _reasoning_tokens(answer: Answer) -> int:
    assert answer.usage is not None
    return int(answer.usage["completion_tokens_details"]["reasoning_tokens"])


@pytest.mark.parametrize("budget", [0, 1, 3, 8])
def test_the_budget_bounds_the_reasoning(templated: openai.OpenAI, budget: int) -> None:
    free = ask(templated, QUESTION)
    bounded = ask(templated, QUESTION, extra_body={"reasoning_budget": budget})

    assert _reasoning_tokens(free) > 8
    assert _reasoning_tokens(bounded) <= budget
    assert bool(bounded.reasoning) == (budget > 0)
    assert "4" in bounded.content


@pytest.mark.parametrize("shown", ["inline", "hidden"])
def test_reasoning_goes_where_it_is_wanted(templated: openai.OpenAI, shown: str) -> None:
    plain = ask(templated, QUESTION)
    request = request_for(QUESTION, extra_body={"reasoning_format": shown})
    usage: dict[str, Any] = {"stream_options": {"include_usage": True}}
    answer = streamed(templated.chat.completions.create(**request, stream=True, **usage))

    before = f"<think>{plain.reasoning}</think>" if shown == "inline" else ""
    assert (answer.content, answer.reasoning) == (before + plain.content, "")
    assert _reasoning_tokens(answer) == _reasoning_tokens(plain)


def test_a_required_tool_is_called(templated: openai.OpenAI) -> None:
    answer = ask(templated, "What is the weather in Tokyo?", tools=[WEATHER], tool_choice="required")

    assert {name for name, _ in answer.calls} == {"get_weather"}
    assert answer.finish_reason == "tool_calls"
