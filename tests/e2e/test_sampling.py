"""How tokens are drawn, and what is told of them, on the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.support.answers import streamed, whole
from tests.support.asking import ask, request_for

if TYPE_CHECKING:
    pass


def _spelled(entries: Any) -> str:
    return "".join(entry.token for entry in entries)


@pytest.mark.parametrize("effort", ["none", "medium"])
def test_log_probabilities_are_those_of_the_visible_answer(client: openai.OpenAI, effort: str) -> None:
    request = request_for("What is 2+2?", logprobs=True, top_logprobs=3, reasoning_effort=effort)
    choice = client.chat.completions.create(**request).choices[0]
    assert choice.logprobs is not None and choice.logprobs.content is not None
    chunks = list(client.chat.completions.create(**request, stream=True))
    streamed_entries = [
        entry
        for chunk in chunks
        if chunk.choices and chunk.choices[0].logprobs
        for entry in chunk.choices[0].logprobs.content or ()
    ]

    assert _spelled(choice.logprobs.content) == choice.message.content
    assert _spelled(streamed_entries) == choice.message.content
    for entry in choice.logprobs.content:
        assert entry.logprob <= 0
        assert bytes(entry.bytes or ()).decode() == entry.token
        assert len(entry.top_logprobs) == 3
        assert entry.top_logprobs[0].token == entry.token  # greedy


def test_without_asking_there_are_no_log_probabilities(client: openai.OpenAI) -> None:
    assert client.chat.completions.create(**request_for("Hello")).choices[0].logprobs is None
    choice = client.chat.completions.create(**request_for("Hello", logprobs=True)).choices[0]
    assert choice.logprobs is not None and choice.logprobs.content is not None
    assert all(entry.top_logprobs == [] for entry in choice.logprobs.content)


def test_a_token_can_be_ruled_out(client: openai.OpenAI) -> None:
    request = request_for("What is 2+2?", reasoning_effort="none")
    plain = ask(client, "What is 2+2?", reasoning_effort="none")
    four = 19  # the id of "4" in o200k
    ruled_out = whole(client.chat.completions.create(**request, logit_bias={str(four): -100}))

    assert "4" in plain.content
    assert "4" not in ruled_out.content


def test_a_stop_string_that_spans_tokens_ends_the_answer_before_it(client: openai.OpenAI) -> None:
    plain = ask(client, "Count to ten.")
    assert "three, four, five" in plain.content
    for read in (whole, streamed):
        request = request_for("Count to ten.", stop="ee, fo", stream=read is streamed)
        answer = read(client.chat.completions.create(**request))  # type: ignore[operator]
        assert answer.content == plain.content.partition("ee, fo")[0]
        assert answer.reasoning == plain.reasoning
        assert answer.finish_reason == "stop"


def test_choices_have_their_places_and_differ_although_there_is_a_seed(client: openai.OpenAI) -> None:
    request = {**request_for("What is the capital of France?", n=3, seed=11, max_tokens=60), "temperature": 1.8}
    choices = client.chat.completions.create(**request).choices
    # Which slot a choice gets is chance, and with it the last digits of its probabilities: it cannot be made again.
    texts = {str(choice.message.model_extra) + (choice.message.content or "") for choice in choices}

    assert [choice.index for choice in choices] == [0, 1, 2]
    assert len(texts) == 3


def test_other_models_give_log_probabilities_too(client: openai.OpenAI, other: str) -> None:
    request = {**request_for("Hello", logprobs=True, top_logprobs=2, max_tokens=8), "model": other}
    choice = client.chat.completions.create(**request).choices[0]

    assert choice.logprobs is not None and choice.logprobs.content is not None
    assert _spelled(choice.logprobs.content) == choice.message.content
    assert all(len(entry.top_logprobs) == 2 for entry in choice.logprobs.content)


def test_log_probabilities_end_where_a_stop_string_ends_the_answer(client: openai.OpenAI) -> None:
    for stream in (False, True):
        request = request_for("Count to ten.", stop="ee, fo", logprobs=True, stream=stream)
        given = client.chat.completions.create(**request)
        choices = [chunk.choices[0] for chunk in given if chunk.choices] if stream else given.choices
        entries = [entry for choice in choices if choice.logprobs for entry in choice.logprobs.content or ()]
        content = "".join(
            (choice.delta.content if stream else choice.message.content) or ""  # type: ignore[union-attr]
            for choice in choices
        )

        assert content.endswith("thr")
        # Tokens are not cut: the one in which the stop string began is not among them.
        assert content.startswith(_spelled(entries)) and len(content) - len(_spelled(entries)) < 8


@pytest.mark.parametrize(
    "sampler", [{"top_k": 1}, {"min_p": 1.0}, {"typical_p": 0.0001, "top_k": 1}, {"samplers": ["top_k"], "top_k": 1}]
)
def test_llama_cpps_own_samplers_reach_the_engine(client: openai.OpenAI, sampler: dict[str, Any]) -> None:
    """With only the likeliest token left to draw, an answer is the greedy one however hot it is drawn."""
    hot = {"temperature": 2, "seed": 5, "extra_body": sampler}
    assert ask(client, "Count to ten.", **hot) == ask(client, "Count to ten.")


def test_repetition_is_penalised(client: openai.OpenAI) -> None:
    plain = ask(client, "Count to ten.")
    penalised = ask(client, "Count to ten.", extra_body={"repeat_penalty": 1.9, "repeat_last_n": 64})
    assert penalised.content != plain.content
