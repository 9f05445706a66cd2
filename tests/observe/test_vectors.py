"""Embeddings and rankings make one record each, however they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lemonade_like.errors import ModelNotFound
from lemonade_like.observe.metrics import Metrics
from lemonade_like.observe.vectors import ObservedVectors, VectorRecord
from lemonade_like.vectors.request import Embeddings, EmbeddingsRequest, RerankRequest
from tests.support.observed import samples_of, value
from tests.support.vectors import ScriptedVectors

EMBED = EmbeddingsRequest("M", ["ab", "c"])
RANK = RerankRequest("M", "q", ["a", "bcd"])


class NoVectors(ScriptedVectors):
    """Knows no model."""

    async def embed(self, request: EmbeddingsRequest) -> Embeddings:
        raise ModelNotFound(f"There is no {request.model}.")


def watched(vectors: ScriptedVectors, known: str | None = "m") -> tuple[ObservedVectors, list[VectorRecord]]:
    """Vectors that are watched, on a clock that ticks a second each time that somebody looks at it."""
    records: list[VectorRecord] = []
    ticks = iter(range(100, 200))
    observed = ObservedVectors(vectors, name_of=lambda _: known, ended=records.append, clock=lambda: float(next(ticks)))
    return observed, records


async def test_an_answer_is_handed_on_and_counted_with_its_tokens() -> None:
    vectors, records = watched(ScriptedVectors())
    embedded, ranked = await vectors.embed(EMBED), await vectors.rerank(RANK)

    assert [list(vector) for vector in embedded.vectors] == [[2, 1], [1, 1]]
    assert ranked.results == [(1, 3.0), (0, 1.0)]
    assert records == [
        VectorRecord("m", "embeddings", "ok", 1.0, 7),
        VectorRecord("m", "reranking", "ok", 1.0, 9),
    ]


async def test_a_client_that_leaves_is_no_error() -> None:
    scripted = ScriptedVectors(held=True)
    vectors, records = watched(scripted)
    asked = asyncio.create_task(vectors.rerank(RANK))
    await scripted.waiting.wait()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)

    assert asked.cancelled()
    assert scripted.cancelled.is_set()
    assert records == [VectorRecord("m", "reranking", "cancelled", 1.0)]


async def test_an_error_is_raised_and_counted() -> None:
    vectors, records = watched(NoVectors(), known=None)
    with pytest.raises(ModelNotFound):
        await vectors.embed(EMBED)
    assert records == [VectorRecord(None, "embeddings", "error", 1.0)]


def test_the_metrics_are_by_model_and_kind() -> None:
    metrics = Metrics("1")
    for told in (("ok", 0.5, 3), ("ok", 1.5, 4), ("cancelled", 2.0)):
        metrics.vectors(VectorRecord("m", "embeddings", *told))  # type: ignore[arg-type]
    metrics.vectors(VectorRecord("m", "reranking", "ok", 1.0, 5))
    metrics.vectors(VectorRecord(None, "embeddings", "error", 0.1))
    samples = samples_of(metrics.page([], draining=False)[0].decode())
    of_embeddings: dict[str, Any] = {"model": "m", "kind": "embeddings"}

    assert value(samples, "vector_requests_total", outcome="ok", **of_embeddings) == 2
    assert value(samples, "vector_requests_total", outcome="cancelled", **of_embeddings) == 1
    assert value(samples, "vector_requests_total", outcome="error", model="unknown", kind="embeddings") == 1
    assert value(samples, "vector_prompt_tokens_total", **of_embeddings) == 7
    assert value(samples, "vector_prompt_tokens_total", model="m", kind="reranking") == 5
    assert value(samples, "vector_request_duration_seconds_sum", **of_embeddings) == 4.0
