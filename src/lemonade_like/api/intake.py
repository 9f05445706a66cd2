"""Reads the body of a request as the turn that it asks for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel

from lemonade_like.api.body import read_json_object
from lemonade_like.api.validation import validated
from lemonade_like.turns.request import CompletionRequest, TurnRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request

BodyT = TypeVar("BodyT", bound=BaseModel)
RequestT = TypeVar("RequestT", TurnRequest, CompletionRequest)

#: Checking so many messages takes about as long as one may hold up everybody else.
_MANY_MESSAGES: Final = 500


async def read_turn(
    request: Request, form: type[BodyT], translate: Callable[[BodyT], TurnRequest]
) -> tuple[BodyT, TurnRequest]:
    """Return the body as a ``form``, and the turn for the client that sent it.

    Raises:
        BadRequest: the body has not that form; the message names the field.
    """
    data = await read_json_object(request)

    def check() -> tuple[BodyT, TurnRequest]:
        body = validated(form, data)
        return body, translate(body)

    messages = data.get("messages")
    long = isinstance(messages, list) and len(messages) > _MANY_MESSAGES
    body, turn = await asyncio.to_thread(check) if long else check()
    return body, for_client(request, turn)


def for_client(request: Request, turn: RequestT) -> RequestT:
    """Return the turn with the client that sent the request as its owner."""
    return replace(turn, owner=getattr(request.state, "owner", ""), client=client_of(request))


def client_of(request: Request) -> str:
    """Return whose request it is, to be fair between clients."""
    owner = getattr(request.state, "owner", "")
    # One key may be shared by many, and one address: both together tell clients apart best.
    address = request.client.host if request.client is not None else ""
    return f"{owner} {address}".strip()
