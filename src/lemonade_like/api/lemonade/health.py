"""``GET /health`` and ``GET /live``: how the server is, and what it runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from lemonade_like.api.services import Services, services

router = APIRouter(tags=["health"])


@router.get("/live", summary="Say that the process runs")
async def live() -> dict[str, str]:
    """Answer as long as the process can answer at all."""
    return {"status": "ok"}


@router.get("/health", response_model=None, summary="Say that the server takes requests, and what it runs")
async def health(request: Request) -> Response:
    """Say ``ok``, or with 503 ``draining``: then running answers are finished, and no new ones are begun.

    Without the key, where there is one, that is all.
    """
    rooms = services(request)
    draining = rooms.pool.draining
    said: dict[str, Any] = {"status": "draining" if draining else "ok"}
    if getattr(request.state, "trusted", True):
        said["version"] = rooms.version
        said["models"] = _models(rooms)
    return Response(orjson.dumps(said), 503 if draining else 200, media_type="application/json")


def _models(rooms: Services) -> list[dict[str, Any]]:
    ready = [{"state": "ready", **asdict(model)} for model in rooms.pool.loaded()]
    return ready + [{"state": "loading", "name": name} for name in rooms.pool.loading()]
