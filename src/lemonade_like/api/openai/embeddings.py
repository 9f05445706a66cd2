"""``POST /embeddings``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from lemonade_like.api.body import read_json_object
from lemonade_like.api.connection import while_connected
from lemonade_like.api.intake import client_of
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, services
from lemonade_like.api.validation import validated, wrong
from lemonade_like.vectors.request import MAX_CHARACTERS, EmbeddingsRequest
from lemonade_like.vectors.vector import encoded

if TYPE_CHECKING:
    from lemonade_like.vectors.request import Embeddings, Input

router = APIRouter(tags=["embeddings"])

EXAMPLES: Final = {
    "Two texts": {"model": "nomic-embed-text-v1-GGUF", "input": ["A lemon is yellow.", "A lime is green."]},
}

#: As many as OpenAI takes.
MAX_INPUTS: Final = 2_048
#: Of all inputs together.
MAX_TOKEN_IDS: Final = 1_048_576
#: The engine's ids are 32-bit numbers.
_LARGEST_ID: Final = 2**31 - 1
#: So many vectors are written between two looks at what else there is to do.
_WRITTEN_AT_ONCE: Final = 32

_Text = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]
_TokenIds = Annotated[list[Annotated[int, Field(ge=0, le=_LARGEST_ID)]], Field(min_length=1, max_length=MAX_TOKEN_IDS)]


class EmbeddingsBody(BaseModel):
    """The body of ``POST /embeddings``, as OpenAI documents it."""

    model_config = ConfigDict(strict=True)

    model: str = Field(min_length=1, description="A model whose `mode` is `embeddings`.")
    input: Annotated[
        _Text
        | Annotated[list[_Text], Field(min_length=1, max_length=MAX_INPUTS)]
        | _TokenIds
        | Annotated[list[_TokenIds], Field(min_length=1, max_length=MAX_INPUTS)],
        # Of a union pydantic would list what is wrong with each of its members.
        SkipValidation,
    ] = Field(description="A text, the ids of its tokens, or a list of either.")
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description="`base64` is of little-endian 32-bit floats; the SDK asks for it by itself."
    )
    dimensions: int | None = Field(
        default=None, ge=1, description="Cuts the vectors; for models with the label `matryoshka`."
    )
    user: str | None = Field(default=None, description="Ignored.")


class Embedding(BaseModel):
    """One vector, of length 1."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(BaseModel):
    """Tokens that were read for all inputs."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """A vector for each input, in their order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage


@router.post(
    "/embeddings",
    response_model=None,
    summary="Turn texts into vectors",
    openapi_extra=json_body(EmbeddingsBody, examples=EXAMPLES),
    responses=answers(EmbeddingsAnswer),
)
async def create_embeddings(request: Request) -> Response:
    """Return a vector of length 1 for each text, in their order. Texts that mean alike have vectors that are near."""
    body = validated(EmbeddingsBody, await read_json_object(request))
    inputs = read_inputs(body.input)
    note(request.scope, model=body.model, inputs=len(inputs))
    wanted = EmbeddingsRequest(body.model, inputs, body.dimensions, client_of(request))
    found = await while_connected(request.receive, services(request).vectors.embed(wanted))
    note(request.scope, prompt=found.prompt_tokens)
    return json_answer(await _written(found, body))


def read_inputs(value: Any) -> list[Input]:
    """Return each input of a request's ``input``.

    Raises:
        BadRequest: it has not one of the four forms, holds an empty text, or too much; the message says where.
    """
    if isinstance(value, str):
        return [_text(value, "input")]
    if not isinstance(value, list):
        raise wrong("input", "must be a string, a list of strings, or token ids")
    if not value:
        raise wrong("input", "must not be empty")
    if isinstance(value[0], int):
        return [_token_ids(value, "input")]
    if len(value) > MAX_INPUTS:
        raise wrong("input", f"takes at most {MAX_INPUTS:,} entries, but has {len(value):,}")
    if sum(len(each) for each in value if isinstance(each, list)) > MAX_TOKEN_IDS:
        raise wrong("input", f"takes at most {MAX_TOKEN_IDS:,} token ids in all")
    return [
        _text(each, f"input[{number}]") if isinstance(each, str) else _token_ids(each, f"input[{number}]")
        for number, each in enumerate(value)
    ]


def _text(text: str, field: str) -> str:
    if not text:
        raise wrong(field, "must not be an empty string")
    if len(text) > MAX_CHARACTERS:
        raise wrong(field, f"takes at most {MAX_CHARACTERS:,} characters")
    return text


def _token_ids(value: Any, field: str) -> list[int]:
    if not isinstance(value, list):
        raise wrong(field, "must be a string or a list of token ids")
    if not value:
        raise wrong(field, "must not be empty")
    if len(value) > MAX_TOKEN_IDS:
        raise wrong(field, f"takes at most {MAX_TOKEN_IDS:,} token ids")
    if {*map(type, value)} != {int} or min(value) < 0 or max(value) > _LARGEST_ID:
        raise wrong(field, f"must hold token ids only: whole numbers from 0 to {_LARGEST_ID}")
    ids: list[int] = value
    return ids


async def _written(found: Embeddings, body: EmbeddingsBody) -> bytes:
    pieces: list[bytes] = []
    for index, vector in enumerate(found.vectors):
        embedding = encoded(vector) if body.encoding_format == "base64" else vector.tolist()
        pieces.append(orjson.dumps({"object": "embedding", "index": index, "embedding": embedding}))
        if index % _WRITTEN_AT_ONCE == 0:
            await asyncio.sleep(0)
    usage = {"prompt_tokens": found.prompt_tokens, "total_tokens": found.prompt_tokens}
    rest = orjson.dumps({"model": body.model, "usage": usage})
    return b'{"object":"list","data":[%b],%b' % (b",".join(pieces), rest[1:])
