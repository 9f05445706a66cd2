"""Which endpoint is where."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute

from lemonade_like.api.lemonade import health
from lemonade_like.api.openai import chat, models
from lemonade_like.api.services import services

#: OpenAI clients expect the first, Lemonade's the second.
API_PREFIXES: Final = ("/v1", "/api/v1")


_FAMILIES: Final = (chat.router, models.router, health.router)


def endpoint_paths() -> list[str]:
    """Return the path of every endpoint."""
    families = [(prefix, family) for prefix in API_PREFIXES for family in _FAMILIES]
    return [
        f"{prefix}{route.path}"
        for prefix, family in [*families, ("", health.router)]
        for route in family.routes
        if isinstance(route, APIRoute)
    ]


def api_router() -> APIRouter:
    """Return all endpoints."""
    router = APIRouter()
    for prefix in API_PREFIXES:
        # One copy is enough in the description.
        described = prefix == API_PREFIXES[0]
        for family in _FAMILIES:
            router.include_router(family, prefix=prefix, include_in_schema=described)
    router.include_router(health.router, include_in_schema=False)
    router.add_api_route("/", _root, methods=["GET"], include_in_schema=False)
    return router


async def _root(request: Request) -> dict[str, Any]:
    return {
        "name": "lemonade-like",
        "version": services(request).version,
        "about": "An OpenAI-compatible server for llama.cpp that speaks Harmony. Point a client at base_url.",
        "base_url": f"{str(request.base_url).rstrip('/')}/v1",
        "docs": "/docs",
    }
