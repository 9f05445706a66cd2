"""``POST /tokenize`` and ``POST /detokenize``: text to token ids and back."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from lemonade_like.api.body import read_json_object
from lemonade_like.api.connection import while_connected
from lemonade_like.api.intake import client_of
from lemonade_like.api.json_answer import large_json_answer
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, services
from lemonade_like.api.validation import validated
from lemonade_like.turns.tokens import TokenizeRequest

router = APIRouter(tags=["tokens"])

#: About a million tokens of English. An engine takes 16 seconds for so much without a blank.
_LONGEST_TEXT: Final = 4_194_304
_MOST_IDS: Final = 1_048_576

TokenIn = Annotated[int, Field(ge=0, le=2**31 - 1)]


class TokenizeBody(BaseModel):
    """A text to be told the tokens of."""

    model_config = ConfigDict(strict=True)

    model: str = Field(min_length=1, description="Name of the model, as GET /models lists it.")
    content: str = Field(max_length=_LONGEST_TEXT)
    add_special: bool | None = Field(
        default=None, description="Whether what the model wants at the beginning of a prompt is put before it."
    )
    parse_special: bool | None = Field(
        default=None,
        description="Whether control tokens that are spelled out are read as such; without it, not for GPT-OSS, and "
        "for other models.",
    )
    with_pieces: bool | None = Field(default=None, description="Whether to say what each token stands for.")


class DetokenizeBody(BaseModel):
    """Tokens to be told the text of."""

    model_config = ConfigDict(strict=True)

    model: str = Field(min_length=1, description="Name of the model, as GET /models lists it.")
    tokens: list[TokenIn] = Field(max_length=_MOST_IDS)


class TokenPiece(BaseModel):
    """A token, and what it stands for: a text, or its bytes where these are none."""

    id: int
    piece: str | list[int]


class Tokens(BaseModel):
    """The tokens of a text."""

    tokens: list[int] | list[TokenPiece]


class Content(BaseModel):
    """The text of tokens."""

    content: str


@router.post(
    "/tokenize",
    response_model=None,
    summary="Say the tokens of a text",
    openapi_extra=json_body(TokenizeBody, examples={"A text": {"model": "tiny-gpt-oss", "content": "Hello world"}}),
    responses=answers(Tokens),
)
async def tokenize(request: Request) -> Response:
    """Say the token ids of a text, in llama-server's form. A GPT-OSS model is not loaded for this."""
    body = validated(TokenizeBody, await read_json_object(request))
    note(request.scope, model=body.model)
    wanted = TokenizeRequest(
        body.model,
        body.content,
        add_special=bool(body.add_special),
        parse_special=body.parse_special,
        with_pieces=bool(body.with_pieces),
        client=client_of(request),
    )
    tokens = await while_connected(request.receive, services(request).texts.tokenize(wanted))
    return await large_json_answer({"tokens": tokens})


@router.post(
    "/detokenize",
    response_model=None,
    summary="Say the text of tokens",
    openapi_extra=json_body(DetokenizeBody, examples={"Tokens": {"model": "tiny-gpt-oss", "tokens": [13225, 2375]}}),
    responses=answers(Content),
)
async def detokenize(request: Request) -> Response:
    """Say the text of token ids, control tokens spelled out. Bytes that are no text become U+FFFD."""
    body = validated(DetokenizeBody, await read_json_object(request))
    note(request.scope, model=body.model)
    asked = services(request).texts.detokenize(body.model, body.tokens, client_of(request))
    return await large_json_answer({"content": await while_connected(request.receive, asked)})
