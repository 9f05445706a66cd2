"""docs/api/embeddings.md says of every field of a request for vectors what becomes of it, and it is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openai.types.embedding_create_params import EmbeddingCreateParams

from lemonade_like.api.openai.embeddings import EmbeddingsBody
from tests.support.claims import Asker, Verdict, claims, tries, without_claim
from tests.support.sdk_fields import paths

PAGE = Path(__file__).parents[3] / "docs" / "api" / "embeddings.md"
CLAIMS = claims(PAGE)
PATH = "/v1/embeddings"
BASE: dict[str, Any] = {"model": "m", "input": "Hi"}

EXAMPLES: dict[str, Any] = {
    "model": "other",
    "input": ["Bye", "Hi"],
    "encoding_format": "base64",
    "dimensions": 5,
    "user": "u",
}


def test_every_field_of_the_sdk_has_a_verdict() -> None:
    assert without_claim(paths(EmbeddingCreateParams), CLAIMS) == set()


def test_every_field_that_is_read_has_a_verdict() -> None:
    assert without_claim(set(EmbeddingsBody.model_fields), CLAIMS) == set()


def test_no_example_is_of_a_field_without_a_verdict() -> None:
    assert EXAMPLES.keys() - CLAIMS.keys() == set()


@pytest.mark.parametrize(("path", "verdict"), CLAIMS.items())
async def test_a_field_is_what_the_page_says(app: Asker, path: str, verdict: Verdict) -> None:
    assert path in EXAMPLES or verdict != "honoured", f"{path} has no example"
    for tried in tries(EXAMPLES, path):
        await app.check(PATH, BASE, path, verdict, tried)
