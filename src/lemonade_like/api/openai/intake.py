"""Reads the body of a chat completion as the turn that it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lemonade_like.api.intake import read_turn
from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.api.openai.turn import turn_request

if TYPE_CHECKING:
    from fastapi import Request

    from lemonade_like.turns.request import TurnRequest


async def read_chat(request: Request) -> tuple[ChatCompletionRequest, TurnRequest]:
    """Return the body, and the turn for the client that sent it.

    Raises:
        BadRequest: the body is no chat completion; the message names the field.
    """
    return await read_turn(request, ChatCompletionRequest, turn_request)
