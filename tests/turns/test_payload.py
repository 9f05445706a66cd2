from __future__ import annotations

from lemonade_like.harmony.messages import FunctionTool
from lemonade_like.turns.payload import chat_payload, completion_payload
from lemonade_like.turns.request import ResponseFormat, Sampling, TurnRequest
from tests.support.chats import message

HELLO = (message("user", "Hello"),)


def test_a_budget_names_where_reasoning_begins_and_ends() -> None:
    payload = completion_payload([1], Sampling(), seed=1, max_tokens=-1, grammar="root ::= text", reasoning_budget=5)
    assert payload["reasoning_budget_tokens"] == 5
    assert payload["reasoning_budget_start_tag"] == "<|channel|>analysis<|message|>"
    assert payload["reasoning_budget_end_tags"] == ["<|end|>"]
    assert payload["reasoning_budget_message"] == ""


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    payload = completion_payload([1], Sampling(), seed=1, max_tokens=-1)
    assert not {"grammar", "reasoning_budget_tokens", "n_probs"} & payload.keys()


def test_there_is_always_a_seed_and_the_clients_goes_before_ours() -> None:
    ours = completion_payload([1], Sampling(), seed=7, max_tokens=-1)
    theirs = completion_payload([1], Sampling(seed=0), seed=7, max_tokens=-1)
    assert (ours["seed"], theirs["seed"]) == (7, 0)


def test_the_tokens_own_probability_needs_one_other() -> None:
    assert completion_payload([1], Sampling(), seed=1, max_tokens=-1, top_logprobs=0)["n_probs"] == 1
    assert completion_payload([1], Sampling(), seed=1, max_tokens=-1, top_logprobs=5)["n_probs"] == 5


def test_other_models_are_offered_only_what_may_be_called() -> None:
    tools = (FunctionTool("a"), FunctionTool("b"))
    request = TurnRequest("other", HELLO, tools=tools, tool_choice="required", allowed_tools=frozenset({"b"}))
    assert [tool["function"]["name"] for tool in chat_payload(request)["tools"]] == ["b"]


def test_other_models_are_given_the_format_and_the_budget_in_the_engines_own_words() -> None:
    wanted = ResponseFormat("answer", {"type": "object"})
    payload = chat_payload(TurnRequest("other", HELLO, response_format=wanted, reasoning_budget=9, top_logprobs=2))
    assert payload["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}},
    }
    assert payload["thinking_budget_tokens"] == payload["reasoning_budget_tokens"] == 9
    assert (payload["logprobs"], payload["top_logprobs"]) == (True, 2)
