"""Raw completions with the OpenAI SDK, of both kinds of models, on a real engine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
from openai.types import Completion

if TYPE_CHECKING:
    from collections.abc import Iterable

TINY = "tiny-gpt-oss"
FRANCE = "The capital of France is"
#: A whole chat, as the model itself would see it.
CHAT = "<|start|>user<|message|>What is 2+2?<|end|><|start|>assistant"


@pytest.fixture(params=["gpt-oss", "another"])
def model(request: pytest.FixtureRequest, other: str) -> str:
    return TINY if request.param == "gpt-oss" else other


@dataclass
class Seen:
    text: str
    finish_reason: str | None
    logprobs: dict[str, list[Any]]


def _seen(chunks: Iterable[Completion]) -> list[Seen]:
    """What came for each choice, whole or in pieces."""
    seen: dict[int, Seen] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            one = seen.setdefault(choice.index, Seen("", None, {}))
            one.text += choice.text
            one.finish_reason = choice.finish_reason or one.finish_reason
            for name, values in (choice.logprobs.model_dump() if choice.logprobs else {}).items():
                one.logprobs.setdefault(name, []).extend(values)
    return [seen[index] for index in range(len(seen))]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"logprobs": 2},
        {"echo": True},
        {"n": 2, "prompt": [FRANCE, "One, two,"], "temperature": 1, "seed": 5},
        {"stop": [" the"], "max_tokens": 40},
        {"prompt": "🙂漢字🙂漢字🙂漢字", "logprobs": 1, "max_tokens": 12},
    ],
    ids=["plain", "logprobs", "echo", "several", "stop", "half characters"],
)
def test_a_stream_is_the_whole_answer(client: openai.OpenAI, model: str, more: dict[str, Any]) -> None:
    asked: Any = {"model": model, "prompt": FRANCE, "max_tokens": 10, "temperature": 0, **more}
    whole = client.completions.create(**asked)
    chunks = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))

    assert whole.object == "text_completion"
    assert _seen(chunks) == _seen([whole])
    usage = chunks[-1].usage
    assert usage is not None and whole.usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (whole.usage.prompt_tokens, whole.usage.completion_tokens)
    assert all(choice.finish_reason in ("stop", "length") for choice in whole.choices)


def test_what_a_gpt_oss_model_writes_is_shown_as_it_is(client: openai.OpenAI) -> None:
    completion = client.completions.create(
        model=TINY, prompt=CHAT, max_tokens=200, temperature=0, extra_body={"parse_special": True}
    )
    text = completion.choices[0].text

    assert text.startswith("<|channel|>analysis<|message|>")
    assert "<|end|><|start|>assistant<|channel|>final<|message|>" in text
    assert completion.choices[0].finish_reason == "stop"


def test_markers_in_a_gpt_oss_prompt_are_text_unless_asked_for(client: openai.OpenAI, server: str) -> None:
    def ids(**more: Any) -> list[int]:
        return httpx.post(f"{server}/v1/tokenize", json={"model": TINY, "content": CHAT, **more}).json()["tokens"]

    def read(**more: Any) -> int:
        usage = client.completions.create(model=TINY, prompt=CHAT, max_tokens=1, extra_body=more).usage
        assert usage is not None
        return usage.prompt_tokens

    assert max(ids()) < 199_998 < max(ids(parse_special=True))
    assert read() == len(ids())
    assert read(parse_special=True) == len(ids(parse_special=True)) < len(ids())


def test_markers_in_another_models_prompt_are_read_unless_forbidden(client: openai.OpenAI, other: str) -> None:
    counts = []
    for more in ({}, {"parse_special": True}, {"parse_special": False}):
        usage = client.completions.create(model=other, prompt="<|im_start|>user", max_tokens=1, extra_body=more).usage
        assert usage is not None
        counts.append(usage.prompt_tokens)

    assert counts[0] == counts[1] < counts[2]


def test_ids_are_taken_as_they_are(client: openai.OpenAI, server: str, model: str) -> None:
    ids = httpx.post(f"{server}/v1/tokenize", json={"model": model, "content": FRANCE}).json()["tokens"]
    asked: Any = {"model": model, "max_tokens": 8, "temperature": 0, "echo": True}
    completion = client.completions.create(prompt=[ids, ids], **asked)
    one = client.completions.create(prompt=ids, **asked)
    text = client.completions.create(prompt=FRANCE, **asked)

    assert one.choices[0].text.startswith(FRANCE)
    assert [choice.text for choice in completion.choices] == [one.choices[0].text] * 2
    assert one.choices[0].text == text.choices[0].text
    assert one.usage is not None and completion.usage is not None
    assert (one.usage.prompt_tokens, completion.usage.prompt_tokens) == (len(ids), 2 * len(ids))


def test_log_probabilities_have_the_legacy_form(client: openai.OpenAI, model: str) -> None:
    choice = client.completions.create(model=model, prompt=FRANCE, max_tokens=6, temperature=0, logprobs=3).choices[0]
    logprobs = choice.logprobs
    assert logprobs is not None
    assert logprobs.tokens and logprobs.top_logprobs and logprobs.token_logprobs and logprobs.text_offset

    assert "".join(logprobs.tokens) == choice.text
    for token, logprob, top, offset in zip(
        logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, logprobs.text_offset, strict=True
    ):
        assert top[token] == logprob == max(top.values())
        assert len(top) == 3
        assert choice.text.startswith(token, offset)


def test_a_bound_of_nothing_echoes_and_counts(client: openai.OpenAI, model: str) -> None:
    completion = client.completions.create(model=model, prompt=FRANCE, max_tokens=0, echo=True)

    assert (completion.choices[0].text, completion.choices[0].finish_reason) == (FRANCE, "length")
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (5, 0)


def test_without_a_bound_it_is_not_cut_short(client: openai.OpenAI, other: str) -> None:
    prompt = "<|im_start|>user\nSay hi<|im_end|>\n<|im_start|>assistant\n"
    completion = client.completions.create(model=other, prompt=prompt, temperature=0)

    assert completion.usage is not None
    assert completion.usage.completion_tokens > 16
    assert completion.choices[0].finish_reason == "stop"


def test_a_seed_gives_the_same_again_and_each_choice_its_own(client: openai.OpenAI, other: str) -> None:
    asked: Any = {"model": other, "prompt": FRANCE, "max_tokens": 12, "temperature": 1.5, "n": 2}
    first, again = (client.completions.create(**asked, seed=11).choices for _ in range(2))
    alone = client.completions.create(**{**asked, "n": 1}, seed=12).choices[0]

    assert [choice.text for choice in first] == [choice.text for choice in again]
    assert first[0].text != first[1].text == alone.text


def test_the_best_of_several_is_the_likeliest(client: openai.OpenAI, other: str) -> None:
    asked: Any = {"model": other, "prompt": FRANCE, "max_tokens": 8, "temperature": 1.5, "seed": 3, "logprobs": 0}
    all_of_them = client.completions.create(**asked, n=3)
    best = client.completions.create(**asked, best_of=3)

    def mean(choice: Any) -> float:
        return sum(choice.logprobs.token_logprobs) / len(choice.logprobs.token_logprobs)

    assert [choice.text for choice in best.choices] == [max(all_of_them.choices, key=mean).text]
    assert best.usage is not None and all_of_them.usage is not None
    assert best.usage.completion_tokens == all_of_them.usage.completion_tokens


def test_a_prompt_that_was_read_before_is_cached(client: openai.OpenAI, model: str) -> None:
    prompt = "A long way to go, " * 20
    for _ in range(2):
        usage = client.completions.create(model=model, prompt=prompt, max_tokens=2).usage
    assert usage is not None and usage.prompt_tokens_details is not None
    assert (usage.prompt_tokens_details.cached_tokens or 0) > usage.prompt_tokens // 2


def test_more_prompts_than_slots_are_all_answered_in_their_order(client: openai.OpenAI) -> None:
    prompts = [f"Number {number}: " for number in range(40)]
    completion = client.completions.create(model=TINY, prompt=prompts, max_tokens=2, echo=True)

    assert [choice.index for choice in completion.choices] == list(range(40))
    assert all(choice.text.startswith(prompt) for choice, prompt in zip(completion.choices, prompts, strict=True))


@pytest.mark.parametrize("field", ["json_schema", "response_format", "grammar"])
def test_the_output_keeps_to_a_form(client: openai.OpenAI, model: str, field: str) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "green"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    wanted = {
        "json_schema": schema,
        "response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": schema}},
        "grammar": r'root ::= "{\"colour\": \"" ("red" | "green") "\"}"',
    }[field]
    completion = client.completions.create(
        model=model, prompt="Your favourite: ", max_tokens=40, extra_body={field: wanted}
    )

    assert json.loads(completion.choices[0].text)["colour"] in ("red", "green")
    assert completion.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"suffix": "()"}, "suffix"),
        ({"prompt": [2**30]}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "word " * 100_000}, "prompt"),
        ({"prompt": "a" * 10_000_000}, "prompt"),
        ({"extra_body": {"grammar": "root ::= ("}}, "grammar"),
        ({"extra_body": {"grammar": 'root ::= <[999999]> "a"'}}, "grammar"),
        ({"extra_body": {"json_schema": {"type": "what"}}}, "json_schema.type"),
        ({"model": "nobody"}, "model"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_is_refused(client: openai.OpenAI, model: str, wrong: dict[str, Any], param: str) -> None:
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)) as caught:
        client.completions.create(**{"model": model, "prompt": "x", "max_tokens": 3, **wrong})

    assert caught.value.param == param
