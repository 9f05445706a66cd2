"""Embeddings through the OpenAI SDK and rankings over HTTP, on the real engine."""

from __future__ import annotations

import asyncio
import base64
import math
import struct
from typing import Any

import httpx
import openai
import pytest

from lemonade_like.api.jina.rerank import RerankAnswer
from tests.support.observed import samples_of, value
from tests.support.vectors import length

BERT, LLAMA, CUT, RERANK = (
    "user.tiny-bert-embed",
    "user.tiny-llama-embed",
    "user.tiny-matryoshka",
    "user.tiny-bert-rerank",
)
TEXTS = ["Tokyo is in Japan", "a", "The panda eats bamboo, all day long."]
DOCUMENTS = ["zebra", "panda", "a", "hello world"]
#: What the engine reads beside a text moves its numbers so far, where flash attention rounds to 16 bits.
NOISE = 3e-3


@pytest.mark.parametrize("model", [BERT, LLAMA])
def test_the_sdk_gets_vectors_of_length_1_in_order(model: str, client: openai.OpenAI) -> None:
    # It asks for base64 by itself, and decodes it.
    answer = client.embeddings.create(model=model, input=TEXTS)

    assert [each.index for each in answer.data] == [0, 1, 2]
    assert (answer.object, answer.model) == ("list", model)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > len(TEXTS)
    for each, text in zip(answer.data, TEXTS, strict=True):
        assert length(each.embedding) == pytest.approx(1, abs=1e-5)
        alone = client.embeddings.create(model=model, input=text).data[0].embedding
        assert each.embedding == pytest.approx(alone, abs=NOISE)


def test_base64_and_floats_are_the_same_numbers(client: openai.OpenAI) -> None:
    floats = client.embeddings.create(model=BERT, input="hello", encoding_format="float").data[0].embedding
    text: Any = client.embeddings.create(model=BERT, input="hello", encoding_format="base64").data[0].embedding
    assert list(struct.unpack("<32f", base64.b64decode(text))) == floats


def test_dimensions_cut_the_vectors_of_a_model_that_was_trained_for_it(client: openai.OpenAI) -> None:
    whole = client.embeddings.create(model=CUT, input="hello").data[0].embedding
    short = client.embeddings.create(model=CUT, input="hello", dimensions=5).data[0].embedding
    stretch = length(whole[:5])
    assert short == pytest.approx([number / stretch for number in whole[:5]], abs=1e-6)
    with pytest.raises(openai.BadRequestError, match="register it with the label matryoshka") as refused:
        client.embeddings.create(model=BERT, input="hello", dimensions=5)
    assert refused.value.param == "dimensions"


def test_token_ids_are_taken(client: openai.OpenAI) -> None:
    one = client.embeddings.create(model=BERT, input=[2, 170, 73, 3])
    several = client.embeddings.create(model=BERT, input=[[2, 170, 73, 3], [2, 3]])
    assert one.usage.prompt_tokens == 4
    assert len(several.data) == 2
    assert several.data[0].embedding == pytest.approx(one.data[0].embedding, abs=NOISE)


def test_a_large_batch_is_split_over_the_slots_and_comes_back_in_order(client: openai.OpenAI) -> None:
    texts = [f"{number} {'word ' * (number % 7)}" for number in range(300)]
    batch = client.embeddings.create(model=BERT, input=texts)
    assert len(batch.data) == 300
    for place in (0, 150, 299):
        alone = client.embeddings.create(model=BERT, input=texts[place]).data[0].embedding
        apart = [math.dist(each.embedding, alone) for each in batch.data]
        assert apart.index(min(apart)) == place


async def test_batches_and_chats_run_at_the_same_time(async_client: openai.AsyncOpenAI) -> None:
    batches = [async_client.embeddings.create(model=BERT, input=TEXTS * 20) for _ in range(6)]
    chat = async_client.chat.completions.create(
        model="tiny-gpt-oss", messages=[{"role": "user", "content": "Hello"}], max_tokens=8
    )
    *found, answer = await asyncio.gather(*batches, chat)
    assert [len(each.data) for each in found] == [60] * 6
    assert answer.choices


