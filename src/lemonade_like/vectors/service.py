"""Embeds and reranks: leases the model that is named, and asks its engine text by text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lemonade_like.errors import BadRequest
from lemonade_like.pool.resident import EngineResponseError
from lemonade_like.vectors.failures import no_answer, refused
from lemonade_like.vectors.request import Embeddings, Ranking
from lemonade_like.vectors.slots import answer_all
from lemonade_like.vectors.vector import decoded, shortened

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping

    from lemonade_like.pool.lease import Lease
    from lemonade_like.pool.pool import Pool
    from lemonade_like.vectors.request import EmbeddingsRequest, RerankRequest


class Vectors:
    """The one way to have a model embed or rerank."""

    def __init__(self, pool: Pool[Any]) -> None:
        self._pool = pool

    async def embed(self, request: EmbeddingsRequest) -> Embeddings:
        """Return a vector for each input. Cancelling this frees the engine.

        Raises:
            WrongMode: the model is for something else.
            BadRequest: an input is too long, or holds what is no token of the model; the vectors cannot be cut so.
            ModelNotFound, QueueFull, EngineFailure, ShuttingDown: as for a turn.
        """
        await self._pool.require_mode(request.model, "embeddings")

        async def ask(lease: Lease[Any], number: int) -> tuple[array[float], int]:
            field = f"input[{number}]"
            # Base64 is what the engine writes exactly, and what is read fastest. Length 1 is said because a user's
            # arguments may have it otherwise.
            payload = {"input": [request.inputs[number]], "encoding_format": "base64", "embd_normalize": 2}
            try:
                answer = await lease.engine.embeddings(payload)
            except EngineResponseError as error:
                raise refused(error, lease.model.name, field) from error
            try:
                vector, tokens = decoded(answer["data"][0]["embedding"]), _prompt_tokens(answer)
            except (KeyError, IndexError, TypeError, ValueError):
                raise no_answer(lease.model.name, field) from None
            if not math.isfinite(sum(vector)):
                raise no_answer(lease.model.name, field)
            return _as_long_as_asked(vector, request.dimensions, lease), tokens

        answers = await answer_all(self._pool, request.model, request.client, len(request.inputs), ask)
        return Embeddings([vector for vector, _ in answers], sum(tokens for _, tokens in answers))

    async def rerank(self, request: RerankRequest) -> Ranking:
        """Return the documents' places and scores, the best first. Cancelling this frees the engine.

        Raises:
            WrongMode: the model is for something else.
            BadRequest: a document is too long, together with the query.
            ModelNotFound, QueueFull, EngineFailure, ShuttingDown: as for a turn.
        """
        await self._pool.require_mode(request.model, "reranking")

        async def ask(lease: Lease[Any], number: int) -> tuple[float, int]:
            field = f"documents[{number}]"
            try:
                answer = await lease.engine.rerank({"query": request.query, "documents": [request.documents[number]]})
            except EngineResponseError as error:
                raise refused(error, lease.model.name, field) from error
            try:
                return float(answer["results"][0]["relevance_score"]), _prompt_tokens(answer)
            except (KeyError, IndexError, TypeError, ValueError):
                raise no_answer(lease.model.name, field) from None

        answers = await answer_all(self._pool, request.model, request.client, len(request.documents), ask)
        best = sorted(((index, score) for index, (score, _) in enumerate(answers)), key=lambda each: -each[1])
        return Ranking(best[: request.top_n], sum(tokens for _, tokens in answers))


def _prompt_tokens(answer: Mapping[str, Any]) -> int:
    return int(answer["usage"]["prompt_tokens"])


def _as_long_as_asked(vector: array[float], dimensions: int | None, lease: Lease[Any]) -> array[float]:
    """Return the vector, cut where a model allows it: one that was trained to have the most in its first numbers."""
    whole = len(vector)
    if dimensions is None or dimensions == whole:
        return vector
    model = lease.model
    if dimensions > whole:
        raise BadRequest(
            f"'dimensions' is {dimensions}, but the vectors of {model.name} have {whole} numbers.", param="dimensions"
        )
    if "matryoshka" not in model.labels:
        raise BadRequest(
            f"'dimensions' must be {whole}, or left out: {model.name} is not known to have been trained for shorter "
            "vectors. If it was, register it with the label matryoshka.",
            param="dimensions",
        )
    return shortened(vector, dimensions)
