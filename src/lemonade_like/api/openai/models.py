"""``GET /models`` and ``GET /models/{id}``: what can be served now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request

from lemonade_like.api.services import services

if TYPE_CHECKING:
    from lemonade_like.models.registry import Model

router = APIRouter(tags=["models"])


@router.get("/models", summary="List the models that can be served now")
async def list_models(request: Request) -> dict[str, Any]:
    """List the bundled model, those given by path, and those that are downloaded."""
    rooms = services(request)
    models = await asyncio.to_thread(rooms.catalogue.models)
    data = [model_object(model, rooms.started_at) for model in models if model.available]
    return {"object": "list", "data": data}


@router.get("/models/{model_id:path}", summary="Describe one model")
async def retrieve_model(request: Request, model_id: str) -> dict[str, Any]:
    """Describe a model by its name; it may be one that has to be downloaded first."""
    rooms = services(request)
    model = await asyncio.to_thread(rooms.catalogue.find, model_id)
    return model_object(model, rooms.started_at)


def model_object(model: Model, created: float) -> dict[str, Any]:
    """Return OpenAI's object, and what this server knows beside it."""
    return {
        "id": model.name,
        "object": "model",
        "created": int(created),
        "owned_by": "lemonade-like",
        "checkpoint": model.checkpoint,
        "recipe": model.recipe,
        "labels": sorted(model.labels),
        "downloaded": model.available,
    }
