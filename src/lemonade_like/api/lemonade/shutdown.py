"""``POST /shutdown``: the server's end, said by hand."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.lemonade.answers import Stopping
from lemonade_like.api.openapi import answers
from lemonade_like.api.services import services

router = APIRouter(tags=["server"])


@router.post("/shutdown", response_model=None, summary="Stop the server", responses=answers(Stopping))
async def stop_server(request: Request) -> Response:
    """Stop as SIGTERM does: running answers have the drain timeout to finish, and no new ones are begun.

    The body is not looked at. To ask again changes nothing.
    """
    services(request).stop()
    message = "The server finishes what runs, and stops."
    return json_answer({"status": "success", "message": message})
