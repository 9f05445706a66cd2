"""What is asked of a model that embeds or reranks, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence

#: Of one text; far more than any model reads.
MAX_CHARACTERS: Final = 4_000_000

#: A text, or the ids of its tokens.
Input = str | list[int]


@dataclass(frozen=True)
class EmbeddingsRequest:
    """Texts to be made vectors, of the model's own length or cut to ``dimensions``. ``client`` is whose request it is,
    to be fair between them."""

    model: str
    inputs: Sequence[Input]
    dimensions: int | None = None
    client: str = ""


@dataclass(frozen=True)
class Embeddings:
    """A vector of length 1 for each input, in their order, and the tokens that were read for all of them."""

    vectors: list[array[float]]
    prompt_tokens: int


@dataclass(frozen=True)
class RerankRequest:
    """Documents to be put in the order in which they fit the query; ``top_n`` of them are wanted, ``None`` is all."""

    model: str
    query: str
    documents: Sequence[str]
    top_n: int | None = None
    client: str = ""


@dataclass(frozen=True)
class Ranking:
    """``(index, score)`` of the documents that fit best, the best first, and the tokens that were read for all.

    A score is as the model gives it: any number, and only to be compared with others for the same query.
    """

    results: list[tuple[int, float]]
    prompt_tokens: int
