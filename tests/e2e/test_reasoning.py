"""How much is reasoned and who sees it, on the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from lemonade_like.harmony import tokens
from tests.support.answers import streamed, whole
from tests.support.asking import AS_PERSON, WEATHER, ask, request_for

if TYPE_CHECKING:
    pass


@pytest.mark.parametrize("budget", [1, 2, 5, 9])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"response_format": AS_PERSON},
        {"tools": [WEATHER], "tool_choice": "required"},
        {"tools": [WEATHER]},
    ],
    ids=["free", "with-a-format", "with-a-call", "with-tools"],
)
def test_the_budget_bounds_the_reasoning_of_the_whole_turn(
    client: openai.OpenAI, budget: int, more: dict[str, Any]
) -> None:
    answer = ask(client, "What is 2+2?", reasoning_effort="high", extra_body={"reasoning_budget": budget}, **more)

    assert answer.usage is not None
    assert 0 < answer.usage["completion_tokens_details"]["reasoning_tokens"] <= budget
    assert answer.reasoning
    assert answer.content or answer.calls
    assert answer.finish_reason in ("stop", "tool_calls")


@pytest.mark.parametrize("token", [tokens.START, tokens.CHANNEL, tokens.MESSAGE, tokens.CONSTRAIN])
@pytest.mark.parametrize("begun", [None, "It"], ids=["free", "begun"])
def test_no_control_token_can_break_the_shape_and_begin_the_budget_anew(
    client: openai.OpenAI, token: int, begun: str | None
) -> None:
    """As eager as the model may be to write one."""
    more = {"reasoning_budget": 3, "include": ["harmony"], **({"prefill": begun} if begun else {})}
    request = request_for("What is 2+2?", reasoning_effort="high", logit_bias={str(token): 30}, extra_body=more)
    answer = client.chat.completions.create(**request)
    message = answer.choices[0].message

    assert message.content and answer.choices[0].finish_reason == "stop"
    assert answer.usage and answer.usage.completion_tokens_details
    assert (answer.usage.completion_tokens_details.reasoning_tokens or 0) <= 3
    assert [one["channel"] for one in message.model_extra["harmony"]] in (["analysis", "final"], ["final"])  # type: ignore[index]


def test_free_text_may_have_the_signs_of_a_marker_where_a_shape_is_held_to(client: openai.OpenAI) -> None:
    eager = {"27": 60, "91": 60}  # the ids of "<" and "|" in o200k
    more: dict[str, Any] = {"extra_body": {"reasoning_budget": 3}, "temperature": 2, "max_tokens": 60}
    assert "<|" in ask(client, "What is 2+2?", logit_bias=eager, **more).content


def test_a_budget_of_nothing_is_no_reasoning(client: openai.OpenAI) -> None:
    answer = ask(client, "What is 2+2?", extra_body={"thinking_budget": 0})
    assert answer == ask(client, "What is 2+2?", reasoning_effort="none")
    assert answer.reasoning == ""


def test_a_budget_that_is_not_used_up_changes_nothing(client: openai.OpenAI) -> None:
    budgeted = ask(client, "What is 2+2?", reasoning_effort="high", extra_body={"reasoning_budget": 5000})
    assert budgeted == ask(client, "What is 2+2?", reasoning_effort="high")


@pytest.mark.parametrize("shown", ["inline", "hidden"])
def test_reasoning_goes_where_it_is_wanted_streamed_and_whole(client: openai.OpenAI, shown: str) -> None:
    plain = ask(client, "What is 2+2?")
    request = request_for("What is 2+2?", extra_body={"reasoning_format": shown})
    answer = whole(client.chat.completions.create(**request))
    in_pieces = streamed(client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}))

    assert answer == in_pieces
    assert answer.reasoning == ""
    before = f"<think>{plain.reasoning}</think>" if shown == "inline" else ""
    assert answer.content == before + plain.content
    assert answer.usage is not None and plain.usage is not None
    assert answer.usage["completion_tokens_details"] == plain.usage["completion_tokens_details"]


def test_hidden_reasoning_is_in_no_byte_of_the_answer(server: str) -> None:
    body = {**request_for("What is 2+2?"), "include_reasoning": False, "stream": True}
    written = httpx.post(f"{server}/v1/chat/completions", json=body, timeout=60).text
    assert "4" in written
    assert 'reasoning"' not in written and "The user" not in written


def test_a_preset_is_followed(client: openai.OpenAI) -> None:
    answer = ask(client, "What is 2+2?", extra_body={"reasoning_preset": "quick", "reasoning_budget": 3})
    assert answer.usage is not None
    assert answer.usage["completion_tokens_details"]["reasoning_tokens"] <= 3
    assert answer.finish_reason == "stop"


def test_reasoning_that_the_client_began_counts_from_where_it_began(client: openai.OpenAI) -> None:
    begun = {"role": "assistant", "content": None, "reasoning_content": "The user asks"}
    messages = [{"role": "user", "content": "What is 2+2?"}, begun]
    answer = ask(client, "", messages=messages, reasoning_effort="high", extra_body={"reasoning_budget": 3})

    assert answer.usage is not None
    assert answer.usage["completion_tokens_details"]["reasoning_tokens"] <= 3
    assert answer.content
