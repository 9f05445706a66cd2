"""Follows embeddings and rankings, and makes one record of each. They are no turns: nothing is generated."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from lemonade_like.vectors.request import Embeddings, Ranking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lemonade_like.vectors.request import EmbeddingsRequest, RerankRequest

AnswerT = TypeVar("AnswerT", Embeddings, Ranking)

Kind = Literal["embeddings", "reranking"]


@dataclass(frozen=True)
class VectorRecord:
    """One request, however it ended.

    ``model`` is the model's own name, ``None`` if what the client asked for is none. ``duration`` is in seconds, from
    the request on, so that waiting for a slot or a model counts. ``prompt_tokens`` is 0 where there is no answer.
    """

    model: str | None
    kind: Kind
    outcome: Literal["ok", "cancelled", "error"]
    duration: float
    prompt_tokens: int = 0


class VectorMaker(Protocol):
    """Embeds and reranks; see ``lemonade_like.vectors.service.Vectors``."""

    async def embed(self, request: EmbeddingsRequest) -> Embeddings:
        """Return a vector for each input."""

    async def rerank(self, request: RerankRequest) -> Ranking:
        """Return the documents' places and scores, the best first."""


class ObservedVectors:
    """Embeds and reranks as ``vectors`` does, and calls ``ended`` with a record of each request.

    ``name_of`` gives the own name of the model that a client asked for, ``None`` if there is none.
    """

    def __init__(
        self,
        vectors: VectorMaker,
        *,
        name_of: Callable[[str], str | None],
        ended: Callable[[VectorRecord], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._vectors = vectors
        self._name_of = name_of
        self._ended = ended
        self._clock = clock

    async def embed(self, request: EmbeddingsRequest) -> Embeddings:
        """Return a vector for each input; see ``Vectors.embed``."""
        return await self._watched(request.model, "embeddings", self._vectors.embed(request))

    async def rerank(self, request: RerankRequest) -> Ranking:
        """Return the documents' places and scores; see ``Vectors.rerank``."""
        return await self._watched(request.model, "reranking", self._vectors.rerank(request))

    async def _watched(self, model: str, kind: Kind, answer: Awaitable[AnswerT]) -> AnswerT:
        began = self._clock()

        def tell(outcome: Literal["ok", "cancelled", "error"], prompt_tokens: int = 0) -> None:
            self._ended(VectorRecord(self._name_of(model), kind, outcome, self._clock() - began, prompt_tokens))

        try:
            found = await answer
        except asyncio.CancelledError:
            tell("cancelled")
            raise
        except Exception:
            tell("error")
            raise
        tell("ok", found.prompt_tokens)
        return found
