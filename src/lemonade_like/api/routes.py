"""Which endpoint is where."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute

from lemonade_like.api.anthropic import messages
from lemonade_like.api.jina import rerank
from lemonade_like.api.lemonade import (
    backends,
    delete,
    health,
    load,
    logs,
    metrics,
    pull,
    register,
    shutdown,
    stats,
    system_info,
    tools,
    variants,
)
from lemonade_like.api.llamacpp import engine, tokens
from lemonade_like.api.openai import chat, embeddings, models, render
from lemonade_like.api.openai.completions import endpoints as completions
from lemonade_like.api.openai.responses import endpoints as responses
from lemonade_like.api.services import services

#: OpenAI clients expect the first, Lemonade's the second.
API_PREFIXES: Final = ("/v1", "/api/v1")


_root = APIRouter()
_FAMILIES: Final = (
    chat.router,
    render.router,
    completions.router,
    tokens.router,
    engine.router,
    messages.router,
    responses.router,
    embeddings.router,
    rerank.router,
    models.router,
    pull.router,
    variants.router,
    delete.router,
    health.router,
    system_info.router,
    backends.router,
    load.router,
    register.router,
    stats.router,
    shutdown.router,
    metrics.router,
    logs.router,
    tools.router,
)
#: Of these there is one at the root, too, where whoever watches servers looks for it.
_AT_THE_ROOT: Final = (health.router, metrics.router)


def endpoint_paths() -> list[str]:
    """Return the path of every endpoint."""
    families = [(prefix, family) for prefix in API_PREFIXES for family in _FAMILIES]
    return [
        f"{prefix}{route.path}"
        for prefix, family in [*families, *(("", family) for family in _AT_THE_ROOT)]
        for route in family.routes
        if isinstance(route, APIRoute)
    ]


def install_routes(app: FastAPI) -> None:
    """Put every endpoint where clients look for it."""
    # Each family goes into the app itself: a router in a router costs every request another search.
    for prefix in API_PREFIXES:
        for family in _FAMILIES:
            # One copy is enough in the description.
            app.include_router(family, prefix=prefix, include_in_schema=prefix == API_PREFIXES[0])
    for family in _AT_THE_ROOT:
        app.include_router(family, include_in_schema=False)
    app.include_router(_root, include_in_schema=False)


# Clients look with HEAD whether anybody is there.
@_root.api_route("/", methods=["GET", "HEAD"])
async def about(request: Request) -> dict[str, Any]:
    """Say what this is, and where the API is."""
    return {
        "name": "lemonade-like",
        "version": services(request).version,
        "about": "An OpenAI-compatible server for llama.cpp that speaks Harmony. Point a client at base_url.",
        "base_url": f"{str(request.base_url).rstrip('/')}/v1",
        "docs": "/docs",
    }
