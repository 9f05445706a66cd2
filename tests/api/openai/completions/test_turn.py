"""What a completion request asks for, and what of it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_like.api.openai.completions.schema import CreateCompletionRequest
from lemonade_like.api.openai.completions.turn import completion_requests
from lemonade_like.api.validation import validated
from lemonade_like.errors import BadRequest
from lemonade_like.turns.request import CompletionRequest, ResponseFormat, Sampling

SCHEMA = {"type": "object"}


def read(**fields: Any) -> list[CompletionRequest]:
    return completion_requests(validated(CreateCompletionRequest, {"model": "m", "prompt": "Hi", **fields}))


def test_little_said_is_all_as_usual() -> None:
    assert read() == [CompletionRequest("m", "Hi", whole=True)]
    assert read(best_of=1, logprobs=None, echo=False, stop=None, user="me", suffix="", n=1, unknown=1) == read()


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [(1, 2)]),
        ([[1, 2], [3]], [(1, 2), (3,)]),
        ([""], [""]),
    ],
)
def test_a_prompt_has_four_forms(prompt: Any, prompts: list[Any]) -> None:
    assert [request.prompt for request in read(prompt=prompt)] == prompts


def test_choices_of_a_prompt_stand_together_each_with_its_seed() -> None:
    requests = read(prompt=["a", "b"], n=2, seed=7)
    assert [(request.prompt, request.sampling.seed) for request in requests] == [
        ("a", 7),
        ("a", 8),
        ("b", 7),
        ("b", 8),
    ]


def test_the_best_of_several_needs_log_probabilities() -> None:
    assert [request.top_logprobs for request in read(best_of=2)] == [0, 0]
    assert [request.top_logprobs for request in read(best_of=2, logprobs=3)] == [3, 3]
    assert [request.top_logprobs for request in read(best_of=2, n=2)] == [None, None]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_tokens": 5, "n_predict": 9}, {"max_tokens": 5}),
        ({"n_predict": 9}, {"max_tokens": 9}),
        ({"max_tokens": 0}, {"max_tokens": 0}),
        ({"max_tokens": -1}, {"max_tokens": None}),
        ({"stop": "x"}, {"stop": ("x",)}),
        ({"stop": ["x", "", "y"]}, {"stop": ("x", "y")}),
        ({"suffix": "end"}, {"suffix": "end"}),
        ({"parse_special": False}, {"parse_special": False}),
        ({"logprobs": 0}, {"top_logprobs": 0}),
        ({"grammar": "root ::= x"}, {"grammar": "root ::= x"}),
        ({"grammar": "", "json_schema": None}, {}),
        ({"json_schema": SCHEMA}, {"response_format": ResponseFormat("json_schema", SCHEMA, param="json_schema")}),
        (
            {"response_format": {"type": "json_object"}},
            {"response_format": ResponseFormat("json_object", SCHEMA, param="response_format")},
        ),
        ({"response_format": {"type": "text"}}, {}),
        ({"ignore_eos": True}, {"sampling": Sampling(extra={"ignore_eos": True})}),
        (
            {"temperature": 0, "top_p": 1, "frequency_penalty": 1, "presence_penalty": -1, "seed": -1},
            {"sampling": Sampling(0, 1, None, 1, -1)},
        ),
        (
            {"top_k": 3, "logit_bias": {"5": -100}},
            {"sampling": Sampling(extra={"top_k": 3, "logit_bias": [[5, -100]]})},
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_fields_are_honoured(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert read(**fields) == [CompletionRequest(**{"model": "m", "prompt": "Hi", "whole": True, **expected})]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        *[
            ({"prompt": wrong}, "prompt")
            for wrong in (None, 5, {}, [], [[]], [1, "a"], ["a", 1], [True], [-1], [[1], "a"])
        ],
        *[({"prompt": wrong}, "prompt") for wrong in ([1.5], [2**31], ["a"] * 513, [[1], [None]])],
        ({"prompt": ["a"] * 300, "n": 2}, "prompt"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"max_tokens": -2}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_tokens": 2**31}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 17}, "n"),
        ({"n": 3, "best_of": 2}, "best_of"),
        ({"best_of": 17}, "best_of"),
        ({"best_of": 2, "stream": True}, "stream"),
        ({"logprobs": 6}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"echo": True, "logprobs": 0}, "echo"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"stop": 5}, "stop"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": 5}, "stream_options"),
        ({"suffix": "x", "prompt": [1]}, "suffix"),
        ({"suffix": "x", "max_tokens": 0}, "suffix"),
        ({"suffix": 1}, "suffix"),
        ({"seed": 2**65}, "seed"),
        ({"logit_bias": {"the": 1}}, "logit_bias"),
        ({"grammar": "root ::= " + "(" * 201}, "grammar"),
        ({"grammar": "x" * 100_001}, "grammar"),
        ({"json_schema": "object"}, "json_schema"),
        ({"grammar": "x", "json_schema": SCHEMA}, "json_schema"),
        ({"json_schema": SCHEMA, "response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)

    assert (caught.value.param or "").startswith(param)
    assert f"'{param}" in caught.value.message
