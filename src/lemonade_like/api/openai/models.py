"""``GET /models`` and ``GET /models/{id}``: what can be served now, and with ``show_all`` what there is besides."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request

from lemonade_like.api.openai.answers import ModelList, ModelObject
from lemonade_like.api.openapi import answers
from lemonade_like.api.services import services

if TYPE_CHECKING:
    from lemonade_like.api.services import ModelCatalogue
    from lemonade_like.models.describe import Description

router = APIRouter(tags=["models"])


@router.get(
    "/models", response_model=None, summary="List the models that can be served now", responses=answers(ModelList)
)
async def list_models(
    request: Request,
    show_all: Annotated[bool, Query(description="List those too that would have to be downloaded first.")] = False,
) -> dict[str, Any]:
    """List the bundled model, those of the user, and those that are in the Hugging Face cache, registered or not."""
    rooms = services(request)
    described = await asyncio.to_thread(_described, rooms.catalogue, show_all=show_all)
    return {"object": "list", "data": [model_object(each, rooms.started_at) for each in described]}


@router.get(
    "/models/{model_id:path}", response_model=None, summary="Describe one model", responses=answers(ModelObject)
)
async def retrieve_model(request: Request, model_id: str) -> dict[str, Any]:
    """Describe a model by its name, or by its checkpoint on the Hub; it may have to be downloaded first."""
    rooms = services(request)
    return model_object(await asyncio.to_thread(_find, rooms.catalogue, model_id), rooms.started_at)


def _described(catalogue: ModelCatalogue, *, show_all: bool) -> list[Description]:
    return [catalogue.describe(model) for model in catalogue.models() if show_all or model.available]


def _find(catalogue: ModelCatalogue, name: str) -> Description:
    return catalogue.describe(catalogue.find(name))


def model_object(described: Description, created: float) -> dict[str, Any]:
    """Return OpenAI's object, and what this server knows beside it."""
    return {
        "object": "model",
        "created": int(created),
        "owned_by": "lemonade-like",
        **described.as_json(),
    }