@pytest.mark.parametrize("path", ["/v1/rerank", "/v1/reranking", "/api/v1/rerank", "/api/v1/reranking"])
def test_documents_are_ranked(path: str, server: str) -> None:
    body = {"model": RERANK, "query": "hello", "documents": DOCUMENTS, "top_n": 3, "return_documents": True}
    answer = httpx.post(f"{server}{path}", json=body)

    assert answer.status_code == 200
    RerankAnswer.model_validate(answer.json(), strict=True)
    results = answer.json()["results"]
    scores = [result["relevance_score"] for result in results]
    assert (len(results), scores) == (3, sorted(scores, reverse=True))
    assert all(result["document"] == {"text": DOCUMENTS[result["index"]]} for result in results)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/chat/completions", {"model": BERT, "messages": [{"role": "user", "content": "a"}]}, "/v1/embeddings"),
    ("/v1/chat/completions/render", {"model": BERT, "messages": [{"role": "user", "content": "a"}]}, "/v1/embeddings"),
    ("/v1/responses", {"model": RERANK, "input": "a"}, "/v1/rerank"),
    ("/v1/messages", {"model": RERANK, "max_tokens": 1, "messages": [{"role": "user", "content": "a"}]}, "/v1/rerank"),
    ("/v1/embeddings", {"model": RERANK, "input": "a"}, "/v1/rerank"),
    ("/v1/embeddings", {"model": "tiny-gpt-oss", "input": "a"}, "--label embeddings"),
    ("/v1/rerank", {"model": BERT, "query": "a", "documents": ["a"]}, "/v1/embeddings"),
    ("/v1/rerank", {"model": "tiny-gpt-oss", "query": "a", "documents": ["a"]}, "--label reranking"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "body", "instead"), WRONG, ids=[f"{path} {body['model']}" for path, body, _ in WRONG])
def test_a_model_for_something_else_is_a_400_that_says_what_to_do(
    path: str, body: dict[str, Any], instead: str, stream: bool, server: str
) -> None:
    answer = httpx.post(f"{server}{path}", json={**body, "stream": stream})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert instead in answer.json()["error"]["message"]


def test_an_unknown_model_is_a_404(client: openai.OpenAI, server: str) -> None:
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="nobody", input="a")
    body = {"model": "nobody", "query": "a", "documents": ["a"]}
    assert httpx.post(f"{server}/v1/rerank", json=body).status_code == 404


def test_too_long_a_text_is_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"'input\[1\]' has 602 tokens, but .* take 512") as refused:
        client.embeddings.create(model=BERT, input=["a", "a " * 600])
    assert (refused.value.param, refused.value.code) == ("input[1]", "context_length_exceeded")


def test_what_each_model_is_for_is_listed_and_told_of_those_that_run(client: openai.OpenAI, server: str) -> None:
    for model in (BERT, CUT):
        client.embeddings.create(model=model, input="a")
    listed = {model["id"]: model["mode"] for model in httpx.get(f"{server}/v1/models").json()["data"]}
    expected = {BERT: "embeddings", LLAMA: "embeddings", CUT: "embeddings", RERANK: "reranking", "tiny-gpt-oss": "chat"}
    assert expected.items() <= listed.items()
    health = httpx.get(f"{server}/v1/health").json()
    running = {model["name"]: model["mode"] for model in health["models"]}
    assert running[BERT] == running[CUT] == "embeddings"
    lemonade = {model["model_name"]: model["type"] for model in health["all_models_loaded"]}
    assert lemonade[BERT] == "embedding"


def test_the_metrics_count_what_was_embedded_and_ranked(client: openai.OpenAI, server: str) -> None:
    def counted() -> list[float]:
        samples = samples_of(httpx.get(f"{server}/metrics").text)
        return [
            value(samples, "vector_prompt_tokens_total", model=BERT, kind="embeddings"),
            value(samples, "vector_request_duration_seconds_count", model=BERT, kind="embeddings"),
            value(samples, "vector_requests_total", model=RERANK, kind="reranking", outcome="ok"),
        ]

    before = counted()
    used = client.embeddings.create(model=BERT, input=TEXTS).usage.prompt_tokens
    httpx.post(f"{server}/v1/rerank", json={"model": RERANK, "query": "a", "documents": ["a"]}).raise_for_status()
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [used, 1, 1]
