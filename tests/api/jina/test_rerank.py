"""What the endpoint takes, refuses and answers."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_like.api.jina import rerank
from lemonade_like.vectors.request import RerankRequest
from tests.support.vectors import ScriptedVectors, ask, is_cancelled_when_its_client_leaves

PATHS = ("/v1/rerank", "/v1/reranking", "/api/v1/rerank", "/api/v1/reranking")
BODY: Any = {"model": "m", "query": "q", "documents": ["ab", "abc", "a"]}


@pytest.mark.parametrize("path", PATHS)
async def test_the_best_comes_first(path: str) -> None:
    answer = await ask(path, **BODY)
    assert answer.status_code == 200
    assert answer.json() == {
        "model": "m",
        "object": "list",
        "results": [
            {"index": 1, "relevance_score": 3.0},
            {"index": 0, "relevance_score": 2.0},
            {"index": 2, "relevance_score": 1.0},
        ],
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    }
    rerank.RerankAnswer.model_validate(answer.json(), strict=True)


async def test_documents_come_back_where_they_are_asked_for() -> None:
    answer = await ask(PATHS[0], **{**BODY, "top_n": 2, "return_documents": True})
    assert answer.json()["results"] == [
        {"index": 1, "relevance_score": 3.0, "document": {"text": "abc"}},
        {"index": 0, "relevance_score": 2.0, "document": {"text": "ab"}},
    ]
    rerank.RerankAnswer.model_validate(answer.json(), strict=True)


async def test_texts_may_be_objects_and_documents_may_be_empty() -> None:
    vectors = ScriptedVectors()
    documents = ["a", {"text": "bc", "title": "t"}, ""]
    answer = await ask(PATHS[0], vectors, model="m", query={"text": "q"}, documents=documents, top_n=99, rank_fields=[])
    assert answer.status_code == 200
    assert vectors.requests == [RerankRequest("m", "q", ["a", "bc", ""], 99, "127.0.0.1")]


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"query": ""}, "query", "must not be empty"),
        ({"query": None}, "query", "must be a string, or an object with a 'text'"),
        ({"query": ["a"]}, "query", "must be a string, or an object with a 'text'"),
        ({"documents": []}, "documents", "must not be empty"),
        ({"documents": "a"}, "documents", "must be a list"),
        ({"documents": ["a", 5]}, "documents[1]", "must be a string, or an object with a 'text'"),
        ({"documents": [{"title": "a"}]}, "documents[0]", "must be a string, or an object with a 'text'"),
        ({"documents": ["a"] * 2_049}, "documents", "takes at most 2048 entries, but has 2049"),
        ({"top_n": 0}, "top_n", "must be at least 1"),
        ({"top_n": "1"}, "top_n", "must be a whole number"),
        ({"return_documents": "yes"}, "return_documents", "must be true or false"),
        ({"model": 1}, "model", "must be a string"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_what_cannot_be_is_refused_with_its_place(fields: dict[str, Any], param: str, said: str) -> None:
    vectors = ScriptedVectors()
    answer = await ask(PATHS[0], vectors, **{**BODY, **fields})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert said in error["message"]
    assert (error["param"], error["code"]) == (param, "invalid_value")
    assert vectors.requests == []


@pytest.mark.parametrize("missing", ["model", "query", "documents"])
async def test_what_is_missing_is_named(missing: str) -> None:
    answer = await ask(PATHS[0], **{name: value for name, value in BODY.items() if name != missing})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == f"'{missing}' is required, but missing."


@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
async def test_a_body_that_is_none_is_refused(content: bytes) -> None:
    answer = await ask(PATHS[0], content=content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


async def test_a_client_that_leaves_ends_the_work() -> None:
    assert await is_cancelled_when_its_client_leaves(PATHS[0], **BODY)
