"""``POST /rerank``, and ``POST /reranking``, which is the same."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from lemonade_like.api.answer import ABSENT, Answer
from lemonade_like.api.body import read_json_object
from lemonade_like.api.connection import while_connected
from lemonade_like.api.intake import client_of
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, services
from lemonade_like.api.validation import validated
from lemonade_like.vectors.request import MAX_CHARACTERS, RerankRequest

router = APIRouter(tags=["embeddings"])

MAX_DOCUMENTS: Final = 2_048

EXAMPLES: Final = {
    "Two documents": {
        "model": "bge-reranker-v2-m3-GGUF",
        "query": "What is the capital of France?",
        "documents": ["Paris is the capital of France.", "The lemon is a yellow fruit."],
    },
}


def _as_text(value: Any) -> Any:
    text = value.get("text") if isinstance(value, dict) else value
    if not isinstance(text, str):
        raise PydanticCustomError("document", "must be a string, or an object with a 'text'")
    return text


def _schema(shortest: int) -> dict[str, Any]:
    text = {"type": "string", "minLength": shortest, "maxLength": MAX_CHARACTERS}
    return {"anyOf": [text, {"type": "object", "properties": {"text": text}, "required": ["text"]}]}


Query = Annotated[
    str, BeforeValidator(_as_text), Field(min_length=1, max_length=MAX_CHARACTERS), WithJsonSchema(_schema(1))
]
Document = Annotated[str, BeforeValidator(_as_text), Field(max_length=MAX_CHARACTERS), WithJsonSchema(_schema(0))]


class RerankBody(BaseModel):
    """The body of ``POST /rerank``."""

    model_config = ConfigDict(strict=True)

    model: str = Field(min_length=1, description="A model whose `mode` is `reranking`.")
    query: Query = Field(description="What the documents are to fit.")
    documents: list[Document] = Field(
        min_length=1, max_length=MAX_DOCUMENTS, description="The documents: strings, or objects with a `text`."
    )
    top_n: int | None = Field(default=None, ge=1, description="How many of the best are wanted; all by default.")
    return_documents: bool = Field(default=False, description="Whether each result has its document, too.")


class ResultDocument(Answer):
    """The document as it was sent."""

    text: str


class RerankResult(Answer):
    """A document by its place in the request, and how well it fits: the higher, the better."""

    index: int
    relevance_score: float
    document: ResultDocument = ABSENT


class RerankUsage(Answer):
    """Tokens that were read for all documents, the query with each."""

    prompt_tokens: int
    total_tokens: int


class RerankAnswer(Answer):
    """The documents that fit best, the best first."""

    model: str
    object: Literal["list"]
    results: list[RerankResult]
    usage: RerankUsage


async def rerank(request: Request) -> Response:
    """Score each document against the query, and return them with the best first."""
    body = validated(RerankBody, await read_json_object(request))
    note(request.scope, model=body.model, documents=len(body.documents))
    wanted = RerankRequest(body.model, body.query, body.documents, body.top_n, client_of(request))
    found = await while_connected(request.receive, services(request).vectors.rerank(wanted))
    note(request.scope, prompt=found.prompt_tokens)
    results: list[dict[str, Any]] = [{"index": index, "relevance_score": score} for index, score in found.results]
    if body.return_documents:
        for result in results:
            result["document"] = {"text": body.documents[result["index"]]}
    usage = {"prompt_tokens": found.prompt_tokens, "total_tokens": found.prompt_tokens}
    answer = {"model": body.model, "object": "list", "results": results, "usage": usage}
    return json_answer(answer)


for _path, _operation in (("/rerank", "rerank"), ("/reranking", "rerankForLemonade")):
    router.post(
        _path,
        operation_id=_operation,
        response_model=None,
        summary="Put documents in the order in which they fit a query",
        openapi_extra=json_body(RerankBody, examples=EXAMPLES),
        responses=answers(RerankAnswer),
    )(rerank)
