"""``GET /slots`` and ``GET /props``: what the engine of a loaded model says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, RootModel

from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.openapi import answers
from lemonade_like.api.services import note, services

if TYPE_CHECKING:
    from lemonade_like.pool.inspection import Inspected

router = APIRouter(tags=["engines"])

ModelIn = Annotated[
    str | None, Query(min_length=1, description="Name of a model that is loaded; needed only where several are.")
]


class EngineSlot(BaseModel):
    """One slot, as the engine tells of it."""

    model_config = ConfigDict(extra="allow")

    id: int
    is_processing: bool


class EngineSlots(RootModel[list[EngineSlot]]):
    """All slots."""


class EngineProps(BaseModel):
    """What the engine has loaded, and how, as it tells it itself."""

    model_config = ConfigDict(extra="allow")

    total_slots: int
    default_generation_settings: dict[str, Any]


@router.get(
    "/slots", response_model=None, summary="Show an engine's slots", responses=answers(EngineSlots, also=(404, 501))
)
async def show_slots(request: Request, model: ModelIn = None) -> Response:
    """Show what each slot of a loaded model works on, as its llama-server tells it. Nothing is loaded for this."""
    return await _said(request, "slots", model)


@router.get(
    "/props",
    response_model=None,
    summary="Show an engine's properties",
    responses=answers(EngineProps, also=(404, 501)),
)
async def show_props(request: Request, model: ModelIn = None) -> Response:
    """Show context, template and default settings of a loaded model, as its llama-server tells them. Nothing is
    loaded for this."""
    return await _said(request, "props", model)


async def _said(request: Request, what: Inspected, model: str | None) -> Response:
    if model is not None:
        note(request.scope, model=model)
    said = await services(request).pool.inspect(what, model)
    return json_answer(said)
