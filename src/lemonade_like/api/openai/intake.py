"""Reads the body of a chat completion as the turn that it asks for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.api.body import read_json_object
from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.api.openai.turn import turn_request
from lemonade_like.api.validation import validated

if TYPE_CHECKING:
    from fastapi import Request

    from lemonade_like.turns.request import TurnRequest

#: Checking so many messages takes about as long as one may hold up everybody else.
_MANY_MESSAGES: Final = 500


async def read_chat(request: Request) -> tuple[ChatCompletionRequest, TurnRequest]:
    """Return the body, and the turn for the client that sent it.

    Raises:
        BadRequest: the body is no chat completion; the message names the field.
    """
    data = await read_json_object(request)
    messages = data.get("messages")
    long = isinstance(messages, list) and len(messages) > _MANY_MESSAGES
    body, turn = await asyncio.to_thread(_checked, data) if long else _checked(data)
    owner = getattr(request.state, "owner", "")
    # One key may be shared by many, and one address: both together tell clients apart best.
    address = request.client.host if request.client is not None else ""
    return body, replace(turn, owner=owner, client=f"{owner} {address}".strip())


def _checked(data: dict[str, Any]) -> tuple[ChatCompletionRequest, TurnRequest]:
    body = validated(ChatCompletionRequest, data)
    return body, turn_request(body)
