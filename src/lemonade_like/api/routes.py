"""Which endpoint is where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.routing import compile_path

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

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def endpoints() -> Iterator[tuple[str, APIRoute]]:
    """Yield the path of every endpoint, and what is there."""
    families = [(prefix, family) for prefix in API_PREFIXES for family in _FAMILIES]
    for prefix, family in [*families, *(("", family) for family in _AT_THE_ROOT)]:
        for route in family.routes:
            if isinstance(route, APIRoute):
                yield f"{prefix}{route.path}", route


def methods_of(path: str) -> set[str]:
    """Return the methods that a path takes."""
    found: set[str] = set()
    for template, route in endpoints():
        if compile_path(template)[0].match(path):
            found.update(route.methods or ())
    return found | {"HEAD"} if "GET" in found else found


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
    # Last, since nobody waits for these.
    for path, route in endpoints():
        if "GET" in (route.methods or ()):
            app.add_api_route(path, route.endpoint, methods=["HEAD"], response_model=None, include_in_schema=False)


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
