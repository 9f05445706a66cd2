"""What the endpoint takes, refuses and answers."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse

from lemonade_like.api.openai import embeddings
from lemonade_like.vectors.request import EmbeddingsRequest
from tests.support.vectors import ScriptedVectors, ask, is_cancelled_when_its_client_leaves, packed

PATH = "/v1/embeddings"


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("a text", ["a text"]),
        (["a", "text"], ["a", "text"]),
        ([1, 2, 3], [[1, 2, 3]]),
        ([[1, 2], [3]], [[1, 2], [3]]),
        (["a", [1, 2]], ["a", [1, 2]]),
        ([0], [[0]]),
        ([2**31 - 1], [[2**31 - 1]]),
        (" ", [" "]),
        (["a"] * 2_048, ["a"] * 2_048),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_every_form_of_input_is_read(given: Any, inputs: Any) -> None:
    vectors = ScriptedVectors()
    answer = await ask(PATH, vectors, model="m", input=given)
    assert answer.status_code == 200
    asked = vectors.requests[0]
    assert isinstance(asked, EmbeddingsRequest)
    assert (asked.model, asked.inputs, asked.dimensions) == ("m", inputs, None)
    assert asked.client == "127.0.0.1"


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_vectors_are_written_as_openai_writes_them(prefix: str) -> None:
    answer = await ask(f"{prefix}/embeddings", model="m", input=["ab", "c"], dimensions=2, user="me", priority="high")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [2.0, 1.0]},
            {"object": "embedding", "index": 1, "embedding": [1.0, 1.0]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    CreateEmbeddingResponse.model_validate(answer.json(), strict=True)
    embeddings.EmbeddingsAnswer.model_validate(answer.json(), strict=True)


async def test_base64_is_of_little_endian_floats() -> None:
    answer = await ask(PATH, model="m", input="ab", encoding_format="base64")
    assert answer.json()["data"] == [{"object": "embedding", "index": 0, "embedding": packed(2, 1)}]
    embeddings.EmbeddingsAnswer.model_validate(answer.json(), strict=True)


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"input": None}, "input", "must be a string, a list of strings, or token ids"),
        ({"input": 5}, "input", "must be a string, a list of strings, or token ids"),
        ({"input": {"text": "a"}}, "input", "must be a string, a list of strings, or token ids"),
        ({"input": ""}, "input", "must not be an empty string"),
        ({"input": []}, "input", "must not be empty"),
        ({"input": ["a", ""]}, "input[1]", "must not be an empty string"),
        ({"input": ["a", None]}, "input[1]", "must be a string or a list of token ids"),
        ({"input": ["a", 5]}, "input[1]", "must be a string or a list of token ids"),
        ({"input": ["a", {"text": "b"}]}, "input[1]", "must be a string or a list of token ids"),
        ({"input": [[1], []]}, "input[1]", "must not be empty"),
        ({"input": [[1], [2, "3"]]}, "input[1]", "must hold token ids only"),
        ({"input": [1, "a"]}, "input", "must hold token ids only"),
        ({"input": [True]}, "input", "must hold token ids only"),
        ({"input": [1.5]}, "input[0]", "must be a string or a list of token ids"),
        ({"input": [-1]}, "input", "must hold token ids only"),
        ({"input": [2**31]}, "input", "must hold token ids only"),
        ({"input": [[2**32 + 5]]}, "input[0]", "must hold token ids only"),
        ({"input": ["a"] * 2_049}, "input", "takes at most 2,048 entries, but has 2,049"),
        ({"input": [[1]] * 2_049}, "input", "takes at most 2,048 entries, but has 2,049"),
        ({"model": None}, "model", "must be a string, not null"),
        ({"model": ""}, "model", "must not be an empty string"),
        ({"encoding_format": "int8"}, "encoding_format", "must be 'float' or 'base64'"),
        ({"encoding_format": 1}, "encoding_format", "must be 'float' or 'base64'"),
        ({"dimensions": 0}, "dimensions", "must be at least 1"),
        ({"dimensions": "8"}, "dimensions", "must be a whole number"),
        ({"dimensions": 1.5}, "dimensions", "must be a whole number"),
        ({"user": 5}, "user", "must be a string"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_what_cannot_be_is_refused_with_its_place(fields: dict[str, Any], param: str, said: str) -> None:
    vectors = ScriptedVectors()
    answer = await ask(PATH, vectors, **{"model": "m", "input": "a", **fields})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert said in error["message"]
    assert (error["param"], error["type"], error["code"]) == (param, "invalid_request_error", "invalid_value")
    assert vectors.requests == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b"{}", "missing_required_parameter"),
        (b'{"model": "m"}', "missing_required_parameter"),
        (b'{"model": "m", "input": "\\ud800"}', "invalid_json"),
    ],
)
async def test_a_body_that_is_none_is_refused(content: bytes, code: str) -> None:
    answer = await ask(PATH, content=content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a" * 11, "takes at most 10 characters"),
        (["a", "a" * 11], "'input[1]' takes at most 10 characters"),
        ([1] * 6, "takes at most 5 token ids"),
        ([[1] * 3, [1] * 3], "takes at most 5 token ids in all"),
    ],
)
async def test_what_is_too_much_is_refused(given: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "MAX_CHARACTERS", 10)
    monkeypatch.setattr(embeddings, "MAX_TOKEN_IDS", 5)
    answer = await ask(PATH, model="m", input=given)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


async def test_a_client_that_leaves_ends_the_work() -> None:
    assert await is_cancelled_when_its_client_leaves(PATH, model="m", input="a")
