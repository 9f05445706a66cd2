"""``GET /stats``: what the last turn cost, and all of them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.lemonade.answers import Stats
from lemonade_like.api.openapi import answers
from lemonade_like.api.services import services

router = APIRouter(tags=["health"])


@router.get(
    "/stats",
    response_model=None,
    summary="Say what the last turn cost, and all of them",
    responses=answers(Stats),
)
async def get_stats(request: Request) -> Response:
    """Tell times, tokens by channel, and what was mended. Lemonade's fields are those of the last turn."""
    return json_answer(services(request).statistics.snapshot())
