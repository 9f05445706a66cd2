"""``GET /health`` and ``GET /live``: how the server is, and what it runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response

from lemonade_like.api.answer import ErrorAnswer
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.lemonade.answers import Alive, Health
from lemonade_like.api.openapi import ALWAYS_ANSWERS, answers
from lemonade_like.api.services import services

if TYPE_CHECKING:
    from lemonade_like.pool.status import ModelStatus
    from lemonade_like.settings import Mode

router = APIRouter(tags=["health"])

_LEMONADE_TYPES: Final[dict[Mode, str]] = {"chat": "llm", "embeddings": "embedding", "reranking": "reranking"}


@router.get(
    "/live",
    response_model=None,
    summary="Say that the process runs",
    openapi_extra=ALWAYS_ANSWERS,
    responses=answers(Alive),
)
async def get_live() -> dict[str, str]:
    """Answer as long as the process can answer at all."""
    return {"status": "ok"}


@router.get(
    "/health",
    response_model=None,
    summary="Say that the server takes requests, and what it runs",
    responses={**answers(Health), 503: {"model": Health | ErrorAnswer, "description": "The server is going to stop."}},
)
async def get_health(request: Request) -> Response:
    """Say ``ok``, or with 503 ``draining``: then running answers are finished, and no new ones are begun.

    Without the key, where there is one, that is all.
    """
    rooms = services(request)
    draining = rooms.pool.draining
    said: dict[str, Any] = {"status": "draining" if draining else "ok"}
    if getattr(request.state, "trusted", True):
        models = await rooms.pool.status()
        said["version"] = rooms.version
        said["models"] = [model_object(model) for model in models]
        said |= _as_lemonade_says_it(models)
    return json_answer(said, 503 if draining else 200)


def model_object(model: ModelStatus) -> dict[str, Any]:
    """Return what is told of one model; bytes and seconds throughout. What runs is there only if something does."""
    told: dict[str, Any] = {
        "name": model.name,
        "state": model.state,
        "detail": model.detail,
        "seconds": round(model.seconds, 3),
        "pinned": model.pinned,
        "slots": {"busy": model.slots_busy, "total": model.slots_total},
        "queue": {
            "length": len(model.waiting),
            "waiting": [
                {"place": place, "seconds": round(seconds, 3)} for place, seconds in enumerate(model.waiting, 1)
            ],
        },
        "memory": {"estimate": model.memory_estimate, "resident": model.memory_resident},
        "idle_seconds": None if model.idle_seconds is None else round(model.idle_seconds, 3),
        "load_seconds": None if model.load_seconds is None else round(model.load_seconds, 3),
        "options": model.options,
        "crashes": [asdict(crash) for crash in model.crashes],
    }
    if model.engine is not None:
        told |= asdict(model.engine)
    return told


def _as_lemonade_says_it(models: list[ModelStatus]) -> dict[str, Any]:
    """Return what is loaded under the names that Lemonade's clients know; ``model_loaded`` is the last one used."""
    ready = sorted(
        ((model, model.engine) for model in models if model.engine is not None),
        key=lambda each: each[0].idle_seconds or 0.0,
    )
    return {
        "model_loaded": ready[0][0].name if ready else None,
        "all_models_loaded": [
            {
                "model_name": model.name,
                "loaded": True,
                "type": _LEMONADE_TYPES[engine.mode],
                "recipe": "llamacpp",
                "recipe_options": model.options,
                "pinned": model.pinned,
            }
            for model, engine in ready
        ],
    }
